"""COCO files, as whole-image labels and as opinions.

COCO knows classes of boxes and outlines only, and nobody's name. A class of the whole image is written as an
annotation around it with ``attributes.whole_image``; who said what, in a list ``opinions`` of our own, which other
tools pass over.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from activesel.annotations import Annotation, Box, Mask, Polygon, Shape
from activesel.errors import DataError
from activesel.labels.fields import as_list, as_object, as_text, as_whole, make_polygon, make_sized_box, shorten
from activesel.labels.formats import AnnotationFormat, register
from activesel.labels.json_files import read_document, write_document
from activesel.labels.lookup import ImageLookup
from activesel.labels.opinions import Opinion
from activesel.labels.parcels import Glimpse
from activesel.labels.registry import label_format
from activesel.labels.said import Said, from_extras, to_extras
from activesel.labels.sheets import Item, Sheet
from activesel.labels.whole_masks import from_runs, to_runs, unpack_runs

Record = dict[str, Any]
Note = tuple[str, Record, str]  # place, annotation, class


@label_format("coco", accepts=lambda path: path.suffix.lower() == ".json" and path.is_file())
def read_coco(path: Path, lookup: ImageLookup) -> Iterator[Opinion]:
    """Yield each annotated image with its rarest category; an image without annotations has no label.

    Rarest: the category on the fewest images of this file, the first by name among equals. A rare defect next to
    common ones is what a budget is for.
    """
    images, notes_by_image, _ = _read_sections(path)
    names_by_image = {key: {name for _, _, name in notes} for key, notes in notes_by_image.items()}
    n_images = Counter(name for names in names_by_image.values() for name in names)
    for key, names in names_by_image.items():
        where = f"{path}: image {shorten(str(key))}"
        image_id = lookup.by_path(images[key]["file_name"], path.parent.absolute(), where=where)
        yield Opinion(where, images[key]["file_name"], image_id, min(names, key=lambda name: (n_images[name], name)))


def read_coco_opinions(path: Path, lookup: ImageLookup) -> Iterator[Said]:
    """Yield the opinions about each image: those of our own list, else its annotations as one.

    An image without annotations and without an opinion of its own has none: COCO cannot tell "nothing is there" from
    "nobody looked".
    """
    images, notes_by_image, opinions_by_image = _read_sections(path)
    for key, image in images.items():
        where = f"{path}: image {shorten(str(key))}"
        known = opinions_by_image.get(key, {})
        grouped: dict[Any, list[Note]] = {one: [] for one in known}
        for note in notes_by_image.get(key, ()):
            opinion_id = note[1].get("opinion_id")
            grouped.setdefault(opinion_id if isinstance(opinion_id, int) and opinion_id in known else None, []).append(
                note
            )
        if not grouped:
            continue
        image_id = lookup.find(image.get("activesel_id"), image["file_name"], path.parent.absolute(), where=where)
        size = _size_of(image, where)
        for opinion_id, notes in grouped.items():
            fields = from_extras(known.get(opinion_id, {}), where)
            yield Said(where, image["file_name"], _to_annotation(image_id, notes, size, fields))


def _to_annotation(image_id: str, notes: list[Note], size: tuple[int, int] | None, fields: Record) -> Annotation:
    wholes = [name for _, note, name in notes if _is_whole(note)]
    if len(set(wholes)) > 1:
        raise DataError(
            "two classes for one whole image", where=notes[0][0], found=shorten(", ".join(sorted(set(wholes))))
        )
    shapes = [shape for where, note, name in notes if not _is_whole(note)
              for shape in _to_shapes(note, name, size, where)]  # fmt: skip
    return Annotation(image_id, name=wholes[0] if wholes else None, shapes=tuple(shapes), **fields)


def _is_whole(note: Record) -> bool:
    attributes = note.get("attributes")
    marked = isinstance(attributes, dict) and attributes.get("whole_image") is True
    return marked or not (note.get("bbox") or note.get("segmentation"))


def _to_shapes(note: Record, name: str, size: tuple[int, int] | None, where: str) -> list[Shape]:
    """Return one box, one mask, or a polygon for each part of an outline."""
    outline, bbox, score = note.get("segmentation"), note.get("bbox"), note.get("score")
    if isinstance(outline, dict):
        return [_to_mask(note, name, size, where)]
    if outline:
        parts = [as_list(part, "a part of a segmentation", where) for part in as_list(outline, "segmentation", where)]
        return [make_polygon(name, [part[i : i + 2] for i in range(0, len(part), 2)], where, score) for part in parts]
    return [make_sized_box(name, as_list(bbox, "bbox", where), where, score)]


def _to_mask(note: Record, name: str, size: tuple[int, int] | None, where: str) -> Mask:
    outline = as_object(note["segmentation"], "segmentation", where)
    height, width = _pair(outline.get("size"), where)
    if size is not None and size != (width, height):
        raise DataError("a mask of another size than its image", where=where, found=f"{width} x {height}",
                        expected=f"{size[0]} x {size[1]}")  # fmt: skip
    counts = outline.get("counts")
    runs = unpack_runs(counts, where) if isinstance(counts, str) else [
        as_whole(run, "a run", where) for run in as_list(counts, "counts", where)]  # fmt: skip
    bbox = note.get("bbox")
    whole = isinstance(bbox, list) and len(bbox) == 4 and all(isinstance(one, int) for one in bbox)
    frame = (bbox[0], bbox[1], bbox[2], bbox[3]) if bbox and whole else None
    return from_runs(name, (height, width), runs, where, frame, note.get("score"), order="F")


def _pair(value: object, where: str) -> tuple[int, int]:
    pair = as_list(value, "size", where)
    if len(pair) != 2:
        raise DataError("size is not height and width", where=where, found=ascii(value)[:80])
    return as_whole(pair[0], "height", where), as_whole(pair[1], "width", where)


def _size_of(image: Record, where: str) -> tuple[int, int] | None:
    if not image.get("width") or not image.get("height"):
        return None
    return as_whole(image["width"], "width", where), as_whole(image["height"], "height", where)


def _read_sections(path: Path) -> tuple[dict[Any, Record], dict[Any, list[Note]], dict[Any, dict[int, Record]]]:
    """Return the images by id, their annotations, and their opinions by id; every reference is checked."""
    document = _read_document(path)
    images = {image["id"]: image for image in _records(document, "images", ("id", "file_name"), path)}
    for image in images.values():
        image["file_name"] = str(image["file_name"])
    names = {one["id"]: as_text(one["name"], "a category's name", str(path))
             for one in _records(document, "categories", ("id", "name"), path)}  # fmt: skip
    notes_by_image: dict[Any, list[Note]] = defaultdict(list)
    for number, note in enumerate(_records(document, "annotations", ("image_id", "category_id"), path)):
        where = f"{path}: annotations[{number}]"
        if note["image_id"] not in images or note["category_id"] not in names:
            ids = f"image_id {note['image_id']}, category_id {note['category_id']}"
            raise DataError("an annotation of an image or category that is not in the file", where=where,
                            found=shorten(ids))  # fmt: skip
        notes_by_image[note["image_id"]].append((where, note, names[note["category_id"]]))
    opinions_by_image: dict[Any, dict[int, Record]] = defaultdict(dict)
    for number, one in enumerate(_records(document, "opinions", ("id", "image_id"), path)):
        if one["image_id"] not in images:
            raise DataError("an opinion about an image that is not in the file", where=f"{path}: opinions[{number}]",
                            found=shorten(f"image_id {one['image_id']}"))  # fmt: skip
        opinions_by_image[one["image_id"]][one["id"]] = one
    return images, notes_by_image, opinions_by_image


def _read_document(path: Path) -> Record:
    document = read_document(path)
    if not isinstance(document, dict):
        raise DataError("not a COCO file", where=str(path), found=type(document).__name__,
                        expected="an object with images, annotations, categories")  # fmt: skip
    return document


def _records(document: Record, section: str, keys: tuple[str, ...], path: Path) -> list[Record]:
    """Return one section's objects, making sure that each has its keys and that ids can be compared."""
    records = document.get(section, [])
    if not isinstance(records, list):
        raise DataError(f"{section} is not a list", where=str(path), found=type(records).__name__)
    for number, record in enumerate(records):
        good = isinstance(record, dict) and all(isinstance(record.get(key), str | int) for key in keys)
        if not good:
            raise DataError("an entry is incomplete", where=f"{path}: {section}[{number}]",
                            expected="an object with " + " and ".join(keys))  # fmt: skip
    return records


