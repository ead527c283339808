"""Label Studio's items and our shapes say the same, and what we cannot hold is refused rather than lost."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activesel.annotations import Annotation, Box, Mask, Polygon, Role, Shape
from activesel.errors import DataError
from activesel.labels.label_studio_brush import mask_of_rle, rle_of_mask
from activesel.labels.label_studio_results import (
    annotation_from,
    check_prediction,
    labelling_config,
    prediction_of,
    read_results,
    results_of,
)

SIZE = (64, 48)
SHAPES: tuple[Shape, ...] = (Box("crack", 6, 12, 32, 24.5, 0.5), Polygon("pit", ((0, 0), (64, 0), (4, 48))),
                             Mask("pit", 3, 3, 3, 2, (0, 2, 2, 2)))  # fmt: skip


def opinion(**more: Any) -> Annotation:
    return Annotation("a" * 32, "model-1", **{"role": Role.model, "name": "crack", "shapes": SHAPES, **more})


def box_item(**more: Any) -> dict[str, Any]:
    value = {"x": 25, "y": 50, "width": 50, "height": 25, "rotation": 0, "rectanglelabels": ["pit"]}
    return {"type": "rectanglelabels", "value": {**value, **more}, "original_width": 64, "original_height": 48}


def test_what_is_written_is_read_again() -> None:
    items = json.loads(json.dumps(results_of(opinion(), SIZE)))
    assert read_results(items, SIZE, where="task 1") == ("crack", SHAPES)
    assert len({item["id"] for item in items}) == len(items)


def test_percent_become_pixels_by_hand() -> None:
    assert read_results([box_item()], SIZE, where="task 1") == (None, (Box("pit", 16, 24, 48, 36),))


def test_a_box_that_is_turned_is_a_polygon() -> None:
    ((shape,),) = (read_results([box_item(rotation=90)], SIZE, where="task 1")[1],)
    assert isinstance(shape, Polygon)
    np.testing.assert_allclose(shape.points, [(16, 24), (16, 56), (4, 56), (4, 24)], atol=1e-9)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("text", "not a result item"),
        ({"type": "rectanglelabels"}, "without its value"),
        ({"type": "ellipselabels", "value": {}}, "cannot hold; found ellipselabels"),
        (box_item(x="1"), "x is no number"),
        (box_item(x=float("nan")), "x is no number"),
        (box_item(x=90), "outside the image"),
        (box_item(width=0), "without an area"),
        (box_item(rectanglelabels=["pit", "crack"]), "needs one label"),
        (box_item(rectanglelabels="pit"), "no list of names"),
        ({**box_item(), "original_width": 48, "original_height": 64}, "another size"),
        ({**box_item(), "image_rotation": 90}, "was turned"),
        ({"type": "polygonlabels", "value": {"points": [[1, 2]], "polygonlabels": ["a"]}}, "three corners"),
        ({"type": "brushlabels", "value": {"rle": [1, 2], "brushlabels": ["a"]}}, "not a brush mask"),
        ({"type": "brushlabels", "value": {"rle": [300] * 20, "brushlabels": ["a"]}}, r"numbers 0\.\.255"),
        ({"type": "brushlabels", "value": {"rle": [255] * 20, "brushlabels": ["a"]}}, "another image"),
    ],
)
def test_what_is_refused(item: Any, message: str) -> None:
    with pytest.raises(DataError, match=rf"task 7, item 1: .*{message}"):
        read_results([item], SIZE, where="task 7")


def test_two_classes_are_refused_and_comments_passed_over() -> None:
    items = [{"type": "choices", "value": {"choices": [name]}} for name in ("a", "b")]
    with pytest.raises(DataError, match="several classes"):
        read_results(items, SIZE, where="task 1")
    assert read_results([items[0], {"type": "textarea", "value": {}}], SIZE, where="task 1") == ("a", ())


def test_an_annotation_as_it_comes() -> None:
    given_ = {"id": 5, "unique_id": "u-5", "result": [], "was_cancelled": True, "lead_time": 3.25,
              "prediction": {"x": 1}, "created_at": "2026-11-26T10:00:00Z", "ground_truth": False}  # fmt: skip
    found = annotation_from(given_, "a" * 32, SIZE, "ann@x", where="task 1")
    assert found == Annotation("a" * 32, "ann@x", skipped="skipped", created="2026-11-26T10:00:00Z", lead_time_s=3.25,
                               prelabel="shown", source="label-studio", external_id="u-5")  # fmt: skip
    assert annotation_from({"ground_truth": True}, "a" * 32, SIZE, "x", where="t").role is Role.gold
    for wrong, message in (({"result": {}}, "no list"), ({"lead_time": "3"}, "lead_time")):
        with pytest.raises(DataError, match=message):
            annotation_from(wrong, "a" * 32, SIZE, "x", where="t")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": "crak"}, "found 'crak'"),
        ({"score": 1.7}, r"found 1\.7; expected 0\.\.1"),
        ({"shapes": (Box("pit", 1, 1, 65, 5),)}, "does not lie in the image"),
        ({"shapes": (Box("pit", 5, 1, 5, 5),)}, "does not lie in the image"),
        ({"shapes": (Box("pit", 1, 1, 5, 5, -0.1),)}, "out of range"),
    ],
)
def test_predictions_are_checked_before_they_leave(wrong: dict[str, Any], message: str) -> None:
    check_prediction(opinion(), SIZE, ["crack", "pit"], where="image 1")
    with pytest.raises(DataError, match=f"image 1: .*{message}"):
        check_prediction(opinion(**wrong), SIZE, ["crack", "pit"], where="image 1")


def test_a_prediction_has_its_version_and_score() -> None:
    assert prediction_of(opinion(score=0.25), SIZE)["score"] == 0.25
    assert prediction_of(opinion(shapes=()), SIZE)["model_version"] == "model-1"
    assert "score" not in prediction_of(opinion(), SIZE)


def test_the_interface_has_every_class_in_every_control() -> None:
    root = ElementTree.fromstring(labelling_config(['crack "deep" <2mm>', "pit & fray"]))
    found = {child.tag: [one.attrib["value"] for one in child] for child in root if len(child)}
    assert set(found) == {"Choices", "RectangleLabels", "PolygonLabels", "BrushLabels"}
    assert all(names == ['crack "deep" <2mm>', "pit & fray"] for names in found.values())


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**81 - 1))
def test_a_mask_survives_the_brush(width: int, height: int, bits: int) -> None:
    inside = np.array([bits >> i & 1 for i in range(width * height)], bool)
    runs, value = [0], False
    for pixel in inside.tolist():
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    rle = rle_of_mask(Mask("pit", 3, 2, width, height, tuple(runs)), (20, 15))
    if not inside.any():
        with pytest.raises(DataError, match="without a pixel"):
            mask_of_rle("pit", rle, (20, 15), where="t")
        return
    found = mask_of_rle("pit", rle, (20, 15), where="t")
    whole = np.zeros((15, 20), bool)
    whole[2 : 2 + height, 3 : 3 + width] = inside.reshape(height, width)
    again = np.zeros_like(whole)
    crop = np.repeat(np.arange(len(found.runs)) % 2 == 1, found.runs).reshape(found.height, found.width)
    again[found.top : found.top + found.height, found.left : found.left + found.width] = crop
    np.testing.assert_array_equal(again, whole)


def test_a_brush_cut_short_is_refused() -> None:
    rle = rle_of_mask(Mask("pit", 0, 0, 64, 48, (0, 64 * 48)), SIZE)
    with pytest.raises(DataError, match="cut short"):
        mask_of_rle("pit", rle[:-2], SIZE, where="t")


def test_the_brush_bytes_are_theirs() -> None:
    """Made by label_studio_sdk.converter.brush.encode_rle: 4 x 2 pixels, (1, 0) and (2, 0) inside."""
    assert rle_of_mask(Mask("pit", 1, 0, 2, 1, (0, 2)), (4, 2)) == THEIRS


THEIRS = [0, 0, 0, 32, 57, 27, 252, 96, 19, 255, 225, 48, 0]
