"""labels.csv: the set as a label file, which `activesel synth`, `select` and `bench` read."""

from __future__ import annotations

import csv
import io

from synth.files import write_atomic
from synth.output.shipped import ShippedSet

COLUMNS = ("path", "label", "mask", "synthetic", "group", "host_group", "x0", "y0", "x1", "y1")


def write_table(shipped: ShippedSet) -> None:
    """Write labels.csv, its paths relative to the set's folder."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in shipped.images:
        writer.writerow([one.image, one.label, one.mask, 1, one.group, one.host_group, *one.box])
    write_atomic(shipped.folder / "labels.csv", text.getvalue())
