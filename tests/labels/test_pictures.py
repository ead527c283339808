"""Masks in pictures: read from the file or from beside it, never from elsewhere, never larger than their image."""

from __future__ import annotations

import base64
import json
import struct
import tempfile
import tracemalloc
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from activesel.annotations import Annotation, Mask, Role
from activesel.errors import DataError
from activesel.labels import get_format, guess_format
from activesel.labels.pictures import encode
from activesel.labels.whole_masks import lay_out
from tests.labels.opinions import IDS, LOOKUP, PATHS, SIZES, masks, names

NUMBER = 1  # of the image: 33 x 57 px
SIZE = SIZES[NUMBER]
MASK = Mask("crack", 3, 4, 2, 2, (0, 1, 1, 2))  # inside: (3, 4), (3, 5), (4, 5)
COLOURS = {"0": ("BACKGROUND", "#ffffff"), "1": ("crack", "#2ca02c"), "2": ("a pit, deep", "#1F77B4")}


def read(name: str, path: Path) -> list[Annotation]:
    return [one.annotation for one in get_format(name).reads(path, LOOKUP)]


def painted(*layers: tuple[Mask, str], mode: str = "RGB") -> bytes:
    """A picture in which each mask is painted in its colour over white."""
    whole = np.full((SIZE[1], SIZE[0], 3), 255, np.uint8)
    for mask, colour in layers:
        crop = whole[mask.top : mask.top + mask.height, mask.left : mask.left + mask.width]
        crop[lay_out(mask)] = list(bytes.fromhex(colour[1:]))
    packed = BytesIO()
    made = Image.fromarray(whole)
    (made.quantize(16) if mode == "P" else made.convert(mode)).save(packed, "PNG")
    return packed.getvalue()


def labelbox(**more: object) -> str:
    return json.dumps({"dataRow": {"globalKey": IDS[NUMBER]}, "name": "crack", **more})


def exported(drawn: dict[str, object]) -> str:
    label = {"id": "l1", "annotations": {"objects": [{"name": "crack", **drawn}]}}
    return json.dumps({"data_row": {"global_key": IDS[NUMBER]}, "projects": {"p": {"labels": [label]}}})


def truth(url: str, **more: object) -> str:
    colours = {key: {"class-name": name, "hex-color": colour} for key, (name, colour) in COLOURS.items()}
    meta = {"internal-color-map": colours, "type": "groundtruth/semantic-segmentation", "human-annotated": "yes",
            "creation-date": "2026-01-01T10:00:00", "job-name": "j", **more}  # fmt: skip
    return json.dumps({"source-ref": "s3://b" + PATHS[NUMBER], "seg-ref": url, "seg-ref-metadata": meta})


def inline() -> str:
    return encode(MASK, SIZE)


@pytest.mark.parametrize("line", [
    lambda: labelbox(mask={"png": inline()}),
    lambda: labelbox(mask={"instanceURI": "data:image/png;base64," + inline()}),
    lambda: labelbox(mask={"instanceURI": "masks/1.png", "colorRGB": [0x2C, 0xA0, 0x2C]}),
    lambda: exported({"mask": {"url": "masks/grey.png"}}),
    lambda: exported({"composite_mask": {"url": "masks/1.png", "color_rgba": [0x2C, 0xA0, 0x2C, 255]}}),
], ids=["png", "data", "colour", "export", "composite"])  # fmt: skip
def test_masks_of_labelbox(tmp_path: Path, line: Callable[[], str]) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "1.png").write_bytes(painted((MASK, "#2ca02c")))
    (tmp_path / "masks" / "grey.png").write_bytes(base64.b64decode(inline()))
    (tmp_path / "f").write_text(line())
    assert [one.shapes for one in read("labelbox", tmp_path / "f")] == [(MASK,)]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
