"""Labelling functions: rules in Python that look at one image and name its class, or abstain.

A rules file is the user's own program and runs with the user's rights: nobody else's should be run.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activesel.errors import DataError
from activesel.images import decode_rgb

ABSTAIN = None
MAX_PIXELS = 400_000_000


@dataclass(frozen=True)
class Item:
    """One image as a rule sees it. meta: its metadata columns, sensor readings among them, as text. predictions: class
    -> probability of the user's model, {} without one."""

    image_id: str
    path: Path
    meta: Mapping[str, str]
    predictions: Mapping[str, float] = field(default_factory=dict)
    max_pixels: int = MAX_PIXELS

    @cached_property
    def pixels(self) -> npt.NDArray[np.uint8]:
        """(h, w, 3) RGB, read when a rule first asks."""
        return decode_rgb(self.path, max_pixels=self.max_pixels)

    def number(self, column: str) -> float:
        """Return a reading of the metadata as a number, NaN where there is none: then no comparison holds."""
        try:
            return float(self.meta.get(column, ""))
        except ValueError:
            return float("nan")


Judge = Callable[[Item], str | None]


@dataclass(frozen=True)
class LabellingFunction:
    """A rule and its name."""

    name: str
    judge: Judge

    def __call__(self, item: Item) -> str | None:
        return self.judge(item)


def labelling_function(judge: Judge) -> LabellingFunction:
    """Decorate a function of one Item that returns a class, or ABSTAIN.

    >>> @labelling_function
    ... def hot(item):
    ...     return "burn" if item.number("temperature") > 80 else ABSTAIN
    >>> hot(Item("0", Path("a.png"), {"temperature": "91.5"}))
    'burn'
    """
    return LabellingFunction(judge.__name__, judge)


def load_rules(path: Path) -> tuple[LabellingFunction, ...]:
    """Run a file of rules and return those that it defines, in its order.

    Raises:
        DataError: no such file, it fails, it has no rule, or two of one name.
    """
    if not path.is_file():
        raise DataError("no such file of rules", where=str(path), expected="Python with @labelling_function")
    spec = importlib.util.spec_from_file_location("activesel_rules", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses in it look themselves up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise DataError("the rules cannot be loaded", where=str(path), found=_tell(error)) from error
    found = tuple(one for one in vars(module).values() if isinstance(one, LabellingFunction))
    names = [one.name for one in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if not found or twice:
        raise DataError("two rules of one name" if twice else "there is no rule in it", where=str(path), found=twice,
                        expected="functions under @labelling_function, each with its own name")  # fmt: skip
    return found


def apply_rules(
    rules: Sequence[LabellingFunction], items: Sequence[Item], classes: Sequence[str]
) -> npt.NDArray[np.int64]:
    """Return (n, r) what each rule says of each item, -1 = abstains; pixels are held for one image at a time.

    Raises:
        DataError: a rule failed, or named no class; it is named with the image.
    """
    index = {name: code for code, name in enumerate(classes)}
    votes = np.full((len(items), len(rules)), -1, np.int64)
    for row, item in enumerate(items):
        for column, rule in enumerate(rules):
            try:
                said = rule(item)
            except Exception as error:
                raise DataError(f"the rule {rule.name} failed", where=str(item.path), found=_tell(error)) from error
            if said is not ABSTAIN and said not in index:
                raise DataError(f"the rule {rule.name} names no class", where=str(item.path), found=repr(said),
                                expected="ABSTAIN, or one of " + ", ".join(classes))  # fmt: skip
            votes[row, column] = -1 if said is ABSTAIN else index[said]
        vars(item).pop("pixels", None)
    return votes


def _tell(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
