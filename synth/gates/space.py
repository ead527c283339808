"""Where likeness is measured: crops of defects as vectors, by the caller's embedder or by what can be counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from synth.background import grow
from synth.gates.registry import grey_of
from synth.gates.seam import gradient
from synth.grain import measure_grain
from synth.records import Donor, Embedder, Host, Image, Mask, Variant
from synth.visibility import visible_mask

Rows = npt.NDArray[np.float32]  # (n, d)

RIM_PX = 6  # of background around a defect's box: as much as a donor brings along
THUMB_PX = 24


@dataclass(frozen=True)
class Crop:
    """picture: (h, w, 3) around a defect. mask: (h, w). group: of the part or lot it comes from."""

    picture: Image
    mask: Mask
    group: str


def cut(picture: Image, mask: Mask, group: str) -> Crop:
    """Return the box of the mask and ``RIM_PX`` around it."""
    x, y, w, h = cv2.boundingRect(mask.view(np.uint8))
    window = np.s_[max(0, y - RIM_PX) : y + h + RIM_PX, max(0, x - RIM_PX) : x + w + RIM_PX]
    return Crop(np.ascontiguousarray(picture[window]), np.ascontiguousarray(mask[window]), group)


def donor_crop(donor: Donor) -> Crop:
    """Return a real defect's crop, framed as a variant's is: by what differs from the ground, not by a drawn outline.

    Annotators stop at a crack's core where a computed label includes its soft skirt: 17 px wide here, 20 px there.
    """
    picture = donor.picture.astype(np.float32)
    grain = measure_grain(picture, ~grow(donor.mask, 3))
    seen = visible_mask(picture, donor.background, donor.mask, grain)
    return cut(donor.picture, seen if seen.any() else donor.mask, donor.group)


def variant_crop(variant: Variant, group: str) -> Crop:
    return cut(variant.picture, variant.mask, group)


def untouched_crop(variant: Variant, host: Host) -> Crop:
    """Return the host where the variant was meant to differ."""
    return cut(host.picture, variant.meant, host.group)


def describe(crops: Sequence[Crop], embed: Embedder | None) -> Rows:
    """Return (n, d) vectors whose distances tell how alike two defects look; unit rows with an embedder."""
    if not crops:
        return np.zeros((0, 1), np.float32)
    if embed is not None:
        return np.asarray(embed([crop.picture for crop in crops]), np.float32)
    return np.stack([count_looks(crop) for crop in crops])


def count_looks(crop: Crop) -> npt.NDArray[np.float32]:
    """Return (14,) figures of a crop against its own rim, each scaled so that 1 is a difference one sees.

    Of the mask only the box is used: annotators and computed masks draw outlines differently, which is no difference
    between defects.
    """
    grey, slopes = grey_of(crop.picture), gradient(crop.picture)
    rim = np.ones(grey.shape, bool)
    rim[3:-3, 3:-3] = False
    level = float(np.median(grey[rim]))
    off = np.abs(grey - level)
    strongest = off >= np.quantile(off, 0.95)
    tint = crop.picture[strongest].mean(axis=0) - crop.picture[rim].mean(axis=0)
    height, width = grey.shape
    looks = [
        *((np.quantile(grey, [0.01, 0.1, 0.5, 0.9, 0.99]) - level) / 16),
        float(grey[rim].std()) / 8,
        *(np.quantile(slopes, [0.5, 0.9, 0.98]) / 8),
        float(slopes[rim].mean()) / 6,
        np.log(height * width) / 1.4,
        abs(np.log(height / width)) / 0.8,
        float(tint[0] - tint[1]) / 12,
        float(tint[1] - tint[2]) / 12,
    ]
    return np.asarray(looks, np.float32)


def thumbnails(crops: Sequence[Crop]) -> Rows:
    """Return (n, 576) small grey pictures, mean 0 and length 1: their cosine tells a copy from a relative."""
    rows = np.zeros((len(crops), THUMB_PX * THUMB_PX), np.float32)
    for i, crop in enumerate(crops):
        grey = cv2.cvtColor(crop.picture, cv2.COLOR_RGB2GRAY)
        small = cv2.resize(grey, (THUMB_PX, THUMB_PX), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
        small -= small.mean()
        rows[i] = small / max(float(np.linalg.norm(small)), 1e-6)
    return rows


def likeness_rows(crops: Sequence[Crop], described: Rows, embed: Embedder | None) -> Rows:
    """Return unit rows (n, d) whose cosine finds copies: thumbnails, or what ``describe`` gave with an embedder."""
    return described if embed is not None else thumbnails(crops)


def distances(rows: Rows, to: Rows) -> Rows:
    """Return Euclidean distances (n, m)."""
    squared = (rows**2).sum(1)[:, None] + (to**2).sum(1)[None, :] - 2 * rows @ to.T
    return np.asarray(np.sqrt(np.maximum(squared, 0)), np.float32)
