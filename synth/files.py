"""Read images that nobody has vouched for, within limits; write files whole or not at all, never outside a folder."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from synth.errors import SynthError
from synth.records import Image, Mask

MAX_BYTES = 256 << 20
MAX_PIXELS = 100_000_000
JPEG_QUALITY = 95
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF")
_MASK_OPTIONS = (  # runs of equal pixels: five times quicker than OpenCV's choice of filters, and smaller
    cv2.IMWRITE_PNG_COMPRESSION, 3, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE,
    cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE,
)  # fmt: skip
_UNFINISHED = ".unfinished-"  # files that are being written; one that stays is of a process that was killed
_scratch = threading.local()
_JPEG_START = b"\xff\xd8\xff"


def read_bytes(path: Path) -> bytes:
    """Return a regular file's content.

    Raises:
        SynthError: it is missing, a folder, a pipe, empty, or larger than ``MAX_BYTES``.
    """
    try:
        with open(path, "rb", buffering=0, opener=_open_without_waiting) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
                raise SynthError("not a file that can be read", where=str(path), found=f"{status.st_size} bytes",
                                 expected=f"a regular file of at most {MAX_BYTES} bytes")  # fmt: skip
            content = stream.read()
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise SynthError("cannot read the file", where=str(path), found=reason) from None
    if not content:
        raise SynthError("the file is empty", where=str(path))
    return content


def read_image(path: Path) -> Image:
    """Return (h, w, 3) RGB as stored: no EXIF rotation, grey as three equal channels, the first of several pages.

    The header's size is compared with ``MAX_PIXELS`` before a pixel is decoded.

    Raises:
        SynthError: no image, a broken one, or one beyond the limits.
    """
    return np.ascontiguousarray(_decode(path, read_bytes(path), "RGB"))


def read_mask(path: Path, size: tuple[int, int] | None = None) -> Mask:
    """Return (h, w): above 0 is set; in a JPEG, whose zeros are not exact, from 128 up.

    Raises:
        SynthError: as read_image, or the mask has another size than ``size`` (h, w), its image's.
    """
    content = read_bytes(path)
    grey = _decode(path, content, "L")
    if size is not None and grey.shape != size:
        raise SynthError("the mask has another size than its image", where=str(path),
                         found=f"{grey.shape[1]} x {grey.shape[0]}", expected=f"{size[1]} x {size[0]}")  # fmt: skip
    return np.asarray(grey >= (128 if content.startswith(_JPEG_START) else 1), np.bool_)


def file_id(path: Path) -> str:
    """Return the first 16 hex digits of the content's SHA-256."""
    return hashlib.sha256(read_bytes(path)).hexdigest()[:16]


def encode_image(picture: Image, suffix: str) -> bytes:
    """Return the file's bytes for ".png" (lossless, quick) or ".jpg" (quality 95); the same picture, the same bytes."""
    options = [cv2.IMWRITE_PNG_COMPRESSION, 1] if suffix == ".png" else [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    return _encode(picture[..., 0] if is_grey(picture) else _to_bgr(picture), suffix, options)


def is_grey(picture: Image) -> bool:
    """Whether the three channels are equal; a colour picture shows it in its first row, mostly."""
    red, green, blue = (picture[..., channel] for channel in range(3))
    few = np.array_equal(red[0], green[0]) and np.array_equal(green[0], blue[0])
    return few and np.array_equal(red, green) and np.array_equal(green, blue)


def encode_mask(mask: Mask) -> bytes:
    """Return a grey PNG of 0 and 255."""
    return _encode(mask.astype(np.uint8) * 255, ".png", list(_MASK_OPTIONS))


def inside(folder: Path, *names: str) -> Path:
    """Return ``folder / names``, which come from users' data, refusing what would lead out of the folder.

    >>> inside(Path("set"), "images", "a.png").as_posix()
    'set/images/a.png'

    Raises:
        SynthError: a name that is empty, a path, a way up, or not writable as a file's name.
    """
    for name in names:
        if not name or name in (".", "..") or any(sign in name for sign in "/\\\0\n\r") or len(name.encode()) > 200:
            raise SynthError("not usable as the name of a file or folder", found=repr(name),
                             expected="a plain name without / or \\")  # fmt: skip
    path = folder.joinpath(*names)
    if not path.resolve().is_relative_to(folder.resolve()):  # a link below the folder leads away
        raise SynthError("a link leads out of the folder", where=str(path))
    return path


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file so that it is absent (or old) or complete, whatever kills the process.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    payload = content.encode("utf8") if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{_UNFINISHED}{path.name[:100]}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(payload)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def sweep(folder: Path) -> None:
    """Remove what writers that were killed have left below a folder; hold it, so that no other writes there."""
    for left in folder.rglob(f"{_UNFINISHED}*"):
        left.unlink(missing_ok=True)


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold the one writer's lock on a folder; the system frees it when the process dies, however it dies.

    Raises:
        SynthError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SynthError("another process is writing there", where=str(folder.parent),
                             hint="wait until it is done, then run this again") from None  # fmt: skip
        yield


def _to_bgr(picture: Image) -> Image:
    """OpenCV's order of channels, in memory that the next call writes over: fresh pages cost more than the work."""
    if getattr(_scratch, "shape", None) != picture.shape:
        _scratch.shape, _scratch.bgr = picture.shape, np.empty_like(picture)
    bgr: Image = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR, dst=_scratch.bgr)
    return bgr


def _encode(pixels: npt.NDArray[Any], suffix: str, options: list[int]) -> bytes:
    done, content = cv2.imencode(suffix, pixels, options)
    assert done, f"no {suffix} from {pixels.shape}"
    return bytes(content)


def _decode(path: Path, content: bytes, mode: str) -> npt.NDArray[np.uint8]:
    from PIL import Image as Pillow

    try:
        image = Pillow.open(BytesIO(content), formats=_FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise SynthError("the image has too many pixels", where=str(path), found=f"{image.width} x {image.height}",
                             expected=f"at most {MAX_PIXELS}")  # fmt: skip
        if mode == "L" and image.mode == "1":
            return np.asarray(image, np.uint8)
        deep = np.asarray(image) if image.mode.startswith(("I", "F")) else None
        if deep is None:
            return np.asarray(image.convert(mode))
    except SynthError:
        raise
    except Exception as error:  # noqa: BLE001 - Pillow's readers raise a dozen types on damaged files
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise SynthError("cannot decode the image", where=str(path), found=reason) from None
    grey = np.asarray(np.clip(deep / max(1.0, float(deep.max()) / 255), 0, 255), np.uint8)
    if mode == "L":
        return np.asarray(deep > 0, np.uint8) * 255
    return np.repeat(grey[..., None], 3, axis=2)


def _open_without_waiting(name: str, flags: int) -> int:
    """Open like the built-in, but do not wait for a writer where the name is a pipe."""
    return os.open(name, flags | os.O_NONBLOCK)
