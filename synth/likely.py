"""Which recipes draw what looks like a class's few real defects, and how many proposals they get beside these.

Variants of one defect all look like it. A recipe's do not, so beside one to four real ones some are drawn by the recipe
whose shape theirs is, in ranges larger and stronger than most real ones: those gained three times as much as the plain
ones (docs/synthesis.md). The name of a class says nothing here: what a line calls blowhole another calls pore.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from synth.centreline import is_line
from synth.hosts import Read
from synth.records import Donor

AUTO = "auto"  # in place of a recipe's name
THIN = 0.05  # mean width of a crack or scratch, at most so much of the image's short side
SMALL, LARGE = 0.06, 0.1  # radius of a circle of the same area, of the short side: a pit's at most, a stain's at least
FAINT = 0.3  # contrast of a stain, at most so much of its ground's level
LEAST_VOTES = 1 / 3  # of the defects: a shape of fewer is an odd one out
SHARES = ((1, 0.5), (4, 0.3))  # up to so many groups of real examples, share of the proposals; beyond none


def likely_share(donors: Sequence[Donor]) -> float:
    """Return the share of proposals that recipes get, 0..1, by how many groups of real examples there are."""
    n_groups = len({donor.group for donor in donors})
    return next((share for most, share in SHARES if n_groups <= most), 0.0)


def likely_recipes(donors: Sequence[Donor], read: Read) -> tuple[str, ...]:
    """Return the names of the recipes whose shape the defects have, most frequent first; () where there are enough."""
    if not donors or not likely_share(donors):
        return ()
    short_side = {path: min(read(Path(path)).shape[:2]) for path in {donor.path for donor in donors}}
    votes = Counter(likely_recipe(donor, short_side[donor.path]) for donor in donors)
    return tuple(name for name, n in votes.most_common() if n >= LEAST_VOTES * len(donors))


def likely_recipe(donor: Donor, short_side: int) -> str:
    """Return the recipe of one defect. short_side: of the image that it was cut out of, px."""
    area = float(np.count_nonzero(donor.mask))
    change, level = float(donor.residual[donor.mask].mean()), max(float(donor.background[donor.mask].mean()), 1.0)
    radius, width = np.sqrt(area / np.pi) / short_side, area / donor.span_px / short_side
    if is_line(donor) and width <= THIN:
        return "crack_bold" if change < 0 else "scratch"
    if radius >= LARGE and donor.contrast / level <= FAINT:
        return "stain_bold"
    if radius <= SMALL and change < 0 and not any(donor.at_edge):
        return "pit_bold"
    return "missing"
