"""Opinions and sheets drawn by hypothesis, of no more than a format holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from activesel.annotations import Annotation, Box, Mask, Polygon, Role, Shape
from activesel.labels import ImageLookup, Item, Sheet

SIZES = ((640, 480), (33, 57), (1000, 999))
PATHS = ("/data/line 1/a.png", "/data/line 1/ä&b.jpg", "/data/line-2/a.png")
IDS = tuple(f"{number:032x}" for number in (1, 2, 3))
LOOKUP = ImageLookup(dict(zip(PATHS, IDS, strict=True)), (), dict(zip(IDS, SIZES, strict=True)))

_SIGNS = st.characters(exclude_categories=["Cs", "Cc", "Cn"]) | st.sampled_from("\n\t,;\"'<&>%:#[]{}")
texts = st.text(_SIGNS, max_size=12).map(str.strip)
names = st.sampled_from(["crack", "good", "a pit, deep"]) | texts.filter(bool)
shares = st.none() | st.floats(0, 1)


@st.composite
def coordinates(draw: st.DrawFn, limit: int) -> tuple[float, float]:
    """Two different numbers of an axis, the smaller first, far enough apart to be told in percent."""
    low = draw(st.floats(0, limit - 1))
    return low, draw(st.floats(low + 0.5, limit))


@st.composite
def boxes(draw: st.DrawFn, width: int, height: int) -> Box:
    (x0, x1), (y0, y1) = draw(coordinates(width)), draw(coordinates(height))
    return Box(draw(names), x0, y0, x1, y1)


@st.composite
def polygons(draw: st.DrawFn, width: int, height: int) -> Polygon:
    corner = st.tuples(st.floats(0, width), st.floats(0, height))
    return Polygon(draw(names), tuple(draw(st.lists(corner, min_size=3, max_size=6))))


@st.composite
def masks(draw: st.DrawFn, width: int, height: int) -> Mask:
    """A crop whose first and last rows and columns each hold a pixel, so that it is as tight as can be."""
    w, h = draw(st.integers(1, min(6, width))), draw(st.integers(1, min(6, height)))
    inside = draw(st.lists(st.booleans(), min_size=w * h, max_size=w * h))
    inside[0] = inside[-1] = inside[w - 1] = inside[(h - 1) * w] = True
    runs, value = [0], False
    for one in inside:
        if one != value:
            runs, value = [*runs, 0], one
        runs[-1] += 1
    return Mask(draw(names), draw(st.integers(0, width - w)), draw(st.integers(0, height - h)), w, h, tuple(runs))


@st.composite
def shapes(draw: st.DrawFn, size: tuple[int, int], holds: frozenset[str]) -> tuple[Shape, ...]:
    kinds = [make(*size) for kind, make in (("box", boxes), ("polygon", polygons), ("mask", masks)) if kind in holds]
    found = draw(st.lists(st.one_of(*kinds), max_size=3)) if kinds else []
    scored = "shape_score" in holds
    return tuple(replace(shape, score=draw(shares)) if scored else shape for shape in found)


@st.composite
def opinions(draw: st.DrawFn, number: int, holds: frozenset[str]) -> Annotation | None:
    """An opinion about an image; None where what was drawn says nothing that the format could hold."""
    fields: dict[str, Any] = {
        "annotator": texts, "guideline": texts, "source": texts, "external_id": texts, "note": texts,
        "role": st.sampled_from(Role), "score": shares, "prelabel": st.sampled_from(["", "shown", "hidden"]),
        "lead_time_s": st.none() | st.floats(0, 1e6),
        "created": st.just("") | st.integers(0, 10**9).map(
            lambda s: (datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=s)).isoformat()),
    }  # fmt: skip
    said = {name: draw(values) for name, values in fields.items() if name in holds}
    if "skipped" in holds and draw(st.integers(0, 4)) == 0:
        return Annotation(IDS[number], skipped=draw(texts.filter(bool)), **{"annotator": "", **said})
    name = draw(st.none() | names) if "name" in holds else None
    drawn = draw(shapes(SIZES[number], holds))
    if name is None and not drawn and "empty" not in holds:
        return None
    return Annotation(IDS[number], name=name, shapes=drawn, **{"annotator": "", **said})


@st.composite
def sheets(draw: st.DrawFn, holds: frozenset[str]) -> Sheet:
    items, classes = [], set()
    for number, (path, image_id) in enumerate(zip(PATHS, IDS, strict=True)):
        drawn = draw(st.lists(opinions(number, holds), max_size=3 if "several" in holds else 1))
        kept = tuple(one for one in drawn if one is not None)
        classes |= {shape.name for one in kept for shape in one.shapes} | {one.name for one in kept if one.name}
        items.append(Item(image_id, path, LOOKUP.short_name(path), path, *SIZES[number], kept))
    return Sheet(tuple(items), tuple(sorted(classes)), "0001")
