"""Label Studio's result items and our shapes: percent of the image there, pixels here. Pure, no network, no file.

Their JSON: https://labelstud.io/guide/task_format and guide/predictions. Item types that say nothing about defects
(comments, ratings) are passed over; shapes that we cannot hold are refused, since they would be lost in silence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from activesel.annotations import Annotation, Box, Polygon, Role, Shape
from activesel.errors import DataError
from activesel.labels.label_studio_brush import mask_of_rle, rle_of_mask

SOURCE = "label-studio"
SKIPPED = "skipped"  # their skip carries no reason
_IMAGE = "image"  # the control that every other one draws on
_CONTROLS = {"choices": "class", "rectanglelabels": "box", "polygonlabels": "polygon", "brushlabels": "brush"}
_TAGS = {"box": "RectangleLabels", "polygon": "PolygonLabels", "brush": "BrushLabels"}
_PASSED_OVER = {"textarea", "rating", "number", "datetime", "relation", "taxonomy", "pairwise", "ranker"}
_MOST_ITEMS = 10_000  # of one annotation; people draw dozens
_PERCENT_SLACK = 0.01  # their percents are rounded: a shape may lie this much outside the image


def labelling_config(names: Sequence[str]) -> str:
    """Return the XML of a labelling interface: one class for the image, boxes, polygons and brush for each class."""
    parts = ["<View>", f'<Image name="{_IMAGE}" value="${_IMAGE}" zoom="true" zoomControl="true"/>',
             f'<Choices name="{_CONTROLS["choices"]}" toName="{_IMAGE}" choice="single" showInLine="true">',
             *(f"<Choice value={quoteattr(name)}/>" for name in names), "</Choices>"]  # fmt: skip
    for control, tag in _TAGS.items():
        parts += [f'<{tag} name="{control}" toName="{_IMAGE}">',
                  *(f"<Label value={quoteattr(name)}/>" for name in names), f"</{tag}>"]  # fmt: skip
    return "\n".join([*parts, "</View>", ""])


def results_of(annotation: Annotation, size: tuple[int, int]) -> list[dict[str, Any]]:
    """Return the result items of an annotation's class and shapes. size: width and height in pixels."""
    stem = annotation.key[:8]  # "different ids for each result item": ours tell the annotation, too
    items = [] if annotation.name is None else [_item(f"{stem}-c", "choices", {"choices": [annotation.name]}, size)]
    items += [_shape_item(f"{stem}-{i}", shape, size) for i, shape in enumerate(annotation.shapes)]
    return items


def prediction_of(annotation: Annotation, size: tuple[int, int]) -> dict[str, Any]:
    """Return a model's annotation as a prediction to import with its task."""
    made: dict[str, Any] = {"model_version": annotation.annotator, "result": results_of(annotation, size)}
    return made if annotation.score is None else {**made, "score": annotation.score}


def check_prediction(annotation: Annotation, size: tuple[int, int], names: Sequence[str], *, where: str) -> None:
    """Refuse what Label Studio would take without a word and then fail to show.

    Raises:
        DataError: a class that the project does not have, a score outside 0..1, a shape outside the image or empty.
    """
    scored = [annotation.score, *(shape.score for shape in annotation.shapes)]
    told = [annotation.name, *(shape.name for shape in annotation.shapes)]
    for name in told:
        if name is not None and name not in names:
            raise DataError("a prediction of a class that the project does not have", where=where, found=repr(name),
                            expected="one of " + ", ".join(names), hint="name it with --class")  # fmt: skip
    for score in scored:
        if score is not None and not 0 <= score <= 1:
            raise DataError("a prediction's score is out of range", where=where, found=str(score), expected="0..1")
    width, height = size
    for shape in annotation.shapes:
        x0, y0, x1, y1 = _bounds(shape)
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise DataError("a predicted shape does not lie in the image", where=where,
                            found=f"({x0:g}, {y0:g}) to ({x1:g}, {y1:g})",
                            expected=f"within {width} x {height} px")  # fmt: skip


