"""Real defects, each cut out with a rim of its own ground, its direction, its place and what the ground would be."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from synth.background import fill_background, grow
from synth.errors import SynthError, Unmarked
from synth.masks import check_mask, find_mask
from synth.records import Donor, Example, Image, Levels, Mask

LOG = logging.getLogger(__name__)
RIM_PX = 8  # own ground around the mask: room for the feather and for elastic shifts
JOIN_SHARE = 0.03  # of the short side: fragments nearer than this are one defect
LEAST_PX = 4
LEAST_SHARE = 0.02  # of the image's largest defect: smaller specks are the annotator's

Read = Callable[[Path], Image]
FindPart = Callable[[Image], Mask]


def build_bank(examples: Sequence[Example], read: Read, *, label: str, part: FindPart | None = None) -> list[Donor]:
    """Return the defects of this label, several where an image shows several, in the order of the examples.

    read: decodes a file to (h, w, 3); masks are read with it too. part: where the product is, or the whole image.
    An example without mask or box in which nothing stands out, or with an empty mask, is left out with a warning.
    Raises: SynthError where no example has the label, all are left out, or a mask does not fit its image.
    """
    wanted = [example for example in examples if example.label == label]
    if not wanted:
        others = ", ".join(sorted({example.label for example in examples})) or "no example at all"
        raise SynthError("no defect of this class", found=others, expected=label)
    donors: list[Donor] = []
    unmarked: list[Unmarked] = []
    for example in wanted:
        picture = read(Path(example.path))
        try:
            mask = mask_of(example, picture, read)
        except Unmarked as error:
            unmarked.append(error)
            continue
        ground = part(picture) if part else np.ones(mask.shape, bool)
        background = fill_background(picture, mask)
        donors += [cut_out(example, picture, one, background, ground) for one in defects_of(example, mask)]
    if unmarked and not donors:
        raise unmarked[0]
    for reason in unmarked:
        LOG.warning("left out of the bank of %s: %s", label, reason)
    return donors


def mask_of(example: Example, picture: Image, read: Read) -> Mask:
    if example.mask is not None:
        return check_mask(read(Path(example.mask)), picture, where=example.mask)
    return find_mask(picture, example.box, where=example.path)


def defects_of(example: Example, mask: Mask) -> list[Mask]:
    """A box marks one defect, however many fragments were found in it; a mask marks as many as it shows."""
    return [mask] if example.mask is None and example.box is not None else split_defects(mask)


def split_defects(mask: Mask) -> list[Mask]:
    """The mask's defects, largest first: fragments close together are one, specks are none."""
    reach = max(2, round(JOIN_SHARE * min(mask.shape) / 2))
    _, labels = cv2.connectedComponents(grow(mask, reach).astype(np.uint8), connectivity=8)
    areas = np.bincount(labels[mask])
    order = [int(i) for i in np.argsort(-areas, kind="stable") if areas[i] > 0 and i > 0]
    least = max(LEAST_PX, LEAST_SHARE * areas.max())
    return [mask & (labels == i) for i in order if areas[i] >= least] or [mask]


def cut_out(example: Example, picture: Image, mask: Mask, background: Levels, part: Mask) -> Donor:
    """One donor: crop with rim; other defects in the crop are painted over with the ground."""
    ys, xs = np.nonzero(mask)
    height, width = mask.shape
    y0, y1 = max(0, ys.min() - RIM_PX), min(height, ys.max() + 1 + RIM_PX)
    x0, x1 = max(0, xs.min() - RIM_PX), min(width, xs.max() + 1 + RIM_PX)
    cut = slice(y0, y1), slice(x0, x1)
    near = grow(mask, RIM_PX // 2)[cut][:, :, None]
    ground = background[cut].astype(np.float32)
    crop = np.where(near, picture[cut], np.clip(np.rint(ground), 0, 255)).astype(np.uint8)
    ground = np.where(near, ground, crop).astype(np.float32)
    angle, elongation = direction(mask)
    inside = mask[cut]
    return Donor(
        donor_id=fingerprint(crop, inside), label=example.label, path=example.path, group=example.group,
        picture=crop, mask=inside, background=ground, angle_rad=angle, elongation=elongation,
        place=place_on(part, ys, xs), at_edge=edges(mask),
        contrast=float(np.abs(crop[inside].astype(np.float32) - ground[inside]).mean()),
    )  # fmt: skip


def fingerprint(crop: Image, mask: Mask) -> str:
    digest = hashlib.sha256(str(crop.shape).encode())
    digest.update(np.ascontiguousarray(crop).tobytes())
    digest.update(np.packbits(mask).tobytes())
    return digest.hexdigest()[:16]


def direction(mask: Mask) -> tuple[float, float]:
    """The long axis against x, -pi/2 .. pi/2 (positive: down to the right), and long / short axis, >= 1."""
    ys, xs = np.nonzero(mask)
    spread = np.cov(np.stack([xs, ys])) if len(ys) > 1 else np.zeros((2, 2))
    values, vectors = np.linalg.eigh(spread + np.eye(2) / 12)  # 1/12: a pixel's own spread
    x, y = vectors[:, 1]
    angle = float(np.arctan2(y, x))
    angle = (angle + np.pi / 2) % np.pi - np.pi / 2
    return angle, float(np.sqrt(values[1] / values[0]))


def edges(mask: Mask) -> tuple[bool, bool, bool, bool]:
    """Whether the mask reaches the image's top, bottom, left, right (within a pixel)."""
    return bool(mask[:2].any()), bool(mask[-2:].any()), bool(mask[:, :2].any()), bool(mask[:, -2:].any())


def place_on(part: Mask, ys: npt.NDArray[np.intp], xs: npt.NDArray[np.intp]) -> tuple[float, float]:
    rows, cols = np.nonzero(part.any(1))[0], np.nonzero(part.any(0))[0]
    if not len(rows):
        rows, cols = np.arange(part.shape[0]), np.arange(part.shape[1])
    share_y = ((ys.min() + ys.max() + 1) / 2 - rows[0]) / (rows[-1] + 1 - rows[0])
    share_x = ((xs.min() + xs.max() + 1) / 2 - cols[0]) / (cols[-1] + 1 - cols[0])
    return float(np.clip(share_y, 0, 1)), float(np.clip(share_x, 0, 1))
