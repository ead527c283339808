"""What others ask of an image file: is it one, which, its pixels, a small picture of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from activesel.errors import DataError
from activesel.images.files import CannotDecode, decode_fully, format_of, lacks_its_end, open_header, read_bounded
from activesel.images.pixels import Pixels, Rgb, to_pixels, widen
from activesel.records import Quarantined

_ID_DIGITS = 32
_BYTES_PER_PIXEL = 16  # RGBA of 32-bit samples; a file needs more only for its metadata
_METADATA_BYTES = 64 << 20

Box = tuple[float, float, float, float]
_OUTLINE_RGB = (255, 140, 0)
_LEAST_MARGIN_PX = 8
_LOSSLESS_PIXELS = 1_500_000


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

    The rest is as decode_pixels.
    """
    return widen(decode_pixels(path, max_pixels=max_pixels, at_least_px=at_least_px))


def decode_pixels(path: Path, *, max_pixels: int, at_least_px: int | None = None) -> Pixels:
    """Return the image as decode_rgb does, but a grey JPEG or PNG as (h, w, 1): a third of the memory, less time.

    at_least_px: a JPEG may come at 1/2, 1/4 or 1/8 of its size as long as its short side keeps this many pixels (an
    image that is smaller comes whole). Decoding runs without the GIL, so threads help.

    Raises:
        DataError: the file is missing, is no image, is cut short, or has more than ``max_pixels``.
    """
    try:
        content = read_bounded(path, max_pixels * _BYTES_PER_PIXEL + _METADATA_BYTES)
        image = open_header(content, max_pixels)
        return to_pixels(image, content, at_least_px)
    except CannotDecode as error:
        raise DataError("cannot decode the image", where=str(path), found=f"{error.reason}: {error.detail}",
                        hint="run `activesel ingest` again to set it aside") from None  # fmt: skip


def decode_content(content: bytes, *, max_pixels: int, at_least_px: int | None = None) -> Pixels:
    """Return bytes that somebody sent as decode_pixels returns a file; the caller has bounded their number.

    Raises:
        Refused: they are no image, are cut short, or have more than ``max_pixels``.
    """
    try:
        if not content:
            raise CannotDecode("empty", "0 bytes")
        image = open_header(content, max_pixels)
        if lacks_its_end(format_of(content), content):  # OpenCV fills what is missing of a JPEG with grey
            raise CannotDecode("truncated", "it has no end mark, or is shorter than it says")
        return to_pixels(image, content, at_least_px)
    except CannotDecode as error:
        raise Refused(error.reason, error.detail) from None


class Refused(DataError):
    """Bytes that are not taken for an image. reason: as in records.Quarantined."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"cannot decode the image; {reason}: {detail}")
        self.reason = reason


def thumbnail_jpeg(path: Path, *, longest_px: int, max_pixels: int, box: Box | None = None) -> bytes:
    """Return a JPEG of the image whose longest side has at most ``longest_px`` pixels; a small image keeps its size.

    box: outlined in it, x0, y0, x1, y1 as shares of the width and height, 0..1.

    Raises:
        DataError: as decode_rgb.
    """
    rgb = decode_rgb(path, max_pixels=max_pixels, at_least_px=longest_px)
    height, width = rgb.shape[:2]
    scale = min(1.0, longest_px / max(height, width))
    return _draw_jpeg(rgb, (max(1, round(width * scale)), max(1, round(height * scale))), box)


def view_image(path: Path, *, longest_px: int, max_pixels: int) -> tuple[bytes, str]:
    """Return the image for a person to inspect, and its media type: decoded and encoded anew, nothing else of the file.

    A PNG, without loss, up to 1.5 megapixels: faint defects must not drown in JPEG's own; larger ones as JPEG-95.

    Raises:
        DataError: as decode_rgb.
    """
    import cv2

    pixels = decode_pixels(path, max_pixels=max_pixels, at_least_px=longest_px)
    height, width = pixels.shape[:2]
    scale = min(1.0, longest_px / max(height, width))
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    small = pixels.shape[0] * pixels.shape[1] <= _LOSSLESS_PIXELS
    options = [cv2.IMWRITE_PNG_COMPRESSION, 1] if small else [cv2.IMWRITE_JPEG_QUALITY, 95]
    encoded, content = cv2.imencode(".png" if small else ".jpg", pixels, options)
    assert encoded, f"no picture from {pixels.shape}"
    return bytes(content), "image/png" if small else "image/jpeg"


def crop_jpeg(path: Path, box: Box, *, longest_px: int, max_pixels: int) -> bytes | None:
    """Return a JPEG of what is around the box, which is outlined, its longest side ``longest_px``, enlarged if need be.

    box: as thumbnail_jpeg's. None where the crop would be more than half of the image each way: it shows nothing new.

    Raises:
        DataError: as decode_rgb.
    """
    rgb = decode_rgb(path, max_pixels=max_pixels)
    height, width = rgb.shape[:2]
    (x0, x1), (y0, y1) = _widen(box[0], box[2], width), _widen(box[1], box[3], height)
    if 2 * (x1 - x0) > width and 2 * (y1 - y0) > height:
        return None
    scale = longest_px / max(x1 - x0, y1 - y0)
    size = (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))
    inside = ((box[0] * width - x0) / (x1 - x0), (box[1] * height - y0) / (y1 - y0),
              (box[2] * width - x0) / (x1 - x0), (box[3] * height - y0) / (y1 - y0))  # fmt: skip
    return _draw_jpeg(rgb[y0:y1, x0:x1].copy(), size, inside)


def _widen(start: float, end: float, side: int) -> tuple[int, int]:
    """Return the first pixel and the end of a part (0..1) of a side with as much again around it."""
    margin = max((end - start) / 2, _LEAST_MARGIN_PX / side)
    first = min(side - 1, max(0, round((start - margin) * side)))
    return first, min(side, max(first + 1, round((end + margin) * side)))


def _draw_jpeg(rgb: Rgb, size: tuple[int, int], box: Box | None) -> bytes:
    """Return the image at that width and height, with the box, if any, outlined."""
    import cv2

    height, width = rgb.shape[:2]
    drawn = rgb
    if size != (width, height):
        drawn = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if size[0] <= width else cv2.INTER_LINEAR)
    if box is not None:
        corners = [round(share * (side - 1)) for share, side in zip(box, size * 2, strict=True)]
        drawn = cv2.rectangle(drawn.copy(), corners[:2], corners[2:], _OUTLINE_RGB, max(1, max(size) // 100))
    encoded, jpeg = cv2.imencode(".jpg", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert encoded, f"no JPEG from {drawn.shape}"
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
