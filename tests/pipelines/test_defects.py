"""What a mask tells, by hand: a square on a plain surface."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from activesel.errors import DataError
from activesel.pipelines.defects import band_of, measure, measure_defect, read_outlines


def write(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def test_a_dark_square() -> None:
    grey, inside = np.full((40, 80), 150, np.float32), np.zeros((40, 80), bool)
    inside[10:20, 20:40] = True
    grey[inside] = 100
    found = measure(grey, inside)
    assert (found.size, found.contrast) == (200 / 3200, 50.0)
    assert (found.x, found.y) == (30 / 80, 15 / 40)
    assert measure(grey, np.ones((40, 80), bool)).contrast == 0.0


def test_masks_and_boxes_say_the_same(tmp_path: Path) -> None:
    pixels, mask = np.full((40, 80), 150), np.zeros((40, 80))
    pixels[10:20, 20:40], mask[10:20, 20:40] = 90, 255
    image = write(tmp_path / "a.png", pixels)
    write(tmp_path / "m.png", mask)
    (tmp_path / "masks.csv").write_text("path,mask\na.png,m.png\nb.png,\n")
    (tmp_path / "boxes.csv").write_text("path,label,x0,y0,x1,y1\na.png,crack,20,10,40,15\na.png,crack,20,15,40,20\n")
    by_mask, by_box = read_outlines(tmp_path / "masks.csv"), read_outlines(tmp_path / "boxes.csv")
    assert set(by_mask) == set(by_box) == {"a.png"}
    assert len(by_box["a.png"].boxes) == 2
    one, other = (measure_defect(image, found["a.png"], 10**6) for found in (by_mask, by_box))
    assert one == other
    assert one is not None
    assert one.contrast == 60.0
    write(tmp_path / "m.png", mask * 0)
    assert measure_defect(image, by_mask["a.png"], 10**6) is None


def test_bands() -> None:
    bands = {"small": (0.0, 0.1), "large": (0.1, 1.0)}
    assert [band_of(value, bands) for value in (0.0, 0.1, 0.99, 1.0, -1.0)] == ["small", "large", "large", None, None]


@pytest.mark.parametrize(
    ("text", "told"),
    [("path,label\n", "path,mask or path,x0"), ("path,x0,y0,x1,y1\na,1,2,x,4\n", ":2: not a box"), ("", "path,mask")],
)
def test_tables_that_are_none(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=told):
        read_outlines(tmp_path / "t.csv")
    with pytest.raises(DataError, match="cannot read the masks"):
        read_outlines(tmp_path / "none.csv")


def test_a_mask_of_another_size(tmp_path: Path) -> None:
    image = write(tmp_path / "a.png", np.zeros((4, 6)))
    write(tmp_path / "m.png", np.full((4, 4), 255))
    (tmp_path / "t.csv").write_text("path,mask\na.png,m.png\n")
    with pytest.raises(DataError, match="found 4 x 4; expected 6 x 4"):
        measure_defect(image, read_outlines(tmp_path / "t.csv")["a.png"], 10**6)
