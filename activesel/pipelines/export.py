"""The story of `activesel export --format`: a stored batch as its files are, as COCO, or as a list of paths."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from activesel.catalog import Catalog
from activesel.errors import DataError, UsageError
from activesel.pipelines.batch_file import BatchFile, read_batch
from activesel.pipelines.batch_names import find_batch as find_batch
from activesel.workspace import Workspace, write_atomic

Export = Callable[[Workspace, BatchFile], str]


def export_batch(workspace: Workspace, batch_id: str, format_name: str, out: Path, *, dry_run: bool = False) -> int:
    """Write a batch to ``out``, atomically, in a dry run not at all; return the number of images.

    Raises:
        UsageError: an unknown format, or ``out`` is a folder. DataError: no such batch. UnreachableError: a full disk.
    """
    if format_name not in FORMATS:
        raise UsageError("unknown format", found=repr(format_name), expected=", ".join(FORMATS))
    if out.is_dir():
        raise UsageError("--out is a folder", where=str(out), expected="a file")
    batch = read_batch(workspace, batch_id)
    content = FORMATS[format_name](workspace, batch)
    if not dry_run:
        write_atomic(out, content)
    return len(batch.picks)


def _as_csv(workspace: Workspace, batch: BatchFile) -> str:
    return _stored(workspace, batch, "batch.csv")


def _as_json(workspace: Workspace, batch: BatchFile) -> str:
    return _stored(workspace, batch, "batch.json")


def _stored(workspace: Workspace, batch: BatchFile, name: str) -> str:
    path = workspace.batches_dir / batch.batch_id / name
    try:
        return path.read_text(encoding="utf8")
    except FileNotFoundError:
        raise DataError("a file of this batch is gone", where=str(path), hint="run the select again") from None


def _as_list(_workspace: Workspace, batch: BatchFile) -> str:
    broken = next((pick.path for pick in batch.picks if "\n" in pick.path or "\r" in pick.path), None)
    if broken is not None:
        raise DataError("a file name holds a line break, which a list cannot show", found=repr(broken),
                        hint="rename it, or use --format csv or json")  # fmt: skip
    return "".join(f"{pick.path}\n" for pick in batch.picks)


def _as_coco(workspace: Workspace, batch: BatchFile) -> str:
    """A COCO file: images in the order of the picks, categories of all known classes.

    An image labelled since carries its label as one annotation around the whole image: the label says no more.
    """
    with Catalog.open(workspace.catalog_place) as catalog:
        labels = catalog.labels_of(pick.image_id for pick in batch.picks)
        sizes = catalog.sizes_of(pick.image_id for pick in batch.picks)
        names = catalog.label_columns().names
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, pick in enumerate(batch.picks, start=1):
        width, height = sizes.get(pick.image_id, (0, 0))  # its file left the catalog since; the tool will complain
        images.append({"id": number, "file_name": pick.path, "width": width, "height": height})
        if pick.image_id in labels:
            annotations.append({
                "id": len(annotations) + 1, "image_id": number, "iscrowd": 0, "area": width * height,
                "category_id": names.index(labels[pick.image_id]) + 1, "bbox": [0, 0, width, height],
            })  # fmt: skip
    document = {
        "info": {"description": f"activesel batch {batch.batch_id}", "date_created": batch.created},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in enumerate(names, start=1)],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


FORMATS: dict[str, Export] = {"csv": _as_csv, "json": _as_json, "coco": _as_coco, "list": _as_list}
