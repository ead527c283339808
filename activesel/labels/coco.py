"""Labels from a COCO file: the categories of an image's annotations become one label of the whole image."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from activesel.errors import DataError
from activesel.labels.lookup import ImageLookup
from activesel.labels.opinions import Opinion
from activesel.labels.registry import label_format


@label_format("coco", accepts=lambda path: path.suffix.lower() == ".json" and path.is_file())
def read_coco(path: Path, lookup: ImageLookup) -> Iterator[Opinion]:
    """Yield each annotated image with its rarest category; an image without annotations has no label.

    Rarest: the category on the fewest images of this file, the first by name among equals. A rare defect next to
    common ones is what a budget is for.
    """
    document = _read_document(path)
    images = {image["id"]: str(image["file_name"]) for image in _records(document, "images", ("id", "file_name"), path)}
    names = {one["id"]: str(one["name"]) for one in _records(document, "categories", ("id", "name"), path)}
    categories_by_image: dict[Any, set[str]] = defaultdict(set)
    for number, note in enumerate(_records(document, "annotations", ("image_id", "category_id"), path)):
        if note["image_id"] not in images or note["category_id"] not in names:
            raise DataError("an annotation of an image or category that is not in the file",
                            where=f"{path}: annotations[{number}]",
                            found=f"image_id {note['image_id']}, category_id {note['category_id']}")  # fmt: skip
        categories_by_image[note["image_id"]].add(names[note["category_id"]])
    n_images = Counter(name for categories in categories_by_image.values() for name in categories)
    for key, categories in categories_by_image.items():
        where = f"{path}: image {key}"
        image_id = lookup.by_path(images[key], path.parent.absolute(), where=where)
        yield Opinion(where, images[key], image_id, min(categories, key=lambda name: (n_images[name], name)))


def _read_document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError("not valid JSON", where=str(path), found=str(error)) from None
    if not isinstance(document, dict):
        raise DataError("not a COCO file", where=str(path), found=type(document).__name__,
                        expected="an object with images, annotations, categories")  # fmt: skip
    return document


def _records(document: dict[str, Any], section: str, keys: tuple[str, ...], path: Path) -> list[dict[str, Any]]:
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
