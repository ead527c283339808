"""YOLO: labels/NAME.txt beside images/NAME, and data.yaml; which images are synthetic, and from where, as comments."""

from __future__ import annotations

import json

from synth.files import write_atomic
from synth.output.shipped import ShippedSet


def write_yolo(shipped: ShippedSet) -> None:
    """Write a text file per image, "class x y w h" as shares of the picture, x and y the box's centre; and data.yaml.

    Files of images that left the set are removed. YOLO has no field for it, so data.yaml says as a comment that the
    images are synthetic; each name begins with "synth-"; labels.csv has the groups.
    """
    number_of = {name: i for i, name in enumerate(shipped.classes)}
    folder = shipped.folder / "labels"
    for leftover in folder.glob("synth-*.txt"):
        leftover.unlink()
    for one in shipped.images:
        x0, y0, x1, y1 = one.box
        shares = ((x0 + x1) / 2 / one.width_px, (y0 + y1) / 2 / one.height_px,
                  (x1 - x0) / one.width_px, (y1 - y0) / one.height_px)  # fmt: skip
        line = f"{number_of[one.label]} " + " ".join(f"{share:.6f}" for share in shares) + "\n"
        write_atomic(folder / f"{one.variant_id}.txt", line)
    names = "".join(f"  {i}: {json.dumps(name, ensure_ascii=False)}\n" for name, i in number_of.items())
    head = ("# Every image is synthetic, its source groups are in labels.csv. Add the folder to the train: list of\n"
            "# your own data.yaml; there is no val: here: nothing should be tested on synthetic images.\n")  # fmt: skip
    write_atomic(shipped.folder / "data.yaml", f"{head}path: .\ntrain: images\nnames:\n{names}")
