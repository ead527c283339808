"""The list of recipe kinds, and the files of ranges that make recipes of them."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from synth.errors import SynthError
from synth.recipes.ranges import check_keys
from synth.records import Recipe

T = TypeVar("T")
_KINDS: dict[str, type[Any]] = {}


def recipe(kind: str) -> Callable[[type[T]], type[T]]:
    """Register the decorated dataclass under ``kind``; a kind taken twice is our bug."""

    def register(cls: type[T]) -> type[T]:
        assert kind not in _KINDS, f"two recipes are called {kind}"
        _KINDS[kind] = cls
        return cls

    return register


def recipe_kinds() -> list[str]:
    """Return every kind, by the alphabet."""
    return sorted(_KINDS)


def recipe_class(kind: str, *, where: str) -> type[Any]:
    """Return the dataclass of a kind.

    Raises:
        SynthError: there is none; the message holds the nearest names.
    """
    if kind not in _KINDS:
        near = difflib.get_close_matches(kind, _KINDS, n=3) or recipe_kinds()
        raise SynthError("unknown kind of recipe", where=where, found=repr(kind), expected=", ".join(near))
    return _KINDS[kind]


def shipped_folder() -> Path:
    """Return the folder of shipped ranges: beside the packages once installed, at the top level in a checkout."""
    here = Path(__file__).resolve().parents[2]
    installed = here / "activesel" / "configs" / "recipes"
    return installed if installed.is_dir() else here / "configs" / "recipes"


def load_recipes(folder: Path | None = None) -> dict[str, Recipe]:
    """Return every recipe by name: the shipped ones, then those of ``folder``/*.yaml over and beside them.

    A file's name is the recipe's; ``kind`` says what draws it, the name unless given. A file of the folder that shares
    a shipped name holds only the keys that differ.

    Raises:
        SynthError: the folder is not there, a file is no YAML, or a key is wrong.
    """
    recipes = {path.stem: _load(path, None) for path in sorted(shipped_folder().glob("*.yaml"))}
    if folder is not None:
        if not folder.is_dir():
            raise SynthError("no such folder of recipes", where=str(folder), expected="a folder of NAME.yaml")
        for path in sorted(folder.glob("*.yaml")):
            recipes[path.stem] = _load(path, recipes.get(path.stem))
    return recipes


def _load(path: Path, base: Any) -> Recipe:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SynthError("cannot be read as YAML", where=str(path), found=str(error).split("\n")[0]) from error
    if not isinstance(found, dict):
        raise SynthError("not a file of keys", where=str(path), found=type(found).__name__, expected="key: value lines")
    kind = found.pop("kind", None)
    cls = recipe_class(kind or path.stem, where=str(path)) if base is None or kind else type(base)
    base = base if isinstance(base, cls) else None
    values = check_keys(cls, found, where=str(path), whole=base is None)
    made: Recipe = dataclasses.replace(base, **values) if base is not None else cls(name=path.stem, **values)
    return made
