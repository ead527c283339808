"""What others ask of an image file: is it one, which, its pixels, a small picture of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from activesel.errors import DataError
from activesel.images.files import CannotDecode, decode_fully, format_of, open_header, read_bounded
from activesel.images.pixels import Rgb, to_rgb
from activesel.records import Quarantined

_ID_DIGITS = 32
_BYTES_PER_PIXEL = 16  # RGBA of 32-bit samples; a file needs more only for its metadata
_METADATA_BYTES = 64 << 20

Box = tuple[float, float, float, float]
_OUTLINE_RGB = (255, 140, 0)


@dataclass(frozen=True)
class CheckedImage:
    """A file that decodes to its last pixel."""

    image_id: str  # first 32 hex digits of the content's SHA-256
    width_px: int
    height_px: int
    format: str  # PNG, JPEG, BMP, WEBP, TIFF
    n_bytes: int


def check_image(path: Path, *, max_pixels: int, max_bytes: int) -> CheckedImage | Quarantined:
    """Read the file once, hash it and make sure that it decodes; never raises for what is wrong with the file.

    Found: files that end early, also where every pixel is still there but the end mark is not. Not found: wrong colours
    from bits flipped inside a JPEG or WebP, which have no checksum.
    """
    try:
        content = read_bounded(path, max_bytes)
        image = open_header(content, max_pixels)
        checked = CheckedImage(
            hashlib.sha256(content).hexdigest()[:_ID_DIGITS], *image.size, format_of(content), len(content)
        )
        decode_fully(image, content)
    except CannotDecode as error:
        return Quarantined(str(path), error.reason, error.detail)
    return checked


def decode_rgb(path: Path, *, max_pixels: int, at_least_px: int | None = None) -> Rgb:
    """Return the image as (h, w, 3) uint8 RGB; the package's docstring says what becomes of grey, alpha and 16 bit.

    at_least_px: a JPEG may come at 1/2, 1/4 or 1/8 of its size as long as its short side keeps this many pixels (an
    image that is smaller comes whole). Decoding runs without the GIL, so threads help.

    Raises:
        DataError: the file is missing, is no image, is cut short, or has more than ``max_pixels``.
    """
    try:
        content = read_bounded(path, max_pixels * _BYTES_PER_PIXEL + _METADATA_BYTES)
        image = open_header(content, max_pixels)
        return to_rgb(image, content, at_least_px)
    except CannotDecode as error:
        raise DataError("cannot decode the image", where=str(path), found=f"{error.reason}: {error.detail}",
                        hint="run `activesel ingest` again to set it aside") from None  # fmt: skip


def thumbnail_jpeg(path: Path, *, longest_px: int, max_pixels: int, box: Box | None = None) -> bytes:
    """Return a JPEG of the image whose longest side has at most ``longest_px`` pixels; a small image keeps its size.

    box: outlined in it, x0, y0, x1, y1 as shares of the width and height, 0..1.

    Raises:
        DataError: as decode_rgb.
    """
    import cv2

    rgb = decode_rgb(path, max_pixels=max_pixels, at_least_px=longest_px)
    height, width = rgb.shape[:2]
    scale = min(1.0, longest_px / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = rgb if scale == 1.0 else cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    if box is not None:
        corners = [round(share * (side - 1)) for share, side in zip(box, (size * 2), strict=True)]
        small = cv2.rectangle(small.copy(), corners[:2], corners[2:], _OUTLINE_RGB, max(1, longest_px // 100))
    encoded, jpeg = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert encoded, f"no JPEG from {small.shape}"
    return bytes(jpeg)


def content_id(path: Path) -> str:
    """Return the image id that a file's content has, whether or not it is an image.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()[:_ID_DIGITS]
    except OSError as error:
        raise DataError("cannot read the file", where=str(path), found=error.strerror or str(error)) from None
