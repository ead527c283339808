"""What the rules allow, and where it comes from; measures nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

Bounds = tuple[float | None, float | None]  # low, high; None = open

ENOUGH = 5  # real examples from which a range is taken from their 5..95 %; below it is wider and said to be

RANGED = ("area", "aspect", "contrast", "seam", "near-real", "realism")  # rules whose limits come from real examples


@dataclass(frozen=True)
class Limits:
    """Every threshold of the rules. uncalibrated: rules whose range rests on too few real examples, or none.

    on_part, visible, elsewhere: shares. area: px. aspect: long / short axis. contrast: grey levels. seam: gradient at
    the outline as a share of contrast. boxy: share of its tightest rectangle that it fills. near: likeness above which
    two are the same. realism: distance to the nearest real defect. two_sample: AUC at which real and synthetic differ.
    """

    on_part: float = 0.98
    area: Bounds = (4.0, None)
    aspect: Bounds = (None, None)
    visible: float = 0.6
    contrast: Bounds = (4.0, None)
    elsewhere: float = 0.05
    seam: Bounds = (None, 0.9)
    boxy: float = 0.92
    near: float = 0.985
    realism: Bounds = (None, None)
    two_sample: float = 0.75
    effective: float = 2.0
    n_real: int = 0
    uncalibrated: tuple[str, ...] = RANGED

    def for_recipes(self) -> Limits:
        """Return the limits for what no donor was taken for: the range of fewer than ``ENOUGH`` real defects is a
        guess, and a recipe is drawn beside them to be wider than they are."""
        open_ones = Limits()
        if self.n_real >= ENOUGH:
            return self
        return replace(self, area=open_ones.area, aspect=open_ones.aspect, contrast=open_ones.contrast,
                       realism=open_ones.realism)  # fmt: skip
