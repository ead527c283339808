"""Boxes and polygons of the user's detector: read as they are meant, or refused with the row."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activesel.annotations import Box, Polygon, Shape
from activesel.errors import DataError
from activesel.predictions import holds_probabilities, read_predictions, read_shapes

IDS = ["aa", "bb", "cc"]
SIZES = dict.fromkeys(IDS, (64, 48))
BOXES = [[[1, 2, 30, 40.5], [0, 0, 4, 4]], [], [[10, 10, 20, 20]]]
NAMES = [["crack", "pit"], [], ["pit"]]
SCORES = [[0.75, 0.5], [], [1.0]]
READ: dict[str, tuple[Shape, ...]] = {
    "aa": (Box("crack", 1, 2, 30, 40.5, 0.75), Box("pit", 0, 0, 4, 4, 0.5)),
    "bb": (), "cc": (Box("pit", 10, 10, 20, 20, 1.0),)}  # fmt: skip


def write(folder: Path, table: dict[str, Any], classes: list[str] | None = None) -> Path:
    arrow = pa.table({"image_id": IDS, **table})
    if classes is not None:
        arrow = arrow.replace_schema_metadata({"classes": json.dumps(classes)})
    pq.write_table(arrow, folder / "p.parquet")
    return folder / "p.parquet"


def read(folder: Path, table: dict[str, Any], classes: list[str] | None = None, **more: Any) -> Any:
    known = more.pop("known", () if classes else ("crack", "pit"))
    return read_shapes(write(folder, table, classes), {}, more.get("sizes", SIZES), known)


def structs(boxes: list[list[list[float]]]) -> list[list[dict[str, float]]]:
    return [[dict(zip(("x0", "y0", "x1", "y1"), box, strict=True)) for box in row] for row in boxes]


@pytest.mark.parametrize("table", [
    {"boxes": BOXES, "box_names": NAMES, "box_scores": SCORES},
    {"boxes": structs(BOXES), "box_names": NAMES, "box_scores": SCORES},
])  # fmt: skip
def test_boxes_with_names(tmp_path: Path, table: dict[str, Any]) -> None:
    assert read(tmp_path, table) == READ
    assert not holds_probabilities(tmp_path / "p.parquet")


def test_names_from_probabilities(tmp_path: Path) -> None:
    probs = [[[0.125, 0.75], [0.5, 0.25]], [], [[1.0, 0.0]]]
    assert read(tmp_path, {"boxes": structs(BOXES), "box_probs": probs}, ["pit", "crack"]) == READ


def test_boxes_without_classes_are_for_select_alone(tmp_path: Path) -> None:
    table = {"boxes": structs(BOXES), "box_probs": [[[0.1, 0.7], [0.5, 0.2]], [], [[1.0, 0.0]]]}
    assert read(tmp_path, table) is None
    assert read_predictions(tmp_path / "p.parquet", {}, IDS).uncertainty is not None
    assert read(tmp_path, {"probs": [[1.0]] * 3}) is None


def test_polygons(tmp_path: Path) -> None:
    table = {"polygons": [[[0, 0, 4.5, 0, 4, 3]], [], []], "polygon_names": [["pit"], [], []],
             "polygon_scores": [[0.5], [], []]}  # fmt: skip
    triangle = Polygon("pit", ((0, 0), (4.5, 0), (4, 3)), 0.5)
    assert read(tmp_path, table) == {"aa": (triangle,), "bb": (), "cc": ()}
    both = read(tmp_path, {**table, "boxes": BOXES, "box_names": NAMES, "box_scores": SCORES})
    assert both["aa"] == (*READ["aa"], triangle)


def test_rows_of_other_images_are_not_looked_at(tmp_path: Path) -> None:
    wrong = [[[1, 1, 1, 1]], [], [[1, 2, 3, 4]]]
    path = write(tmp_path, {"boxes": wrong, "box_names": [["?"], [], ["pit"]]})
    found = read_shapes(path, {"/a.png": "aa", "/b.png": "bb"}, {"cc": (9, 9), "dd": (9, 9)}, ["pit"])
    assert found == {"cc": (Box("pit", 1, 2, 3, 4),)}


def test_what_overshoots_by_less_than_a_pixel_is_cut_off(tmp_path: Path) -> None:
    found = read(tmp_path, {"boxes": [[[-0.5, 0, 64.75, 48]], [], []], "box_names": [["pit"], [], []]})
    assert found["aa"] == (Box("pit", 0, 0, 64, 48),)


def boxes(*box: Any, **more: Any) -> dict[str, Any]:
    return {"boxes": [[list(box)], [], []], "box_names": [["pit"], [], []], **more}


def polygon(*numbers: float) -> dict[str, Any]:
    return {"polygons": [[], [list(numbers)], []], "polygon_names": [[], ["pit"], []]}


CASES: list[tuple[dict[str, Any], str]] = [
    (boxes(1.0, 2, 66, 4), r"row 0, box 0: a shape does not lie in its image; found x = 66; expected 0 to 64 px"),
    (boxes(1.0, -2, 6, 4), "found y = -2"),
    (boxes(5.0, 2, 5, 4), r"box 0: a box without area; found \(5, 2\) to \(5, 4\)"),
    (boxes(5.0, 2, 1, 4), "a box without area"),
    (boxes(63.5, 2, 64.5, 4) | {"boxes": [[[64.0, 2, 64.5, 4]], [], []]}, "a box without area"),
    (boxes(math.nan, 2, 1, 4), "not the coordinates of a shape; found .*expected 4 finite numbers"),
    (boxes(math.inf, 2, 1, 4), "not the coordinates"),
    (boxes(1.0, 2, 4), "not the coordinates"),
    (boxes(1.0, 2, 3, None), "not the coordinates"),
    ({"boxes": [[{"x0": 1.0, "y0": 1.0, "x1": 2.0}], [], []], "box_names": [["pit"], [], []]}, "not the coordinates"),
    (boxes(1.0, 2, 3, 4, box_names=[["dent"], [], []]), "nobody knows; found 'dent'; expected one of crack, "),
    (boxes(1.0, 2, 3, 4, box_names=[[None], [], []]), "a class that nobody knows"),
    (boxes(1.0, 2, 3, 4, box_names=[[], [], []]), "a box without a class or a score; found 0 of them"),
    (boxes(1.0, 2, 3, 4, box_names=[["pit"], ["pit"], []]), "row 1: box_names and shapes differ in number; found 1"),
    (boxes(1.0, 2, 3, 4, box_names=[["pit"], None, []]), "row 1: column box_names holds no list"),
    (boxes(1.0, 2, 3, 4, box_names=["pit", "", ""]), "row 0: column box_names holds no list of shapes; found str"),
    (boxes(1.0, 2, 3, 4, box_scores=[[1.5], [], []]), "row 0, box 0: not a score; found 1.5; expected 0 to 1"),
    (boxes(1.0, 2, 3, 4, box_scores=[[math.nan], [], []]), "not a score"),
    (boxes(1.0, 2, 3, 4, box_scores=[[0.5, 0.5], [], []]), "box_scores and shapes differ in number"),
    ({"boxes": [[[1, 2, 3, 4]] * 1001, [], []], "box_names": [["pit"] * 1001, [], []]}, "found 1001 of them"),
    ({"box_names": [["pit"], [], []]}, "column box_names without column boxes"),
    ({"polygons": [[], [], []]}, "polygons without their classes; expected column polygon_names"),
    ({"polygons": [[], [], []], "polygon_names": [[], [], ["pit"]]}, "row 2: polygon_names and shapes differ"),
    (polygon(1, 1, 2, 2), "row 1, polygon 0: not the coordinates .*6 finite numbers or more, x and y in turn"),
    (polygon(1, 1, 2, 2, 3, 1, 4), "not the coordinates"),
    (polygon(1, 1, 2, 2, 3, 3), "a polygon without area"),
    (polygon(1, 1, 2, 2, 3, 99), "found y = 99"),
    (polygon(*[1.0, 2.0] * 1001), "not the coordinates"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "message"), CASES)
def test_shapes_that_are_refused(tmp_path: Path, table: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, table)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_probabilities_that_do_not_fit_the_classes(tmp_path: Path) -> None:
    table = {"boxes": structs(BOXES), "box_probs": [[[0.1], [0.5]], [], [[1.0]]]}
    with pytest.raises(DataError, match="row 0, box 0: a box's probabilities do not fit the classes"):
        read(tmp_path, table, ["pit", "crack"])


def test_an_image_whose_size_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 0: the size of this image is not known"):
        read(tmp_path, boxes(1.0, 2, 3, 4), sizes={"aa": (0, 0)} | dict.fromkeys(IDS[1:], (9, 9)))


odd = st.none() | st.floats() | st.integers(-99, 99)


@given(
    rows=st.lists(st.none() | st.lists(st.lists(odd, max_size=6), max_size=3), min_size=3, max_size=3),
    names=st.lists(
        st.none() | st.lists(st.none() | st.sampled_from(["pit", "", "x"]), max_size=3), min_size=3, max_size=3
    ),
)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_there_is_read_or_refused(rows: Any, names: Any) -> None:  # fmt: skip
    columns = {
        "boxes": pa.array(rows, pa.list_(pa.list_(pa.float64()))),
        "box_names": pa.array(names, pa.list_(pa.string())),
    }
    with tempfile.TemporaryDirectory() as folder:
        found, complaint = {}, "one line"
        try:
            found = read(Path(folder), columns)
        except DataError as error:
            complaint = str(error)
    assert len(complaint.splitlines()) == 1
    for box in (one for some in found.values() for one in some):
        assert 0 <= box.x0 < box.x1 <= 64
        assert 0 <= box.y0 < box.y1 <= 48
