"""Read a file's bytes and its header within limits, and find out whether it decodes to its end."""

from __future__ import annotations

import functools
import os
import stat
import struct
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

# Pillow warns about odd metadata (a broken EXIF block, say) of files whose pixels are fine; a line a file helps nobody.
warnings.filterwarnings("ignore", module=r"PIL\.")

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"})  # any case


class CannotDecode(Exception):
    """Why these bytes are not a usable image: a reason as in records.Quarantined, and a detail."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def read_bounded(path: Path, max_bytes: int) -> bytes:
    try:
        with open(path, "rb", buffering=0, opener=_open_without_waiting) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise CannotDecode("unreadable", "not a regular file")
            if status.st_size > max_bytes:
                raise CannotDecode("too-large", f"{status.st_size} bytes; at most {max_bytes} are read")
            content = stream.read()
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise CannotDecode("unreadable", getattr(error, "strerror", None) or str(error)) from None
    if not content:
        raise CannotDecode("empty", "0 bytes")
    return content


def _open_without_waiting(name: str, flags: int) -> int:
    """Open like the built-in, but do not wait for a writer where the name is a pipe."""
    return os.open(name, flags | os.O_NONBLOCK)


def format_of(content: bytes) -> str:
    """Return the format that the first bytes tell, or raise."""
    if content.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "WEBP"
    if content.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    if content.startswith(b"BM"):
        return "BMP"
    raise CannotDecode("not-an-image", f"begins with {content[:8]!r}, which is none of PNG, JPEG, BMP, WebP, TIFF")


def open_header(content: bytes, max_pixels: int) -> Image.Image:
    """Return a Pillow image that has read its header and no pixels.

    The reader's class is called directly: Image.open would try others, and warn or raise by a limit that is global.
    """
    kind = format_of(content)
    if kind == "WEBP":
        _refuse_bomb(_webp_size(content), max_pixels)  # its reader allocates the canvas when it opens
    try:
        image: Image.Image = _reader(kind)(BytesIO(content))
    except pillow_errors() as error:
        reason = "truncated" if lacks_its_end(kind, content) else "unreadable"
        raise CannotDecode(reason, first_line(error)) from None
    _refuse_bomb(image.size, max_pixels)
    return image


@functools.cache
def _reader(kind: str) -> Any:
    from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

    return {
        "JPEG": JpegImagePlugin.JpegImageFile,
        "PNG": PngImagePlugin.PngImageFile,
        "WEBP": WebPImagePlugin.WebPImageFile,
        "TIFF": TiffImagePlugin.TiffImageFile,
        "BMP": BmpImagePlugin.BmpImageFile,
    }[kind]


def pillow_errors() -> tuple[type[BaseException], ...]:
    """What Pillow's readers raise on damaged files, seen by fuzzing; Warning where warnings are made errors."""
    return (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RuntimeError,
            EOFError, MemoryError, Warning, struct.error, zlib.error)  # fmt: skip


def _refuse_bomb(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise CannotDecode("unreadable", f"{width} x {height} pixels")
    if width * height > max_pixels:
        raise CannotDecode("too-large", f"{width} x {height} pixels; at most {max_pixels} are decoded")


def _webp_size(content: bytes) -> tuple[int, int]:
    """Return width and height from a WebP's first chunk (developers.google.com/speed/webp/docs/riff_container)."""
    head = content[12:30].ljust(18, b"\0")
    if head[:4] == b"VP8X":
        return 1 + int.from_bytes(head[12:15], "little"), 1 + int.from_bytes(head[15:18], "little")
    if head[:4] == b"VP8L":
        bits = int.from_bytes(head[9:13], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack("<HH", head[14:18])
    return width & 0x3FFF, height & 0x3FFF


def lacks_its_end(kind: str, content: bytes) -> bool:
    """Tell whether the file stops before the mark, or the length, that its format puts into it."""
    if kind == "PNG":
        return content.rfind(b"IEND\xaeB`\x82") < 0
    if kind == "JPEG":
        return content.rfind(b"\xff\xd9") < 0
    if kind == "WEBP":
        return int.from_bytes(content[4:8], "little") + 8 > len(content)
    if kind == "TIFF" and content[2:3] in (b"*", b"\0") and content[3:4] in (b"*", b"\0"):
        return int.from_bytes(content[4:8], "little" if content[:2] == b"II" else "big") + 2 > len(content)
    return False


def decode_fully(image: Image.Image, content: bytes) -> None:
    """Decode every pixel, a JPEG at 1/8 of its size: that reads all of the file and saves most of the arithmetic."""
    kind = format_of(content)
    if lacks_its_end(kind, content):
        raise CannotDecode("truncated", f"the {kind} has no end mark, or is shorter than it says")
    if kind == "JPEG":
        image.draft(None, (1, 1))
    load_pixels(image)


def load_pixels(image: Image.Image) -> None:
    try:
        image.load()
    except pillow_errors() as error:
        text = first_line(error)
        cut = "truncated" in text or "decoder error -2" in text or "not enough image data" in text
        raise CannotDecode("truncated" if cut else "unreadable", text) from None


def first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