@pytest.mark.parametrize("folder", ["", "job/output", "output"])
def test_masks_of_ground_truth(tmp_path: Path, mode: str, folder: str) -> None:
    second = Mask("a pit, deep", 10, 10, 3, 1, (0, 3))
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / folder / "0_2026 x.png").write_bytes(painted((MASK, "#2ca02c"), (second, "#1f77b4"), mode=mode))
    (tmp_path / "f").write_text(truth("s3://bucket/job/output/0_2026%20x.png"))
    assert guess_format(tmp_path / "f").name == "ground-truth"
    (one,) = read("ground-truth", tmp_path / "f")
    assert one == Annotation(IDS[NUMBER], "", shapes=(second, MASK), created="2026-01-01T10:00:00+00:00")


def test_a_mask_of_background_says_that_nothing_is_there(tmp_path: Path) -> None:
    (tmp_path / "m.png").write_bytes(painted())
    (tmp_path / "f").write_text(truth("s3://b/m.png", **{"human-annotated": "no"}))
    (one,) = read("ground-truth", tmp_path / "f")
    assert (one.name, one.shapes, one.role) == (None, (), Role.model)


@given(drawn=st.lists(masks(*SIZE), min_size=1, max_size=3), mode=st.sampled_from(["RGB", "P"]), data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_painted_is_read(drawn: list[Mask], mode: str, data: st.DataObject) -> None:
    """Of masks painted over each other the last one shows; each class comes back as the pixels that show it."""
    told = data.draw(st.lists(names.filter(lambda name: name != "BACKGROUND"), min_size=3, max_size=3, unique=True))
    colours = {str(i): {"class-name": name, "hex-color": f"#{i * 40:02x}{i:02x}00"} for i, name in enumerate(told, 1)}
    expected = np.zeros((SIZE[1], SIZE[0]), int)
    layers = []
    for i, mask in enumerate(drawn, 1):
        expected[mask.top : mask.top + mask.height, mask.left : mask.left + mask.width][lay_out(mask)] = i
        layers.append((mask, str(colours[str(i)]["hex-color"])))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "m.png").write_bytes(painted(*layers, mode=mode))
        (Path(folder) / "f").write_text(truth("s3://b/m.png", **{"internal-color-map": colours}))
        (one,) = read("ground-truth", Path(folder) / "f")
    assert {shape.name for shape in one.shapes} == {told[i - 1] for i in np.unique(expected) if i}
    for shape in one.shapes:
        assert isinstance(shape, Mask)
        whole = np.zeros_like(expected, bool)
        whole[shape.top : shape.top + shape.height, shape.left : shape.left + shape.width] = lay_out(shape)
        assert (whole == (expected == told.index(shape.name) + 1)).all()


def png_header(width: int, height: int) -> bytes:
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head)) + b"\0\0\0\0IDAT"


def picture(size: tuple[int, int], mode: str = "L", kind: str = "PNG") -> bytes:
    packed = BytesIO()
    Image.new(mode, size).save(packed, kind)
    return packed.getvalue()


REFUSED = [
    (picture((7, 7)), "does not fit its image; found PNG of 7 x 7 px, L; expected PNG of 33 x 57 px, 8 bits"),
    (picture(SIZE, kind="JPEG"), "does not fit its image; found JPEG of"),
    (picture(SIZE, "I;16"), r"does not fit its image; found PNG of 33 x 57 px, I;16"),
    (png_header(50_000, 50_000), "50000 x 50000 pixels; at most 1881 are decoded"),
    (picture(SIZE, "RGB")[:80], "not a mask that can be read"),
    (b"hello", "not a mask that can be read; found begins with"),
    (b"", "cannot be read; found 0 bytes|not a mask that can be read"),
    (picture(SIZE), "a mask without"),
]  # fmt: skip


