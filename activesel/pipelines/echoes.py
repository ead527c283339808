"""Pre-labels that went out to a tool and come back with people's work: they are known, and not said again."""

from __future__ import annotations

from collections.abc import Sequence

from activesel.annotations import Annotation, Box, Polygon, Role, Shape
from activesel.catalog import Catalog
from activesel.labels import Said

_CLOSE_PX = 0.5  # tools round coordinates, CVAT to a hundredth of a pixel


def drop_echoes(said: Sequence[Said], catalog: Catalog) -> list[Said]:
    """Return what was said without a model's opinions that read as one that the catalog has about the image."""
    by_models = {one.annotation.image_id for one in said if one.annotation.role is Role.model}
    if not by_models:
        return list(said)
    known: dict[str, list[Annotation]] = {}
    for one in catalog.annotations.read(by_models):
        if one.role is Role.model:
            known.setdefault(one.image_id, []).append(one)
    return [one for one in said if one.annotation.role is not Role.model or not any(
        _is_echo(one.annotation, other) for other in known.get(one.annotation.image_id, ()))]  # fmt: skip


def _is_echo(one: Annotation, known: Annotation) -> bool:
    """Tell whether two opinions read alike but for what a tool does not keep; the same one read again is no echo."""
    if one.external_id or one.key == known.key or one.name != known.name or len(one.shapes) != len(known.shapes):
        return False
    return all(map(_is_same, one.shapes, known.shapes))


def _is_same(a: Shape, b: Shape) -> bool:
    mine, theirs = _numbers(a), _numbers(b)
    return (type(a), a.name, len(mine)) == (type(b), b.name, len(theirs)) and all(
        abs(x - y) < _CLOSE_PX for x, y in zip(mine, theirs, strict=True))  # fmt: skip


def _numbers(shape: Shape) -> list[float]:
    if isinstance(shape, Box):
        return [shape.x0, shape.y0, shape.x1, shape.y1]
    if isinstance(shape, Polygon):
        return [value for point in shape.points for value in point]
    return [shape.left, shape.top, shape.width, shape.height, *shape.runs]
