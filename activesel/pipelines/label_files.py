"""The label file that synth reads, from a workspace's labels or from one beside it, without what tests the model."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from activesel.catalog import Catalog
from activesel.errors import DataError
from activesel.ids import unpack_ids
from activesel.images import content_id
from activesel.labels import ImageLookup
from activesel.pipelines.defects import Outline, read_outlines
from activesel.workspace import Workspace, write_atomic
from synth.labels_file import LabelTable, read_labels
from synth.records import Box, Example
from synth.stocking import GenerateRequest

_BOX = ("x0", "y0", "x1", "y1")


def write_label_file(workspace: Workspace, request: GenerateRequest, folder: Path, masks: Path | None = None) -> Path:
    """Write labels.csv of what may be drawn from or into, named by its content; return its path, or that of
    ``request.labels`` where it may be used as it is.

    ``request.labels`` is read where it names a file, else the catalog with its metadata columns mask, part, group, x0,
    y0, x1, y1. Images of the evaluation stream, and all that share a group with one, are left out: they are to test
    what is trained. masks: path,mask or path,x0,y0,x1,y1 for rows that say nothing of where their defect is.

    Raises:
        DataError: no image has a label, or none is left. SynthError: a label file that is wrong.
    """
    with Catalog.open(workspace.catalog_place) as catalog:
        held = set(unpack_ids(catalog.batches.picked_ids("evaluation")))
        id_of = catalog.resolve()
    table = read_labels(request.labels, request.images, group_column=request.group_column) \
        if request.labels != Path() else _of_catalog(workspace, request.group_column)  # fmt: skip
    outlines = _by_id(masks, id_of) if masks is not None else {}
    is_held = {path: _id_of(path, id_of) in held for path in {one.path for one in table.examples}} if held else {}
    gold = {one.group for one in table.examples if is_held.get(one.path)}
    kept = [one for one in table.examples if one.group not in gold]
    if not kept:
        raise DataError("every labelled image is held out to test the model", where=table.source,
                        hint="label images that `activesel select` picked for training")  # fmt: skip
    if request.labels != Path() and not gold and not outlines:
        return request.labels
    rows = [row for one in kept for row in _locate(one, outlines.get(id_of.get(one.path, "?")))]
    text = _as_text(rows, table.parts)
    path = folder / f"labels-{hashlib.sha256(text.encode()).hexdigest()[:16]}.csv"
    write_atomic(path, text)
    return path


def _id_of(path: str, id_of: Mapping[str, str]) -> str | None:
    """Return the image's id, by its content where the workspace does not know the path: a copy is no other image."""
    if path in id_of or not Path(path).is_file():
        return id_of.get(path)
    return content_id(Path(path))


def _of_catalog(workspace: Workspace, group_column: str) -> LabelTable:
    with Catalog.open(workspace.catalog_place) as catalog:
        labels, images = catalog.labels(), catalog.images()
    if not labels:
        raise DataError("no image has a label", where=str(workspace.root),
                        hint="run `activesel ingest --labels FILE`, or name one with --labels")  # fmt: skip
    examples: list[Example] = []
    parts: dict[str, str] = {}
    for row in sorted(images, key=lambda one: one.path):
        if row.image_id not in labels:
            continue
        group = row.meta.get(group_column) or row.path
        mask, box = find_picture(row.meta.get("mask"), row.path), _box_of(row.meta, row.path)
        examples.append(Example(row.path, labels[row.image_id].name, group, mask, box))
        part = find_picture(row.meta.get("part"), row.path)
        parts |= {row.path: part} if part else {}
    return LabelTable(f"the labels of {workspace.root}", tuple(examples), parts)


def find_picture(name: str | None, image: str) -> str | None:
    """Return the path of a picture that a manifest names: absolute, or below the image's folder or one above it."""
    if not name:
        return None
    found = (parent / name.replace("\\", "/") for parent in Path(image).parents)
    return str(next((path for path in found if path.is_file()), Path(image).parent / name))


def _box_of(meta: Mapping[str, str], where: str) -> Box | None:
    texts = [meta.get(name, "") for name in _BOX]
    if not any(texts):
        return None
    try:
        x0, y0, x1, y1 = map(float, texts)
    except ValueError:
        raise DataError("not a box", where=where, found=",".join(texts), expected="four numbers") from None
    return x0, y0, x1, y1


def _by_id(masks: Path, id_of: Mapping[str, str]) -> dict[str, Outline]:
    lookup = ImageLookup(id_of)
    return {lookup.by_path(name, masks.absolute().parent, where=str(masks)) or "": one
            for name, one in read_outlines(masks).items()}  # fmt: skip


def _locate(example: Example, outline: Outline | None) -> list[Example]:
    """Return the row with what the table of masks says; several boxes are several rows."""
    if outline is None or example.mask is not None or example.box is not None:
        return [example]
    if outline.mask is not None:
        return [replace(example, mask=str(outline.mask))]
    return [replace(example, box=box) for box in outline.boxes]


def _as_text(rows: list[Example], parts: Mapping[str, str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "label", "mask", "part", "group", *_BOX])
    for one in rows:
        writer.writerow([one.path, one.label, one.mask or "", parts.get(one.path, ""), one.group,
                         *(one.box or ("",) * 4)])  # fmt: skip
    return text.getvalue()