@pytest.mark.parametrize("name", ["labelbox", "labelbox-inline", "ground-truth"])
@pytest.mark.parametrize(("content", "message"), REFUSED)
def test_pictures_that_are_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / "m.png").write_bytes(content)
    beside = labelbox(mask={"instanceURI": "m.png"})
    if name == "labelbox-inline":
        beside = labelbox(mask={"png": base64.b64encode(content).decode()})
    (tmp_path / "f").write_text(truth("s3://b/m.png") if name == "ground-truth" else beside)
    tracemalloc.start()
    with pytest.raises(DataError, match=rf"f:1: .*({message})") as caught:
        read(name.removesuffix("-inline"), tmp_path / "f")
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["../secret.png", "/etc/passwd", "link.png", "folder/secret.png", "a\0b", ".", "x" * 3000]
)
def test_a_picture_elsewhere_is_not_opened(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    (tmp_path / "secret.png").write_bytes(painted((MASK, "#2ca02c")))
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    (inside / "folder").symlink_to(tmp_path)
    for kind, line in (("labelbox", labelbox(mask={"instanceURI": name})), ("ground-truth", truth(f"s3://b/{name}"))):
        (inside / "f").write_text(line)
        with pytest.raises(DataError, match=r"no such mask beside the file|does not lie beside|is too long|is none"):
            read(kind, inside / "f")


@pytest.mark.parametrize("url", ["https://api.labelbox.com/m.png", "gs://b/m.png", "file:///m.png"])
def test_a_url_is_never_fetched(tmp_path: Path, url: str) -> None:
    (tmp_path / "f").write_text(labelbox(mask={"instanceURI": url}))
    with pytest.raises(DataError, match=r"f:1: a mask behind a URL, which is never fetched; .*download it beside"):
        read("labelbox", tmp_path / "f")


@pytest.mark.parametrize(("mask", "message"), [
    ({"png": 3}, "a mask is not a text"), ({"png": "??"}, "not a mask in base64"),
    ({"instanceURI": "m.png", "colorRGB": [1, 2]}, "a colour has not three numbers"),
    ({"instanceURI": "m.png", "colorRGB": [1, 2, 256]}, "a colour is not a number within"),
    ({"instanceURI": "m.png", "colorRGB": [1, 2, 3]}, "a mask without a pixel"),
    ({}, "an object that cannot be held"), ({"x": 1}, "no such mask"),
])  # fmt: skip
def test_masks_that_labelbox_does_not_write(tmp_path: Path, mask: object, message: str) -> None:
    (tmp_path / "m.png").write_bytes(painted((MASK, "#2ca02c")))
    (tmp_path / "f").write_text(labelbox(mask=mask))
    with pytest.raises(DataError, match=f"f:1: {message}"):
        read("labelbox", tmp_path / "f")


@pytest.mark.parametrize(("colours", "message"), [
    ({"0": {"class-name": "x", "hex-color": "red"}}, "not a colour; found 'red'"),
    ({"0": {"class-name": "x", "hex-color": "#ffffff"}, "1": {"class-name": "y", "hex-color": "#FFFFFF"}},
     "two classes of one colour"),
    ({"0": {"class-name": "x", "hex-color": "#123456"}}, "a mask without any colour of its map; found #2ca02c"),
    ([], "internal-color-map is not an object"), ({"0": 1}, "a colour is not an object"),
])  # fmt: skip
def test_colour_maps_that_are_none(tmp_path: Path, colours: object, message: str) -> None:
    (tmp_path / "m.png").write_bytes(painted((MASK, "#2ca02c")))
    (tmp_path / "f").write_text(truth("s3://b/m.png", **{"internal-color-map": colours}))
    with pytest.raises(DataError, match=f"f:1: {message}"):
        read("ground-truth", tmp_path / "f")


def test_a_mask_of_an_unknown_image_is_not_looked_for(tmp_path: Path) -> None:
    (tmp_path / "f").write_text(labelbox(mask={"instanceURI": "m.png"}).replace(IDS[NUMBER], "nobody"))
    assert [one.image_id for one in read("labelbox", tmp_path / "f")] == [""]
