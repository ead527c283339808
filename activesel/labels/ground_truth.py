"""SageMaker Ground Truth's augmented manifest: a JSON line per image, each label beside its ``-metadata``.

Boxes, a class of the whole image and, downloaded beside the manifest, masks of a semantic segmentation (``-ref``): a
class by its colour, the background left out. The rest goes into ``activesel``, which a labelling job passes through.
What a job added counts before what we wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from activesel.annotations import Annotation, Box, Role, Shape
from activesel.errors import DataError
from activesel.labels.fields import as_list, as_object, as_share, as_text, as_time, make_sized_box, shorten
from activesel.labels.formats import AnnotationFormat, register
from activesel.labels.json_files import read_lines, write_lines
from activesel.labels.lookup import SET_ASIDE, ImageLookup
from activesel.labels.parcels import Glimpse
from activesel.labels.pictures import decode, read_downloaded
from activesel.labels.said import Said, from_extras, to_extras
from activesel.labels.sheets import Item, Sheet
from activesel.labels.whole_masks import from_pixels
from activesel.settling import PEOPLE

_OURS, _BOXES, _VERDICT = "activesel", "activesel-boxes", "activesel-verdict"
_META = "-metadata"
_COLOURS, _BACKGROUND = "internal-color-map", "BACKGROUND"
_SIDES = ("left", "top", "width", "height")
Record = dict[str, Any]


def read_ground_truth(path: Path, lookup: ImageLookup) -> Iterator[Said]:
    """Yield what each line's labels say; a line without any is an image nobody labelled."""
    for where, record in read_lines(path):
        ours = as_object(record.get(_OURS) or {}, _OURS, where)
        name = record.get("source-ref")
        image_id = lookup.find(ours.get("image_id"), name, path.parent.absolute(), where=where)
        labels = {key: as_object(record[key + _META], key + _META, where) for key in record if key + _META in record}
        labels = {key: meta for key, meta in labels.items() if "failure-reason" not in meta}
        added = {key: meta for key, meta in labels.items() if key not in (_BOXES, _VERDICT)}
        known = {} if added else from_extras(ours, where)
        if added or labels or ours.get("skipped"):
            pictures = _Pictures(image_id, path.parent, lookup)
            yield Said(where, str(name), _read_labels(record, added or labels, pictures, known, where))


@dataclass(frozen=True)
class _Pictures:
    """Reads the masks of one image; of one that nobody knows there are none."""

    image_id: str
    folder: Path
    lookup: ImageLookup

    def read(self, url: object, meta: Record, where: str) -> list[Shape]:
        """Return a mask of each class of the colour map that has a pixel."""
        colours = _read_colours(meta, where)
        if self.image_id in ("", SET_ASIDE):
            return []
        content = read_downloaded(as_text(url, "a mask's place", where), self.folder, where)
        pixels = decode(content, self.lookup.size_of(self.image_id, where), where)
        numbers = pixels[..., :3].astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
        found = set(np.unique(numbers).tolist())
        if not found & colours.keys():
            raise DataError("a mask without any colour of its map", where=where, found=f"#{min(found):06x}")
        insides: dict[str, npt.NDArray[np.bool_]] = {}
        for number in sorted(found & colours.keys()):
            inside, name = numbers == number, colours[number]
            insides[name] = insides[name] | inside if name in insides else inside
        return [from_pixels(name, inside, where) for name, inside in insides.items() if name != _BACKGROUND]


def _read_colours(meta: Record, where: str) -> dict[int, str]:
    """Return the class of each colour, 0xRRGGBB."""
    colours: dict[int, str] = {}
    for one in as_object(meta.get(_COLOURS), _COLOURS, where).values():
        given = as_object(one, "a colour", where)
        name, told = (as_text(given.get(key), key, where) for key in ("class-name", "hex-color"))
        if not re.fullmatch("#[0-9a-fA-F]{6}", told):
            raise DataError("not a colour", where=where, found=ascii(told)[:80], expected="#rrggbb")
        if colours.setdefault(int(told[1:], 16), name) != name:
            raise DataError("two classes of one colour", where=where, found=ascii(told)[:80])
    return colours


