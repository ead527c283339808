"""What a format holds survives being written and read, and is told apart from the other formats."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activesel.annotations import Annotation, Box, Polygon, Shape
from activesel.labels import annotation_format_names, fit, get_format, guess_format
from activesel.pipelines.hand_out import place
from tests.labels.opinions import IDS, LOOKUP, sheets

NAMES = annotation_format_names()
SUFFIXES = {"label-studio": ".json", "coco": ".json", "csv": ".csv", "cvat": ".xml"}


def flat(shape: Shape) -> list[float]:
    if isinstance(shape, Box):
        return [shape.x0, shape.y0, shape.x1, shape.y1]
    if isinstance(shape, Polygon):
        return [value for point in shape.points for value in point]
    return [shape.left, shape.top, shape.width, shape.height, *shape.runs]


def check_same(read: Iterable[Annotation], written: Iterable[Annotation]) -> None:
    """Equal, coordinates to a thousandth of a pixel; in any order."""
    pairs = zip(sorted(read, key=order), sorted(written, key=order), strict=True)
    for one, other in pairs:
        assert order(one) == order(other)
        for shape, same in zip(one.shapes, other.shapes, strict=True):
            assert flat(shape) == pytest.approx(flat(same), abs=1e-3)


def order(one: Annotation) -> tuple[object, ...]:
    return repr(replace(one, shapes=())), [(type(s).__name__, s.name, repr(s.score)) for s in one.shapes]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "zip"])
@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_written_is_read(name: str, packed: bool, data: st.DataObject) -> None:
    found = get_format(name)
    if packed and not (found.several_files or name == "cvat"):
        return
    sheet = data.draw(sheets(found.holds).filter(lambda one: any(item.opinions for item in one.items)))
    assert fit(sheet, found.holds) == (sheet, {})
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / f"out{'.zip' if packed else SUFFIXES.get(name, '')}"
        place(found.writes(sheet), out, several=found.several_files)
        said = list(found.reads(out, LOOKUP))
        assert guess_format(out).name == name
    for number, item in enumerate(sheet.items):
        read = [one.annotation for one in said if one.annotation.image_id == IDS[number]]
        check_same(read, item.opinions)
