"""The list of rules that look at one variant, in their order, and what each is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from synth.gates.limits import Limits
from synth.records import Donor, Host, Image, Levels, Mask, Variant, Verdict

MARGIN_PX = 24  # around the mask that the rules look at: more would only cost time


def grey_of(picture: Image | Levels) -> npt.NDArray[np.float32]:
    """Return (h, w) grey levels, as the eye weighs the channels."""
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.float32)


@dataclass(frozen=True)
class Case:
    """A variant beside its host. Everything below ``window`` is cut to the surroundings of the mask and what was meant.

    donor: the real defect that it was made of; None for a recipe.
    """

    variant: Variant
    host: Host
    donor: Donor | None = None

    @cached_property
    def window(self) -> tuple[slice, slice]:
        x, y, w, h = cv2.boundingRect((self.variant.mask | self.variant.meant).view(np.uint8))
        top, left = max(0, y - MARGIN_PX), max(0, x - MARGIN_PX)
        return slice(top, y + h + MARGIN_PX), slice(left, x + w + MARGIN_PX)

    @cached_property
    def mask(self) -> Mask:
        return np.ascontiguousarray(self.variant.mask[self.window])

    @cached_property
    def meant(self) -> Mask:
        return np.ascontiguousarray(self.variant.meant[self.window])

    @cached_property
    def picture(self) -> Image:
        return np.ascontiguousarray(self.variant.picture[self.window])

    @cached_property
    def ground(self) -> Image:
        return np.ascontiguousarray(self.host.picture[self.window])

    @cached_property
    def change(self) -> npt.NDArray[np.float32]:
        """Return |variant - host| (h, w), grey levels."""
        return grey_of(cv2.absdiff(self.picture, self.ground))


@dataclass(frozen=True)
class Rule:
    """name: in records and tables. reason: why a variant that breaks it is no use; the verdict's words begin so."""

    name: str
    reason: str
    measure: Callable[[Case], float]
    limits: Callable[[Limits], tuple[float | None, float | None]]

    def judge(self, case: Case, limits: Limits) -> Verdict:
        """Measure and compare; NaN never passes."""
        low, high = self.limits(limits)
        value = float(self.measure(case))
        ok = (low is None or value >= low) and (high is None or value <= high) and not np.isnan(value)
        return Verdict(self.name, ok, value, (low, high), "" if ok else explain(self.reason, value, (low, high)))


def explain(reason: str, value: float, limits: tuple[float | None, float | None]) -> str:
    """Return the reason with the figures: "too small for this class: 4; 12 or more is wanted"."""
    low, high = limits
    if low is not None and high is not None:
        return f"{reason}: {value:.3g}; {low:.3g} to {high:.3g} is wanted"
    wanted = f"{low:.3g} or more" if low is not None else f"{high:.3g} or less" if high is not None else "a number"
    return f"{reason}: {value:.3g}; {wanted} is wanted"


_RULES: list[Rule] = []


def rule(
    name: str, *, reason: str, limits: Callable[[Limits], tuple[float | None, float | None]]
) -> Callable[[Callable[[Case], float]], Callable[[Case], float]]:
    """Register the decorated measure; the order of registering is that of judging, cheap rules first."""

    def register(measure: Callable[[Case], float]) -> Callable[[Case], float]:
        assert name not in {one.name for one in _RULES}, f"two rules are called {name}"
        _RULES.append(Rule(name, reason, measure, limits))
        return measure

    return register


def rules() -> list[Rule]:
    """Return the rules that look at one variant, in their order."""
    return list(_RULES)


def judge(variant: Variant, host: Host, donor: Donor | None, limits: Limits) -> list[Verdict]:
    """Judge one variant by every rule in order; it ends at the first that it breaks, as the next would tell nothing.

    donor: the real defect that it was made of, or None for a recipe.
    """
    case, verdicts = Case(variant, host, donor), []
    limits = limits.for_recipes() if donor is None else limits
    for one in _RULES:
        verdicts.append(one.judge(case, limits))
        if not verdicts[-1].ok:
            break
    return verdicts
