"""YOLO (Ultralytics): a folder or zip with data.yaml and a text file per image, coordinates as shares of the image.

A line is "class x y w h" (the middle), perhaps with a score, or "class x1 y1 x2 y2 ..." for a polygon. An empty file
says that nothing is there; no file, that nobody looked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import yaml

from activesel.annotations import Annotation, Box, Polygon, Shape
from activesel.errors import DataError
from activesel.labels.fields import as_number, as_text, make_polygon, make_sized_box, shorten
from activesel.labels.formats import AnnotationFormat, register
from activesel.labels.lookup import ImageLookup
from activesel.labels.parcels import Glimpse, Parcel, open_parcel
from activesel.labels.said import Said
from activesel.labels.sheets import Item, Sheet

_SPLITS = ("train", "val", "valid", "test")
_LISTS = {f"{name}.txt" for name in (*_SPLITS, "classes", "readme", "notes", "requirements")}
_CLASS_LISTS = ("classes.txt", "obj.names")  # of older kinds, a name a line
_MOST_BYTES = 1 << 20  # of data.yaml and of lists
_SLACK = 0.001  # beyond 0..1, from rounding


def read_yolo(path: Path, lookup: ImageLookup) -> Iterator[Said]:
    """Yield what each text file says; images, and paths in data.yaml, are left alone."""
    with open_parcel(path) as parcel:
        classes = _read_classes(parcel)
        for name in _label_files(parcel):
            where = parcel.where(name)
            try:
                lines = parcel.read(name).decode("utf-8-sig").splitlines()
            except UnicodeDecodeError:
                raise DataError("not UTF-8", where=where) from None
            image_id = _find_image(name, lookup, where)
            size = lookup.size_of(image_id, where) if image_id else (1, 1)
            shapes = tuple(_read_line(line, classes, size, f"{where}:{number}")
                           for number, line in enumerate(lines, start=1) if line.strip())  # fmt: skip
            yield Said(where, name, Annotation(image_id, "", shapes=shapes))


def _label_files(parcel: Parcel) -> list[str]:
    texts = [name for name in parcel.names if name.lower().endswith(".txt") and name.rpartition("/")[2] not in _LISTS]
    below = [name for name in texts if any(_holds_labels(part) for part in name.split("/")[:-1])]
    if not (below or texts):
        raise DataError("no text file with labels", where=str(parcel.path), expected="labels/train/IMAGE.txt")
    return below or texts


def _holds_labels(folder: str) -> bool:
    return folder == "labels" or (folder.startswith("obj_") and folder.endswith("_data"))


def _find_image(name: str, lookup: ImageLookup, where: str) -> str:
    """Return the image that a text file is about: by what follows labels/, with or without the split's folder."""
    parts = name.removesuffix(".txt").removesuffix(".TXT").split("/")
    start = next((i for i in range(len(parts) - 2, -1, -1) if _holds_labels(parts[i])), -1) + 1
    found = lookup.by_stem("/".join(parts[start:]), where=where)
    if found is None and parts[start] in _SPLITS and len(parts) > start + 1:
        found = lookup.by_stem("/".join(parts[start + 1 :]), where=where)
    return found or ""


def _read_classes(parcel: Parcel) -> dict[int, str]:
    for name in sorted(parcel.names, key=lambda name: (name.count("/"), name)):
        last = name.rpartition("/")[2]
        if last.endswith((".yaml", ".yml")) and not last.startswith("."):
            return _parse_classes(parcel.read(name, _MOST_BYTES), parcel.where(name))
        if last in _CLASS_LISTS:
            lines = parcel.read(name, _MOST_BYTES).decode("utf-8-sig", errors="replace").split("\n")
            return {i: as_text(line, "a class", parcel.where(name)) for i, line in enumerate(lines) if line.strip()}
    raise DataError("no data.yaml with the names of the classes", where=str(parcel.path))


