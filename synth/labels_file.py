"""Read labels.csv: path,label[,mask][,part][,group][,x0,y0,x1,y1]; opens no image."""

from __future__ import annotations

import csv
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from synth.errors import SynthError
from synth.records import Box, Example

_BOX = ("x0", "y0", "x1", "y1")


@dataclass(frozen=True)
class LabelTable:
    """What a label file says. examples: in its order, one for each defect. parts: image -> mask of the part."""

    source: str
    examples: tuple[Example, ...]
    parts: Mapping[str, str]

    @property
    def n_by_class(self) -> dict[str, int]:
        """Rows per class, the most frequent first, then by name."""
        counts = Counter(example.label for example in self.examples)
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def read_labels(path: Path, images: Path | None = None, *, group_column: str = "group") -> LabelTable:
    """Read a label file. Relative paths start at ``images``, else at the file's own folder.

    Rows with an empty label are images not labelled yet and are left out. Without a group column, or with an empty
    value, every image is its own group. Other columns are left alone.

    Raises:
        SynthError: missing columns, a row too short, a box that is none; the line is named.
    """
    folder = (images or path.parent).absolute()
    examples: list[Example] = []
    parts: dict[str, str] = {}
    for where, row in _rows(path):
        if not row["path"]:
            raise SynthError("a row names no image", where=where)
        if not row["label"]:
            continue
        image = _locate(folder, row["path"])
        mask = _locate(folder, row["mask"]) if row.get("mask") else None
        group = row.get(group_column) or row["path"]
        examples.append(Example(image, row["label"], group, mask, _box_of(row, where)))
        if row.get("part"):
            parts[image] = _locate(folder, row["part"])
    if not examples:
        raise SynthError("no row has a label", where=str(path), expected="path,label[,mask][,group][,x0,y0,x1,y1]")
    return LabelTable(str(path), tuple(examples), parts)


def examples_of(table: LabelTable, label: str) -> list[Example]:
    """Return the rows of one class; none is no error here: recipes need no example."""
    return [example for example in table.examples if example.label == label]


def _locate(folder: Path, name: str) -> str:
    return os.path.normpath(folder / name.replace("\\", "/"))


def _box_of(row: Mapping[str, str], where: str) -> Box | None:
    texts = [row.get(name, "") for name in _BOX]
    if not any(texts):
        return None
    try:
        x0, y0, x1, y1 = map(float, texts)
        is_box = math.isfinite(x0 + y0 + x1 + y1) and x0 < x1 and y0 < y1
    except ValueError:
        is_box = False
    if not is_box:
        raise SynthError("not a box", where=where, found=",".join(texts),
                         expected="four numbers with x0 < x1 and y0 < y1")  # fmt: skip
    return x0, y0, x1, y1


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            columns = [name.strip() for name in next(reader, [])]
            if not {"path", "label"} <= set(columns):
                raise SynthError("not the columns of a label file", where=str(path),
                                 found=", ".join(columns)[:120] or "an empty file", expected="path,label")  # fmt: skip
            for values in filter(None, reader):
                where = f"{path}:{reader.line_num}"
                if len(values) != len(columns):
                    raise SynthError("wrong number of values", where=where, found=str(len(values)),
                                     expected=f"{len(columns)}, as the first line has")  # fmt: skip
                yield where, dict(zip(columns, map(str.strip, values), strict=True))
    except OSError as error:
        raise SynthError("cannot read the label file", where=str(path), found=error.strerror or str(error)) from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise SynthError("not a CSV file in UTF-8", where=str(path), found=str(error)) from None