def annotation_from(
    given: Mapping[str, Any], image_id: str, size: tuple[int, int], annotator: str, *, where: str, source: str = SOURCE
) -> Annotation:
    """Return one of their annotations as ours. where: names it in messages.

    external_id is their unique_id, which stays the same through exports and copies, else their id. A skip is kept.

    Raises:
        DataError: not their schema, or a shape that we cannot hold.
    """
    items = given.get("result", [])
    if not isinstance(items, list) or len(items) > _MOST_ITEMS:
        raise DataError("an annotation's result is no list of items", where=where, found=type(items).__name__)
    name, shapes = read_results(items, size, where=where)
    lead = given.get("lead_time")
    if lead is not None and (isinstance(lead, bool) or not isinstance(lead, int | float) or not math.isfinite(lead)):
        raise DataError("lead_time is no number of seconds", where=where, found=repr(lead))
    return Annotation(
        image_id=image_id, annotator=annotator, role=Role.gold if given.get("ground_truth") else Role.annotator,
        name=name, shapes=shapes, skipped=SKIPPED if given.get("was_cancelled") else "",
        created=str(given.get("created_at") or ""), lead_time_s=None if lead is None else max(float(lead), 0.0),
        prelabel="shown" if given.get("prediction") else "", source=source,
        external_id=str(given.get("unique_id") or given.get("id") or ""),
    )  # fmt: skip


def read_results(items: Sequence[Any], size: tuple[int, int], *, where: str) -> tuple[str | None, tuple[Shape, ...]]:
    """Return the class of the image, if one was chosen, and the shapes, in pixels of an image of this size.

    Raises:
        DataError: an item that is none of theirs, a shape we cannot hold, two classes, an image of another size.
    """
    names, shapes = [], []
    for i, item in enumerate(items):
        at = f"{where}, item {i + 1}"
        if not isinstance(item, Mapping) or not isinstance(item.get("type"), str):
            raise DataError("not a result item", where=at, found=repr(item)[:80], expected="an object with a type")
        kind, value = item["type"], item.get("value")
        if kind in _PASSED_OVER:
            continue
        if not isinstance(value, Mapping):
            raise DataError("a result item without its value", where=at, found=kind)
        if kind == "choices":
            names += _texts(value, "choices", at)
        else:
            _check_size(item, size, at)
            shapes.append(_shape(kind, item, value, size, at))
    if len(set(names)) > 1:
        raise DataError("several classes for one image", where=where, found=", ".join(map(repr, names)), expected="one")
    return (names[0] if names else None), tuple(shapes)


