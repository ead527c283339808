"""CVAT's XML 1.1 for images, by itself or in a zip beside the images.

An image without anything drawn is one that nobody labelled. One file is one person's: that of a job, not of a task.
What a model drew and nobody touched (``source="auto"``; "semi-auto" where somebody did) is the model's pre-label,
unless the importer says that leaving it was accepting it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from activesel.annotations import Annotation, Box, Polygon, Role, Shape
from activesel.errors import DataError
from activesel.labels.fields import as_number, as_text, make_box, make_mask, make_polygon, shorten
from activesel.labels.formats import AnnotationFormat, register
from activesel.labels.lookup import ImageLookup
from activesel.labels.markup import Node, quoted, read_elements
from activesel.labels.parcels import MOST_STREAMED_BYTES, Glimpse, is_zip, open_file, open_parcel
from activesel.labels.said import Said
from activesel.labels.sheets import Item, Sheet
from activesel.settling import PEOPLE

_NAME = "annotations.xml"
_AUTO, _MODEL = "auto", "cvat-auto"


def read_cvat(path: Path, lookup: ImageLookup, *, accept_untouched: bool = False) -> Iterator[Said]:
    """Yield what is said of each image with a tag or a shape: by a person, and by a model where nobody touched it."""
    annotator, root = "", ""
    for node in read_elements(_chunks(path), str(path)):
        if not root:
            root = node.tag
            if root != "annotations":
                raise DataError("not CVAT's XML", where=node.where, found=f"<{root[:80]}>", expected="<annotations>")
        elif node.tag == "meta":
            annotator = _read_assignee(node)
        elif node.tag == "track":
            raise DataError("CVAT's XML for video", where=node.where, hint='export as "CVAT for images 1.1"')
        elif node.tag == "image" and node.children:
            name = node.attributes.get("name", "")
            image_id = lookup.find(None, name, path.parent.absolute(), where=node.where)
            autos = [] if accept_untouched else [one for one in node.children if one.attributes.get("source") == _AUTO]
            touched = [one for one in node.children if one not in autos]
            for said, marks in ((Annotation(image_id, annotator), touched),
                                (Annotation(image_id, _MODEL, Role.model), autos)):  # fmt: skip
                if marks:
                    yield Said(node.where, name, replace(
                        said, name=_read_tag(marks, node.where), shapes=_read_shapes(marks)))  # fmt: skip


def _chunks(path: Path) -> Iterator[bytes]:
    if is_zip(path):
        with open_parcel(path) as parcel:
            if _NAME not in parcel.names:
                raise DataError(f"no {_NAME} in the zip", where=str(path))
            yield from parcel.read_chunks(_NAME, MOST_STREAMED_BYTES)
        return
    with open_file(path) as stream:
        while chunk := stream.read(1 << 16):
            yield chunk


def _read_assignee(meta: Node) -> str:
    """Return the name of the person whom the job, or else the task, is given to."""
    for part in ("job", "task"):
        assignee = next((one for one in (meta.child(part),) if one is not None), meta).child("assignee")
        if assignee is not None:
            name = assignee.text_of("username") or assignee.text.strip()
            return as_text(name, "an assignee", assignee.where, may_be_empty=True)
    return ""


def _read_tag(marks: Sequence[Node], where: str) -> str | None:
    names = {as_text(one.attributes.get("label", ""), "a label", one.where) for one in marks if one.tag == "tag"}
    if len(names) > 1:
        raise DataError("several classes for one whole image", where=where, found=shorten(", ".join(sorted(names))))
    return names.pop() if names else None


def _read_shapes(marks: Sequence[Node]) -> tuple[Shape, ...]:
    return tuple(_read_shape(one) for one in marks if one.tag != "tag")


def _read_shape(node: Node) -> Shape:
    given, where = node.attributes, node.where
    name = given.get("label")
    if node.tag == "box":
        box = make_box(name, [given.get(key) for key in ("xtl", "ytl", "xbr", "ybr")], where)
        angle = as_number(given.get("rotation", "0"), "rotation", where)
        return _turn(box, math.radians(angle)) if angle else box
    if node.tag == "polygon":
        return make_polygon(name, [point.split(",") for point in given.get("points", "").split(";")], where)
    if node.tag == "mask":
        frame = [given.get(key) for key in ("left", "top", "width", "height")]
        return make_mask(name, frame, given.get("rle", "").split(","), where)
    raise DataError("a shape that cannot be held", where=where, found=f"<{node.tag[:80]}>",
                    expected="tag, box, polygon, mask")  # fmt: skip


def _turn(box: Box, angle: float) -> Polygon:
    """Turn a box about its middle, clockwise."""
    x, y, w, h = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2, (box.x1 - box.x0) / 2, (box.y1 - box.y0) / 2
    cos, sin = math.cos(angle), math.sin(angle)
    corners = ((-w, -h), (w, -h), (w, h), (-w, h))
    return Polygon(box.name, tuple((x + a * cos - b * sin, y + a * sin + b * cos) for a, b in corners), box.score)


def write_cvat(sheet: Sheet) -> dict[str, str]:
    """Write annotations.xml; a model's shapes are marked as automatic."""
    labels = "".join(
        f"<label><name>{quoted(name)[1:-1]}</name><attributes></attributes></label>" for name in sheet.classes
    )
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<annotations>", "<version>1.1</version>",
             f"<meta><task><labels>{labels}</labels></task></meta>"]  # fmt: skip
    lines += [_write_image(number, item) for number, item in enumerate(sheet.items)]
    return {_NAME: "\n".join([*lines, "</annotations>", ""])}


def _write_image(number: int, item: Item) -> str:
    parts = []
    for one in item.opinions:
        source = "manual" if one.role in PEOPLE else "auto"
        if one.name is not None:
            parts.append(f'  <tag label={quoted(one.name)} source="{source}"></tag>')
        parts += [_write_shape(shape, source) for shape in one.shapes]
    head = f'<image id="{number}" name={quoted(item.name)} width="{item.width}" height="{item.height}">'
    return "\n".join([head, *parts, "</image>"])


def _write_shape(shape: Shape, source: str) -> str:
    common = f'label={quoted(shape.name)} source="{source}" occluded="0"'
    if isinstance(shape, Box):
        corners = f'xtl="{shape.x0}" ytl="{shape.y0}" xbr="{shape.x1}" ybr="{shape.y1}"'
        return f'  <box {common} {corners} z_order="0"></box>'
    if isinstance(shape, Polygon):
        points = ";".join(f"{x},{y}" for x, y in shape.points)
        return f'  <polygon {common} points="{points}" z_order="0"></polygon>'
    frame = f'left="{shape.left}" top="{shape.top}" width="{shape.width}" height="{shape.height}"'
    return f'  <mask {common} rle="{", ".join(map(str, shape.runs))}" {frame} z_order="0"></mask>'


def _looks_like(seen: Glimpse) -> bool:
    return "<annotations" in seen.head or (seen.path.is_file() and _NAME in seen.names)


register(AnnotationFormat("cvat", read_cvat, write_cvat, _looks_like, frozenset({"name", "box", "polygon", "mask"}),
    reads_accepting=functools.partial(read_cvat, accept_untouched=True)))  # fmt: skip