def write_coco(sheet: Sheet) -> dict[str, str]:
    """Write images in the sheet's order, categories numbered by the sheet's classes from 1."""
    images: list[Record] = []
    annotations: list[Record] = []
    opinions: list[Record] = []
    numbers = {name: number for number, name in enumerate(sheet.classes, start=1)}
    for image_number, item in enumerate(sheet.items, start=1):
        images.append({"id": image_number, "file_name": item.path, "width": item.width, "height": item.height,
                       "activesel_id": item.image_id})  # fmt: skip
        for one in item.opinions:
            opinions.append({"id": len(opinions) + 1, "image_id": image_number, **to_extras(one)})
            notes = ([_whole_note(one.name, item)] if one.name is not None else []) + [
                _shape_note(shape, item) for shape in one.shapes]  # fmt: skip
            for note in notes:
                annotations.append({"id": len(annotations) + 1, "image_id": image_number,
                                    "category_id": numbers[note.pop("name")], "iscrowd": 0, **note,
                                    "opinion_id": len(opinions)})  # fmt: skip
    document = {"info": {"description": f"activesel batch {sheet.batch_id}"}, "images": images,
                "annotations": annotations, "opinions": opinions,
                "categories": [{"id": number, "name": name} for name, number in numbers.items()]}  # fmt: skip
    return {"annotations.json": write_document(document)}


