"""From a box, a point or nothing to the defect's own pixels; a given mask is checked."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from synth.background import fill_background, fit_plane, grow
from synth.errors import SynthError
from synth.grain import measure_grain
from synth.levels import peak
from synth.records import Box, Image, Levels, Mask

CLOSE_PX = 3
LEAST_SHARE = 0.1  # of the largest component's area: smaller ones are grain
STANDS_OUT = 3.0  # times the ground's grain after smoothing
FROM_NOTHING = 8.0  # the same, where neither box nor point says that there is a defect
LARGEST_FROM_NOTHING = 0.4  # of the image


def find_mask(
    picture: Image, box: Box | None = None, point: tuple[float, float] | None = None, *, where: str = ""
) -> Mask:
    """Return the defect's pixels, (h, w), from a box, a point (y, x) on it, or nothing but the picture.

    Where nothing in the box stands out from the ground around it (the defect is all texture): the ellipse in the box.
    Raises: SynthError where the box misses the picture or, without a box, nothing stands out.
    """
    height, width = picture.shape[:2]
    if box is None and point is not None:
        reach = max(16, min(height, width) // 8)
        box = (point[1] - reach, point[0] - reach, point[1] + reach, point[0] + reach)
    if box is None:
        return find_anywhere(picture, where)
    window = box_mask((height, width), box, where)
    found = refine(picture, window)
    if point is not None:
        return nearest_component(found, point) if found.any() else ellipse(window)
    return found if found.sum() >= max(4, 0.01 * window.sum()) else ellipse(window)


def check_mask(mask: npt.NDArray[np.generic], picture: Image, *, where: str) -> Mask:
    """Return a given mask as (h, w) booleans. Anti-aliased masks are cut at half of their peak.

    Raises: SynthError for another size than the picture's, an empty mask, or one that covers everything.
    """
    if mask.ndim == 3:
        mask = mask.max(2)
    if mask.shape != picture.shape[:2]:
        raise SynthError("the mask has another size than its image", where=where, found=str(mask.shape),
                         expected=str(picture.shape[:2]))  # fmt: skip
    levels = mask.astype(np.float32)
    out = np.asarray(levels > levels.max() / 2)
    if not out.any() or out.all():
        raise SynthError("the mask marks nothing" if not out.any() else "the mask marks the whole image", where=where,
                         expected="defect above 0, ground 0")  # fmt: skip
    return out


def box_mask(shape: tuple[int, int], box: Box, where: str) -> Mask:
    out = np.zeros(shape, bool)
    x0, y0, x1, y1 = (round(side) for side in box)
    out[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = True
    if not out.any():
        raise SynthError(
            "the box misses the image", where=where, found=str(box), expected=f"inside {shape[1]} x {shape[0]}"
        )
    return out


def refine(picture: Image, window: Mask) -> Mask:
    """What stands out from the ground around the window, inside of it."""
    cut = surroundings(window)
    levels, inside = picture[cut].astype(np.float32), window[cut]
    off = off_ground(levels, inside)
    ring = off[~inside]
    floor = STANDS_OUT * float(np.median(ring)) * 1.4826 if ring.size >= 30 else 2.0
    found = inside & (off > max(floor, 0.9 * otsu(off[inside])))
    out = np.zeros_like(window)
    out[cut] = tidy(found) & inside
    return out


def surroundings(window: Mask) -> tuple[slice, slice]:
    ys, xs = np.nonzero(window)
    reach = max(12, int(0.5 * max(np.ptp(ys), np.ptp(xs))))
    return slice(max(0, ys.min() - reach), ys.max() + 1 + reach), slice(max(0, xs.min() - reach), xs.max() + 1 + reach)


def off_ground(levels: Levels, window: Mask) -> npt.NDArray[np.float32]:
    """How far each pixel is from the ground fitted around the window, grain smoothed, grey levels, (h, w)."""
    smooth = cv2.GaussianBlur(levels, (0, 0), 1.0)
    ground = cv2.GaussianBlur(fill_background(levels, window, margin=1), (0, 0), 1.0)
    if not window.all():
        ground = np.where(window[:, :, None], ground, fit_plane(levels, ~window))
    return np.asarray(peak(np.abs(smooth - ground)), np.float32)


def otsu(values: npt.NDArray[np.float32]) -> float:
    """The threshold that parts values best into two, in their own unit."""
    top = float(np.quantile(values, 0.995)) + 1e-6
    scaled = np.clip(values / top * 255, 0, 255).astype(np.uint8).reshape(-1, 1)
    threshold, _ = cv2.threshold(scaled, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return float(threshold) / 255 * top


def tidy(found: Mask) -> Mask:
    """Close gaps, fill holes, drop specks."""
    closed = cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((CLOSE_PX, CLOSE_PX), np.uint8))
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(closed, outlines, -1, 1, cv2.FILLED)
    n, labels, stats, _ = cv2.connectedComponentsWithStats(filled, connectivity=8)
    if n <= 1:
        return np.zeros_like(found)
    areas = stats[1:, cv2.CC_STAT_AREA]
    keep = np.concatenate([[False], areas >= max(3, LEAST_SHARE * areas.max())])
    return np.asarray(keep[labels])


def nearest_component(found: Mask, point: tuple[float, float]) -> Mask:
    _, labels = cv2.connectedComponents(found.astype(np.uint8))
    ys, xs = np.nonzero(found)
    nearest = np.argmin((ys - point[0]) ** 2 + (xs - point[1]) ** 2)
    return np.asarray(labels == labels[ys[nearest], xs[nearest]])


def ellipse(window: Mask) -> Mask:
    ys, xs = np.nonzero(window)
    y, x = np.mgrid[0 : window.shape[0], 0 : window.shape[1]]
    semi_y, semi_x = (np.ptp(ys) + 1) / 2, (np.ptp(xs) + 1) / 2
    inside = ((y - ys.mean()) / semi_y) ** 2 + ((x - xs.mean()) / semi_x) ** 2 <= 1
    return np.asarray(inside & window)


def find_anywhere(picture: Image, where: str) -> Mask:
    """The one region that stands out from its surroundings in the whole picture."""
    levels = picture.astype(np.float32)
    side = max(9, min(picture.shape[:2]) // 6 | 1)
    ground = np.stack([cv2.medianBlur(np.ascontiguousarray(picture[:, :, c]), min(side, 99)) for c in range(3)], 2)
    off = np.abs(cv2.GaussianBlur(levels, (0, 0), 1.0) - ground).max(2)
    found = tidy(np.asarray(off > max(FROM_NOTHING * max(measure_grain(levels), 0.5), otsu(off))))
    if not found.any() or found.mean() > LARGEST_FROM_NOTHING:
        raise SynthError("no mask or box, and nothing stands out from the surface", where=where,
                         hint="give a mask column or x0,y0,x1,y1")  # fmt: skip
    return grow(found, 1)