def _item(key: str, kind: str, value: Mapping[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    return {"id": key, "from_name": _CONTROLS[kind], "to_name": _IMAGE, "type": kind, "original_width": size[0],
            "original_height": size[1], "image_rotation": 0, "value": value}  # fmt: skip


def _shape_item(key: str, shape: Shape, size: tuple[int, int]) -> dict[str, Any]:
    width, height = size
    if isinstance(shape, Box):
        value = {"x": 100 * shape.x0 / width, "y": 100 * shape.y0 / height, "rotation": 0,
                 "width": 100 * (shape.x1 - shape.x0) / width, "height": 100 * (shape.y1 - shape.y0) / height,
                 "rectanglelabels": [shape.name]}  # fmt: skip
        item = _item(key, "rectanglelabels", value, size)
    elif isinstance(shape, Polygon):
        points = [[100 * x / width, 100 * y / height] for x, y in shape.points]
        item = _item(key, "polygonlabels", {"points": points, "closed": True, "polygonlabels": [shape.name]}, size)
    else:
        rle = rle_of_mask(shape, size)
        item = _item(key, "brushlabels", {"format": "rle", "rle": rle, "brushlabels": [shape.name]}, size)
    return item if shape.score is None else {**item, "score": shape.score}


def _shape(kind: str, item: Mapping[str, Any], value: Mapping[str, Any], size: tuple[int, int], at: str) -> Shape:
    if kind not in _CONTROLS:
        raise DataError("a shape that we cannot hold", where=at, found=re.sub(r"[^\w-]", "?", kind)[:40],
                        expected="a box, polygon or brush with a label")  # fmt: skip
    names = _texts(value, kind, at)
    if len(names) != 1:
        raise DataError("a shape needs one label", where=at, found=", ".join(map(repr, names)) or "none")
    score = item.get("score")
    score = None if score is None else _number(item, "score", at)
    if kind == "rectanglelabels":
        return _box(names[0], value, size, at, score)
    if kind == "polygonlabels":
        points = value.get("points")
        if not isinstance(points, list) or len(points) < 3 or not all(isinstance(p, list) for p in points):
            raise DataError("a polygon needs three corners or more", where=at, found=repr(points)[:80])
        return Polygon(names[0], tuple(_corners(points, size, at)), score)
    return mask_of_rle(names[0], value.get("rle"), size, where=at, score=score)


def _box(name: str, value: Mapping[str, Any], size: tuple[int, int], at: str, score: float | None) -> Box | Polygon:
    """Their rectangle turns about its top left corner, clockwise, in degrees: one that does is a polygon to us."""
    x, y, w, h = (_number(value, key, at) for key in ("x", "y", "width", "height"))
    turn = _number(value, "rotation", at) % 360 if value.get("rotation") else 0.0
    if turn:
        left, top, wide, high = x * size[0] / 100, y * size[1] / 100, w * size[0] / 100, h * size[1] / 100
        cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        ends = ((0.0, 0.0), (wide, 0.0), (wide, high), (0.0, high))
        return Polygon(name, tuple((left + dx * cos - dy * sin, top + dx * sin + dy * cos) for dx, dy in ends), score)
    (x0, y0), (x1, y1) = _corners([[x, y], [x + w, y + h]], size, at)
    if not (x0 < x1 and y0 < y1):
        raise DataError("a box without an area", where=at, found=f"{w:g} x {h:g} percent")
    return Box(name, x0, y0, x1, y1, score)


def _corners(points: Sequence[Sequence[Any]], size: tuple[int, int], at: str) -> Iterator[tuple[float, float]]:
    for point in points:
        if len(point) != 2 or not all(_is_number(one) for one in point):
            raise DataError("not a point", where=at, found=repr(point)[:80], expected="[x, y] in percent")
        if not all(-_PERCENT_SLACK <= one <= 100 + _PERCENT_SLACK for one in point):
            raise DataError("a point outside the image", where=at, found=f"({point[0]:g}, {point[1]:g}) percent")
        x, y = (min(max(one, 0), 100) / 100 for one in point)
        yield _near(x * size[0]), _near(y * size[1])


def _near(px: float) -> float:
    """Whole pixels stay whole through percents: 1e-6 of a pixel is what floats lose on the way, and nothing to see."""
    return round(px, 6)


def _check_size(item: Mapping[str, Any], size: tuple[int, int], at: str) -> None:
    given = (item.get("original_width"), item.get("original_height"))
    if item.get("image_rotation"):
        raise DataError("the image was turned in the tool", where=at, expected="0 degrees, as it is stored",
                        found=ascii(item["image_rotation"])[:40])  # fmt: skip
    if None not in given and given != size:
        raise DataError("drawn on an image of another size", where=at, found=ascii(given)[:40],
                        expected=f"{size[0]} x {size[1]} px", hint="its EXIF may turn it there")  # fmt: skip


def _texts(value: Mapping[str, Any], key: str, at: str) -> list[str]:
    texts = value.get(key)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise DataError(f"{key} is no list of names", where=at, found=repr(texts)[:80])
    return texts


def _number(values: Mapping[str, Any], key: str, at: str) -> float:
    found = values.get(key)
    if not _is_number(found):
        raise DataError(f"{key} is no number", where=at, found=repr(found)[:80])
    return float(found)  # type: ignore[arg-type]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _bounds(shape: Shape) -> tuple[float, float, float, float]:
    if isinstance(shape, Box):
        return shape.x0, shape.y0, shape.x1, shape.y1
    if isinstance(shape, Polygon):
        xs, ys = zip(*shape.points, strict=True)
        return min(xs), min(ys), max(xs), max(ys)
    return shape.left, shape.top, shape.left + shape.width, shape.top + shape.height
