"""Pascal VOC: a folder or zip with an XML file per image. Boxes only; a file without any says that nothing is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from activesel.annotations import Annotation, Box
from activesel.errors import DataError
from activesel.labels.fields import make_box
from activesel.labels.formats import AnnotationFormat, register
from activesel.labels.lookup import ImageLookup
from activesel.labels.markup import Node, escaped, in_chunks, read_elements
from activesel.labels.parcels import Glimpse, is_zip, open_parcel, read_file
from activesel.labels.said import Said
from activesel.labels.sheets import Item, Sheet

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_MOST_BYTES = 16 << 20  # of one image's file


def read_voc(path: Path, lookup: ImageLookup) -> Iterator[Said]:
    """Yield what each XML file says; other files are left alone."""
    if path.is_file() and not is_zip(path):
        yield _read_one(read_file(path, _MOST_BYTES), str(path), path.parent.absolute(), lookup)
        return
    with open_parcel(path) as parcel:
        names = [name for name in parcel.names if name.lower().endswith(".xml")]
        if not names:
            raise DataError("no XML file", where=str(path), expected="one per image")
        for name in names:
            yield _read_one(parcel.read(name, _MOST_BYTES), parcel.where(name), path.absolute(), lookup)


def _read_one(content: bytes, where: str, folder: Path, lookup: ImageLookup) -> Said:
    root, *nodes = read_elements(in_chunks(content), where)
    if root.tag != "annotation":
        raise DataError("not a VOC file", where=root.where, found=f"<{root.tag[:80]}>", expected="<annotation>")
    texts = {node.tag: node.text.strip() for node in nodes}
    name = texts.get("filename", "")
    image_id = (lookup.by_url(texts["path"], folder, where=where) if texts.get("path") else None) or lookup.find(
        None, name, folder, where=where)  # fmt: skip
    boxes = tuple(_read_object(node) for node in nodes if node.tag == "object")
    return Said(where, name, Annotation(image_id, "", shapes=boxes))


def _read_object(node: Node) -> Box:
    corners = node.child("bndbox")
    if corners is None:
        raise DataError("an object without bndbox", where=node.where)
    return make_box(node.text_of("name"), [corners.text_of(key) for key in _CORNERS], node.where)


def write_voc(sheet: Sheet) -> dict[str, str]:
    """Write a file for each image that somebody spoke about, under the image's name.

    Raises:
        DataError: two images would have one file.
    """
    files: dict[str, str] = {}
    for item in sheet.items:
        for one in item.opinions:
            name = str(PurePosixPath(item.name.lstrip("/")).with_suffix(".xml"))
            if name in files:
                raise DataError("two images whose names differ in nothing but the suffix", where=item.path, found=name)
            files[name] = _write_one(item, one)
    return files


def _write_one(item: Item, one: Annotation) -> str:
    objects = "".join(
        f"  <object>\n    <name>{escaped(box.name)}</name>\n"
        "    <truncated>0</truncated>\n    <difficult>0</difficult>\n"
        f"    <bndbox><xmin>{box.x0}</xmin><ymin>{box.y0}</ymin><xmax>{box.x1}</xmax><ymax>{box.y1}</ymax></bndbox>\n"
        "  </object>\n" for box in one.shapes if isinstance(box, Box)
    )  # fmt: skip
    size = f"<width>{item.width}</width><height>{item.height}</height><depth>3</depth>"
    return (f"<annotation>\n  <filename>{escaped(item.name)}</filename>\n  <size>{size}</size>\n"
            f"  <segmented>0</segmented>\n{objects}</annotation>\n")  # fmt: skip


def _looks_like(seen: Glimpse) -> bool:
    listed = any(name.lower().endswith(".xml") for name in seen.names) and "annotations.xml" not in seen.names
    return listed or "<annotation>" in seen.head


register(AnnotationFormat("voc", read_voc, write_voc, _looks_like, frozenset({"box", "empty"}), several_files=True))
