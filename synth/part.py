"""Find where the product is in a picture: a threshold that must prove itself, else a median of many, else all of it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from synth.records import Image, Mask

_LEAST_SHARE, _MOST_SHARE = 0.05, 0.97  # of the picture that a part fills
_LEAST_SEPARATION = 0.8  # between-class over total variance; one bell curve cut in two has 0.64, two apart have 1
_LEAST_BORDER = 0.5  # share of the picture's border that is ground, where there is any ground around a part
_LEAST_WHOLE = 0.95  # share of the part in its largest piece, of the ground in pieces that touch the border
GOLDEN_LEAST = 8  # pictures of one size from which their median is worth a look
_GOLDEN_LIKENESS = 0.8  # correlation with the median from which a picture shows the part in the same place


def find_part(picture: Image) -> Mask | None:
    """Return (h, w) where the part is by Otsu's threshold (1979), or None where the cut makes no sense.

    Makes sense: two groups of grey levels far apart; one of them one piece; the other reaching the picture's border
    and most of it. A texture that fills the picture fails all of these, and so does a picture with a shadow.
    """
    grey = cv2.medianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), 5)
    _, high = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    if _separation(grey, high > 0) < _LEAST_SEPARATION:
        return None
    for part in (high > 0, high == 0):
        if _makes_sense(part):
            return _fill_holes(part)
    return None


def part_or_all(picture: Image) -> Mask:
    """Return (h, w) where the part is; everywhere where find_part sees none."""
    part = find_part(picture)
    return np.ones(picture.shape[:2], np.bool_) if part is None else part


def find_golden_part(pictures: Sequence[Image]) -> tuple[Mask, Image] | None:
    """Return the part of the median picture, and that picture; None where sizes differ or the cut makes no sense.

    Of use where a fixture holds the part in one place and single pictures are too noisy for a threshold.
    """
    if len(pictures) < GOLDEN_LEAST or len({picture.shape for picture in pictures}) > 1:
        return None
    golden = np.asarray(np.median(np.stack(pictures), axis=0), np.uint8)
    part = find_part(golden)
    return None if part is None else (part, golden)


def is_like(picture: Image, golden: Image) -> bool:
    """Tell whether a picture shows its part where the median does: same size, correlation of grey levels >= 0.8."""
    if picture.shape != golden.shape:
        return False
    first, second = (cv2.cvtColor(one, cv2.COLOR_RGB2GRAY).astype(np.float64).ravel() for one in (picture, golden))
    first, second = first - first.mean(), second - second.mean()
    norm = float(np.sqrt((first @ first) * (second @ second)))
    return norm > 0 and float(first @ second) / norm >= _GOLDEN_LIKENESS


def _separation(grey: Image, high: Mask) -> float:
    total = float(grey.var())
    share = float(high.mean())
    if total == 0 or share in (0.0, 1.0):
        return 0.0
    apart = float(grey[high].mean()) - float(grey[~high].mean())
    return share * (1 - share) * apart * apart / total


def _makes_sense(part: Mask) -> bool:
    if not _LEAST_SHARE <= float(part.mean()) <= _MOST_SHARE:
        return False
    border = np.concatenate([part[0], part[-1], part[:, 0], part[:, -1]])
    if float((~border).mean()) < _LEAST_BORDER:
        return False
    n, _, stats, _ = cv2.connectedComponentsWithStats(part.astype(np.uint8), connectivity=4)
    return n > 1 and stats[1:, cv2.CC_STAT_AREA].max() >= _LEAST_WHOLE * part.sum()


def _fill_holes(part: Mask) -> Mask:
    """Keep the largest piece; bores in it stay holes only if they are large: 1 % of the part or more."""
    n, pieces, stats, _ = cv2.connectedComponentsWithStats(part.astype(np.uint8), connectivity=4)
    whole = pieces == 1 + int(stats[1:n, cv2.CC_STAT_AREA].argmax())
    n, holes, stats, _ = cv2.connectedComponentsWithStats((~whole).astype(np.uint8), connectivity=8)
    small = stats[:, cv2.CC_STAT_AREA] < 0.01 * whole.sum()
    small[0] = False
    return np.asarray(whole | small[holes], np.bool_)
