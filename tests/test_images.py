"""Files as cameras, and accidents, leave them: each kind decodes to known pixels, each damage has its reason."""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from activesel.errors import DataError
from activesel.images import CheckedImage, check_image, content_id, crop_jpeg, decode_rgb, thumbnail_jpeg
from activesel.records import Quarantined

LIMITS = {"max_pixels": 1_000_000, "max_bytes": 10_000_000}
FORMATS = {"png": "PNG", "jpg": "JPEG", "bmp": "BMP", "webp": "WEBP", "tif": "TIFF"}


def smooth_colour(height: int = 48, width: int = 64) -> npt.NDArray[np.uint8]:
    """A picture that JPEG keeps almost exactly: each channel a ramp of its own."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)], axis=-1).astype(np.uint8)


def write(path: Path, samples: npt.NDArray[Any]) -> Path:
    """Write RGB, grey or alpha samples of any depth with OpenCV, whose channel order is blue first."""
    if samples.ndim == 3:
        samples = samples[..., [2, 1, 0, *range(3, samples.shape[2])]]
    assert cv2.imwrite(str(path), samples, [cv2.IMWRITE_JPEG_QUALITY, 100, cv2.IMWRITE_WEBP_QUALITY, 101])
    return path


def reason(path: Path, **limits: int) -> str:
    found = check_image(path, **{**LIMITS, **limits})
    assert isinstance(found, Quarantined), found
    assert found.path == str(path)
    assert found.detail
    return found.reason


def decode(path: Path) -> npt.NDArray[np.int64]:
    rgb = decode_rgb(path, max_pixels=1_000_000)
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous
    return rgb.astype(np.int64)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("colour", [True, False])
def test_every_format_is_checked_and_decoded(tmp_path: Path, suffix: str, colour: bool) -> None:
    rgb = smooth_colour()
    path = write(tmp_path / f"a.{suffix}", rgb if colour else rgb[..., 0])
    n_bytes = path.stat().st_size
    image_id = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    assert check_image(path, **LIMITS) == CheckedImage(image_id, 64, 48, FORMATS[suffix], n_bytes)
    assert content_id(path) == image_id
    expected = rgb if colour else np.repeat(rgb[..., :1], 3, axis=2)
    assert np.abs(decode(path) - expected).max() <= (8 if suffix == "jpg" else 0)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_cut_anywhere_is_found(tmp_path: Path, suffix: str, rng: np.random.Generator) -> None:
    noise = rng.integers(0, 256, (40, 50, 3), np.uint8)
    content = write(tmp_path / f"a.{suffix}", noise).read_bytes()
    cut = tmp_path / "cut"
    # OpenCV's TIFF ends with its directory, whose last two bytes nothing needs.
    for length in {*range(20, len(content) - 2, len(content) // 40), len(content) - 3}:
        cut.write_bytes(content[:length])
        assert reason(cut) in ("truncated", "unreadable"), length
    cut.write_bytes(content[: len(content) // 2])
    assert reason(cut) == "truncated"
    with pytest.raises(DataError, match="cut: cannot decode the image; found truncated"):
        decode_rgb(cut, max_pixels=1_000_000)


def test_reasons_of_files_that_are_no_images(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not an image at all")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    assert reason(tmp_path / "empty.png") == "empty"
    assert reason(tmp_path / "text.png") == "not-an-image"
    assert reason(tmp_path / "folder.png") == "unreadable"
    assert reason(tmp_path / "pipe.png") == "unreadable"  # and does not wait for a writer
    assert reason(tmp_path / "absent.png") == "unreadable"
    assert reason(tmp_path / "zero\0byte.png") == "unreadable"


def test_too_many_bytes_are_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", smooth_colour())
    assert reason(path, max_bytes=path.stat().st_size - 1) == "too-large"
    assert isinstance(check_image(path, max_pixels=10**6, max_bytes=path.stat().st_size), CheckedImage)


def png_bomb(width: int, height: int) -> bytes:
    """A PNG whose header promises far more pixels than its few bytes hold."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def webp_bomb(width: int, height: int) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + size
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    "content", [png_bomb(60_000, 60_000), webp_bomb(16_000_000, 200), png_bomb(2**31 - 1, 2**31 - 1)]
)
def test_a_pixel_bomb_is_refused_by_its_header(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(content)
    assert reason(path, max_pixels=400_000_000) == "too-large"
    with pytest.raises(DataError, match="too-large"):
        decode_rgb(path, max_pixels=400_000_000)


def test_the_limit_counts_pixels_exactly(tmp_path: Path) -> None:
    path = write(tmp_path / "a.webp", smooth_colour())
    assert isinstance(check_image(path, max_pixels=48 * 64, max_bytes=10**6), CheckedImage)
    assert reason(path, max_pixels=48 * 64 - 1) == "too-large"


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("colour", [True, False])
def test_16_bit_files_are_scaled_by_the_depth_in_use(tmp_path: Path, suffix: str, bits: int, colour: bool) -> None:
    rgb = smooth_colour()
    rgb[0, 0] = 255  # the brightest sample shows the depth
    expected = rgb if colour else np.repeat(rgb[..., :1], 3, axis=2)
    deep = np.rint(rgb / 255 * (2**bits - 1)).astype(np.uint16)
    path = write(tmp_path / f"a.{suffix}", deep if colour else deep[..., 0])
    assert np.abs(decode(path) - expected).max() <= 1
    assert isinstance(check_image(path, **LIMITS), CheckedImage)


def test_float_and_signed_samples(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    expected = np.rint(ramp * 255)
    assert np.abs(decode(write(tmp_path / "unit.tif", ramp))[..., 1] - expected).max() <= 1
    assert np.abs(decode(write(tmp_path / "wide.tif", ramp * 4000 - 2000))[..., 1] - expected).max() <= 1
    ramp[0, 0] = np.nan
    assert decode(write(tmp_path / "nan.tif", ramp))[0, 0, 1] == 0
    Image.fromarray((expected * 1000).astype(np.int32)).save(tmp_path / "int32.tif")
    assert np.abs(decode(tmp_path / "int32.tif")[..., 1] - expected).max() <= 1


def test_palette_bilevel_and_alpha(tmp_path: Path) -> None:
    rgb = np.zeros((4, 4, 3), np.uint8)
    rgb[:2] = (200, 100, 50)
    picture = Image.fromarray(rgb)
    picture.quantize(4).save(tmp_path / "palette.png")
    assert np.array_equal(decode(tmp_path / "palette.png"), rgb)
    Image.fromarray(rgb[..., 0] > 0).save(tmp_path / "bilevel.tif")
    assert np.array_equal(decode(tmp_path / "bilevel.tif")[..., 2], (rgb[..., 0] > 0) * 255)
    half = np.dstack([rgb, np.full((4, 4), 128, np.uint8)])
    Image.fromarray(half).save(tmp_path / "alpha.png")
    assert np.abs(decode(tmp_path / "alpha.png") - rgb / 255 * 128).max() <= 1
    write(tmp_path / "alpha16.png", half.astype(np.uint16) * 257)
    assert np.abs(decode(tmp_path / "alpha16.png") - rgb / 255 * 128).max() <= 1
    picture.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=100)
    assert np.abs(decode(tmp_path / "cmyk.jpg") - rgb).max() <= 8


@pytest.mark.parametrize("at_least_px", [None, 8])
def test_exif_orientation_is_ignored(tmp_path: Path, at_least_px: int | None) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 90 degrees"
    Image.fromarray(smooth_colour(48, 64)).save(tmp_path / "turned.jpg", exif=exif)
    height, width, _ = decode_rgb(tmp_path / "turned.jpg", max_pixels=10**6, at_least_px=at_least_px).shape
    assert width > height
    checked = check_image(tmp_path / "turned.jpg", **LIMITS)
    assert isinstance(checked, CheckedImage)
    assert (checked.width_px, checked.height_px) == (64, 48)


@pytest.mark.parametrize(
    ("at_least_px", "height"), [(None, 512), (300, 512), (256, 256), (200, 256), (64, 64), (1, 64)]
)
def test_a_jpeg_comes_smaller_but_never_too_small(tmp_path: Path, at_least_px: int | None, height: int) -> None:
    path = write(tmp_path / "a.jpg", smooth_colour(512, 768))
    rgb = decode_rgb(path, max_pixels=10**6, at_least_px=at_least_px)
    assert rgb.shape == (height, height * 3 // 2, 3)
    small = cv2.resize(smooth_colour(512, 768), rgb.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(rgb.astype(int) - small).mean() < 2


def test_thumbnail_keeps_shape_and_colours(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", smooth_colour(100, 200))
    thumbnail = Image.open(BytesIO(thumbnail_jpeg(path, longest_px=50, max_pixels=10**6)))
    assert (thumbnail.format, thumbnail.size) == ("JPEG", (50, 25))
    assert np.abs(np.asarray(thumbnail).astype(int) - smooth_colour(25, 50)).mean() < 8
    assert Image.open(BytesIO(thumbnail_jpeg(path, longest_px=999, max_pixels=10**6))).size == (200, 100)


def is_orange(jpeg: bytes) -> npt.NDArray[np.bool_]:
    pixels = np.asarray(Image.open(BytesIO(jpeg))).astype(int)
    return np.asarray((pixels[..., 0] > 150) & (pixels[..., 2] < 90), dtype=bool)


def test_a_box_is_outlined_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    Image.fromarray(np.full((100, 200), 120, np.uint8)).save(path)
    assert not is_orange(thumbnail_jpeg(path, longest_px=200, max_pixels=10**6)).any()
    rows, columns = np.nonzero(
        is_orange(thumbnail_jpeg(path, longest_px=200, max_pixels=10**6, box=(0.5, 0.2, 0.6, 0.5)))
    )
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == pytest.approx((100, 119, 20, 50), abs=3)


def test_a_crop_shows_the_box_and_what_is_around_it(tmp_path: Path) -> None:
    path = tmp_path / "dot.png"
    pixels = np.full((400, 400), 200, np.uint8)
    pixels[300:310, 100:110] = 0
    Image.fromarray(pixels).save(path)
    content = crop_jpeg(path, (0.2, 0.7, 0.3, 0.8), longest_px=160, max_pixels=10**6)
    assert content is not None
    crop = np.asarray(Image.open(BytesIO(content)))
    assert crop.shape == (160, 160, 3), "enlarged: 80 pixels of the image"
    rows, columns = np.nonzero(crop.max(axis=2) < 60)
    assert (rows.mean(), columns.mean()) == pytest.approx((90, 90), abs=3), "pixel 305 of rows that start at 260, twice"
    inside = is_orange(content)
    assert inside[:, 38:43].any()
    assert not inside[:, :35].any()
    at_rim = crop_jpeg(path, (0.95, 0.0, 1.0, 0.02), longest_px=160, max_pixels=10**6)
    assert at_rim is not None
    assert Image.open(BytesIO(at_rim)).size[0] == 160
    assert crop_jpeg(path, (0.1, 0.1, 0.9, 0.9), longest_px=160, max_pixels=10**6) is None, "nothing to enlarge"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(suffix=st.sampled_from(sorted(FORMATS)), place=st.floats(0, 1), junk=st.binary(min_size=1, max_size=40))
def test_damage_never_raises_anything_of_its_own(suffix: str, place: float, junk: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / f"a.{suffix}", smooth_colour(16, 16))
        content = bytearray(path.read_bytes())
        start = round(place * (len(content) - len(junk)))
        content[start : start + len(junk)] = junk
        path.write_bytes(content)
        assert isinstance(check_image(path, max_pixels=10_000, max_bytes=10**6), CheckedImage | Quarantined)
        try:
            assert decode_rgb(path, max_pixels=10_000).shape[2] == 3
        except DataError as error:
            assert str(path) in str(error)  # noqa: PT017 - decoding may also succeed


def test_real_images_check_and_decode(real_data: Path) -> None:
    for name in ("magnetic_tile/images", "neu_det", "mvtec_leather_mini"):
        for path in sorted(p for p in (real_data / name).rglob("*") if p.suffix in (".jpg", ".png"))[:10]:
            checked = check_image(path, max_pixels=10**8, max_bytes=10**8)
            assert isinstance(checked, CheckedImage)
            assert decode_rgb(path, max_pixels=10**8).shape == (checked.height_px, checked.width_px, 3)