def _whole_note(name: str, item: Item) -> Record:
    return {"name": name, "area": item.width * item.height, "bbox": [0, 0, item.width, item.height],
            "attributes": {"whole_image": True}}  # fmt: skip


def _shape_note(shape: Shape, item: Item) -> Record:
    score = {} if shape.score is None else {"score": shape.score}
    if isinstance(shape, Box):
        width, height = shape.x1 - shape.x0, shape.y1 - shape.y0
        return {"name": shape.name, "area": width * height, "bbox": [shape.x0, shape.y0, width, height],
                "segmentation": [], **score}  # fmt: skip
    if isinstance(shape, Polygon):
        xs, ys = [x for x, _ in shape.points], [y for _, y in shape.points]
        twice = sum(x0 * y1 - x1 * y0 for x0, y0, x1, y1 in zip(xs, ys, xs[1:] + xs[:1], ys[1:] + ys[:1], strict=True))
        return {"name": shape.name, "area": abs(twice) / 2,
                "bbox": [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)],
                "segmentation": [[value for point in shape.points for value in point]], **score}  # fmt: skip
    runs = to_runs(shape, item.width, item.height, order="F")
    return {"name": shape.name, "area": sum(shape.runs[1::2]),
            "bbox": [shape.left, shape.top, shape.width, shape.height],
            "segmentation": {"counts": runs, "size": [item.height, item.width]}, **score}  # fmt: skip


def _looks_like(seen: Glimpse) -> bool:
    return seen.has_object_with("images", "categories", "annotations") and not seen.has_object_with(
        "data_row", "dataRow", "source-ref", "reference_id", "spans", "task_id")  # fmt: skip


register(AnnotationFormat("coco", read_coco_opinions, write_coco, _looks_like, frozenset({
    "name", "box", "polygon", "mask", "empty", "several", "shape_score", "annotator", "role", "skipped", "created",
    "lead_time_s", "score", "guideline", "prelabel", "source", "external_id", "note"})))  # fmt: skip