def _read_labels(
    record: Record, labels: dict[str, Record], pictures: _Pictures, known: Record, where: str
) -> Annotation:
    """Return one opinion of all labels of a line. known: its fields, where we wrote the line ourselves."""
    image_id = pictures.image_id
    names: dict[str, float | None] = {}
    shapes: list[Shape] = []
    for key, meta in labels.items():
        value = record[key]
        if isinstance(value, dict) and "annotations" in value:
            shapes += _read_boxes(value, meta, where)
        elif _COLOURS in meta:
            shapes += pictures.read(value, meta, where)
        elif "class-name" in meta:
            score = as_share(meta.get("confidence"), "confidence", where)
            names[as_text(meta["class-name"], "class-name", where)] = score
        else:
            raise DataError("a label that cannot be held", where=where, found=ascii(meta.get("type", key))[:80],
                            expected="image-classification, object-detection or semantic-segmentation")  # fmt: skip
    if len(names) > 1:
        raise DataError("several classes for one whole image", where=where, found=shorten(", ".join(names)))
    name, score = next(iter(names.items()), (None, None))
    if known:
        return Annotation(image_id, name=name, shapes=tuple(shapes), **known)
    metas = list(labels.values())
    created = max((as_time(meta.get("creation-date"), "creation-date", where) for meta in metas), default="")
    by_model = all(meta.get("human-annotated") == "no" for meta in metas)
    return Annotation(image_id, "", Role.model if by_model else Role.annotator, name, tuple(shapes), created=created,
                      score=score)  # fmt: skip


def _read_boxes(value: Record, meta: Record, where: str) -> list[Box]:
    names = as_object(meta.get("class-map"), "class-map", where)
    objects = as_list(meta.get("objects", []), "objects", where)
    boxes = []
    for number, one in enumerate(as_list(value["annotations"], "annotations", where)):
        sides = as_object(one, "a box", where)
        name = names.get(str(sides.get("class_id")))
        if name is None:
            raise DataError(
                "a class that the class-map does not name", where=where, found=ascii(sides.get("class_id"))[:80]
            )
        score = as_object(objects[number], "an object", where).get("confidence") if number < len(objects) else None
        boxes.append(make_sized_box(name, [sides.get(key) for key in _SIDES], where, score))
    return boxes


def write_ground_truth(sheet: Sheet) -> dict[str, str]:
    """Write a line per image, with the label attributes activesel-boxes and activesel-verdict where there is one."""
    return {"manifest.jsonl": write_lines(_write_item(item, sheet) for item in sheet.items)}


def _write_item(item: Item, sheet: Sheet) -> Record:
    record: Record = {"source-ref": item.url, _OURS: {"image_id": item.image_id, "batch": sheet.batch_id}}
    for one in item.opinions:
        record[_OURS] |= to_extras(one)
        common = {"human-annotated": "yes" if one.role in PEOPLE else "no", "job-name": "activesel",
                  "creation-date": one.created.removesuffix("+00:00")}  # fmt: skip
        if one.name is not None:
            number = sheet.classes.index(one.name)
            record |= {_VERDICT: number, _VERDICT + _META: {"class-name": one.name, "confidence": one.score or 0,
                       "type": "groundtruth/image-classification", **common}}  # fmt: skip
        if one.shapes or (one.name is None and not one.skipped):
            record |= _write_boxes([box for box in one.shapes if isinstance(box, Box)], common, item, sheet.classes)
    return record


def _write_boxes(boxes: list[Box], common: Record, item: Item, classes: tuple[str, ...]) -> Record:
    placed = [dict(zip(_SIDES, (one.x0, one.y0, one.x1 - one.x0, one.y1 - one.y0), strict=True)) for one in boxes]
    numbered = [{"class_id": classes.index(one.name), **sides} for one, sides in zip(boxes, placed, strict=True)]
    size = {"width": item.width, "height": item.height, "depth": 3}
    objects = [{} if one.score is None else {"confidence": one.score} for one in boxes]
    return {_BOXES: {"image_size": [size], "annotations": numbered},
            _BOXES + _META: {"objects": objects, "class-map": {str(i): name for i, name in enumerate(classes)},
                             "type": "groundtruth/object-detection", **common}}  # fmt: skip


def _looks_like(seen: Glimpse) -> bool:
    return seen.has_object_with("source-ref")


register(AnnotationFormat("ground-truth", read_ground_truth, write_ground_truth, _looks_like, frozenset({
    "name", "box", "empty", "skipped", "shape_score", "annotator", "role", "created", "lead_time_s", "score",
    "guideline", "prelabel", "source", "external_id", "note"}), needs_sizes=True))  # fmt: skip