def _parse_classes(content: bytes, where: str) -> dict[int, str]:
    try:
        document = yaml.load(content, yaml.BaseLoader)  # every scalar a text: a class may be called "no"
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DataError("not YAML", where=where, found=shorten(str(error))) from None
    names = document.get("names") if isinstance(document, dict) else None
    pairs = list(names.items() if isinstance(names, dict) else enumerate(names) if isinstance(names, list) else ())
    if not isinstance(names, dict | list):
        raise DataError("no names of classes", where=where, expected="names: {0: crack, 1: fray}")
    return {int(as_number(key, "a class's number", where, low=0, high=1e6)): as_text(name, "a class", where)
            for key, name in pairs}  # fmt: skip


def _read_line(line: str, classes: dict[int, str], size: tuple[int, int], where: str) -> Shape:
    index, *values = line.split()
    number = as_number(index, "a class's number", where, low=0, high=1e6)
    if number not in classes:
        raise DataError("a class that data.yaml does not name", where=where, found=ascii(index)[:80])
    shares = [as_number(value, "a share", where, low=-_SLACK, high=1 + _SLACK) for value in values]
    name, (width, height) = classes[int(number)], size
    if len(shares) in (4, 5):
        x, y, w, h = shares[:4]
        corner = ((x - w / 2) * width, (y - h / 2) * height, w * width, h * height)
        return make_sized_box(name, corner, where, shares[4] if len(shares) == 5 else None)
    if len(shares) < 6 or len(shares) % 2:
        raise DataError("not a line of labels", where=where, found=f"{len(shares)} numbers after the class",
                        expected="4, or pairs for a polygon")  # fmt: skip
    return make_polygon(name, [(x * width, y * height) for x, y in zip(shares[::2], shares[1::2], strict=True)], where)


def write_yolo(sheet: Sheet) -> dict[str, str]:
    """Write data.yaml, train.txt and a text file for each image that somebody spoke about.

    The images belong under images/train, in the folders that train.txt names.

    Raises:
        DataError: two images would have one file.
    """
    numbers = {name: number for number, name in enumerate(sheet.classes)}
    files: dict[str, str] = {}
    listed = []
    for item in sheet.items:
        for one in item.opinions:
            name = item.name.lstrip("/")
            text = f"labels/train/{PurePosixPath(name).with_suffix('.txt')}"
            if text in files:
                raise DataError("two images whose names differ in nothing but the suffix", where=item.path, found=name)
            files[text] = "".join(_write_line(shape, numbers, item) for shape in one.shapes)
            listed.append(f"./images/train/{name}\n")
    document = {"path": "./", "train": "train.txt", "names": {number: name for name, number in numbers.items()}}
    return {
        "data.yaml": yaml.safe_dump(document, allow_unicode=True, sort_keys=False),
        "train.txt": "".join(listed),
        **files,
    }


def _write_line(shape: Shape, numbers: dict[str, int], item: Item) -> str:
    if isinstance(shape, Box):
        values = [(shape.x0 + shape.x1) / 2 / item.width, (shape.y0 + shape.y1) / 2 / item.height,
                  (shape.x1 - shape.x0) / item.width, (shape.y1 - shape.y0) / item.height]  # fmt: skip
    else:
        assert isinstance(shape, Polygon), "masks are left out"
        values = [share for x, y in shape.points for share in (x / item.width, y / item.height)]
    return " ".join([str(numbers[shape.name]), *(f"{value:.9g}" for value in values)]) + "\n"


def _looks_like(seen: Glimpse) -> bool:
    names = {name.rpartition("/")[2] for name in seen.names}
    named = any(name.endswith((".yaml", ".yml")) for name in names) or bool(names & set(_CLASS_LISTS))
    return named and any(name.endswith(".txt") for name in names)


register(AnnotationFormat("yolo", read_yolo, write_yolo, _looks_like, frozenset({"box", "polygon", "empty"}),
                          needs_sizes=True, several_files=True))  # fmt: skip
