"""ImageFolder: imagefolder/CLASS/NAME, hard links to images/ where the disk allows."""

from __future__ import annotations

import os
import shutil

from synth.files import inside
from synth.output.shipped import ShippedSet


def write_imagefolder(shipped: ShippedSet) -> None:
    """Make the folder anew. Each name begins with "synth-", which flags it; labels.csv has the groups."""
    root = shipped.folder / "imagefolder"
    if root.is_symlink():
        root.unlink()
    shutil.rmtree(root, ignore_errors=True)
    for one in shipped.images:
        target = inside(root, one.label, one.image.rpartition("/")[2])
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(shipped.folder / one.image, target)
        except OSError:  # a file system without links
            shutil.copyfile(shipped.folder / one.image, target)
