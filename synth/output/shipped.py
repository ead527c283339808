"""What every output format is made from: the kept images of a set, each known by its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.records import Mask


@dataclass(frozen=True)
class Shipped:
    """One kept image. image and mask: paths below the set's folder. box: around the mask. group: its donor's.

    host_group: its host's. Neither group may stand on the test side of a split that trains on this image.
    """

    variant_id: str
    label: str
    image: str
    mask: str
    width_px: int
    height_px: int
    box: tuple[int, int, int, int]
    group: str
    host_group: str


@dataclass(frozen=True)
class ShippedSet:
    """The kept images in the order of their numbers. classes: all of the label file, sorted, for numbering them."""

    folder: Path
    images: Sequence[Shipped]
    classes: tuple[str, ...]

    def mask_of(self, shipped: Shipped) -> Mask:
        """Read one mask, (h, w)."""
        from synth.files import read_mask

        return read_mask(self.folder / shipped.mask)


def shipped_of(record: Mapping[str, Any]) -> Shipped:
    """Take from a record's line what the formats need."""
    x0, y0, x1, y1 = record["box"]
    return Shipped(record["id"], record["label"], record["image"], record["mask"], record["size"][1], record["size"][0],
                   (x0, y0, x1, y1), record["group"], record["host"]["group"])  # fmt: skip
