"""A set in the formats that trainers read. Adding one is a new file and its line below."""

from __future__ import annotations

from collections.abc import Callable

from synth.errors import SynthError
from synth.output.coco import write_coco
from synth.output.imagefolder import write_imagefolder
from synth.output.shipped import Shipped, ShippedSet, shipped_of
from synth.output.table import write_table
from synth.output.yolo import write_yolo

FORMATS: dict[str, Callable[[ShippedSet], None]] = {
    "coco": write_coco,
    "yolo": write_yolo,
    "imagefolder": write_imagefolder,
}

__all__ = ["FORMATS", "Shipped", "ShippedSet", "check_formats", "shipped_of", "write_formats"]


def check_formats(names: tuple[str, ...]) -> None:
    """Refuse a format that nobody wrote.

    Raises:
        SynthError: as said.
    """
    for name in names:
        if name not in FORMATS:
            raise SynthError("unknown format", found=repr(name), expected=", ".join(FORMATS))


def write_formats(shipped: ShippedSet, names: tuple[str, ...]) -> None:
    """Write labels.csv, and each of the named formats."""
    write_table(shipped)
    for name in names:
        FORMATS[name](shipped)
