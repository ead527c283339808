"""Masks that come as PNG pictures, in a label file or beside it: none is fetched, none lies outside of its folder."""

from __future__ import annotations

import base64
import binascii
from io import BytesIO
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import numpy as np
import numpy.typing as npt

from activesel.annotations import Mask
from activesel.errors import DataError
from activesel.images.files import CannotDecode, decode_fully, format_of, open_header, read_bounded
from activesel.labels.fields import shorten
from activesel.labels.whole_masks import lay_out

MOST_BYTES = 64 << 20  # of one picture as a file
_MOST_PARTS = 40  # folders of a URL that are looked for beside the manifest
_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA"})  # of pictures that show classes by colours of 8 bits
_INLINE = "data:image/png;base64,"

Colours = npt.NDArray[np.uint8]  # (h, w, 4): red, green, blue, alpha


def read_beside(name: str, folder: Path, where: str) -> bytes:
    """Return the bytes of a picture in the folder of its label file.

    Raises:
        DataError: a URL, a name that leads out of the folder, no such file, or a larger one than is read.
    """
    if "://" in name:
        raise DataError("a mask behind a URL, which is never fetched", where=where, found=shorten(ascii(name)[1:-1]),
                        hint="download it beside this file and write its name there")  # fmt: skip
    found = _inside(name, folder)
    if found is None:
        raise DataError("no such mask beside the file", where=where, found=shorten(ascii(name)[1:-1]),
                        expected="a picture below its folder")  # fmt: skip
    return _read(found, where)


def read_downloaded(url: str, folder: Path, where: str) -> bytes:
    """Return the bytes of a picture that was downloaded beside its label file, under the end of its URL's path.

    Of "s3://bucket/job/masks/1.png" "job/masks/1.png" is looked for, then "masks/1.png", then "1.png".

    Raises:
        DataError: it is not there, or is larger than is read.
    """
    try:
        parts = [one for one in PurePosixPath(unquote(urlsplit(url).path)).parts if one != "/"]
    except ValueError:
        parts = []
    for start in range(max(0, len(parts) - _MOST_PARTS), len(parts)):
        found = _inside("/".join(parts[start:]), folder)
        if found is not None:
            return _read(found, where)
    raise DataError("a mask that does not lie beside the manifest", where=where, found=shorten(ascii(url)[1:-1]),
                    hint="download it there, under its name; nothing is fetched")  # fmt: skip


def read_inline(text: str, where: str) -> bytes:
    """Return the bytes of a picture written as base64.

    Raises:
        DataError: it is not, or too large.
    """
    packed = text.removeprefix(_INLINE)
    try:
        if len(packed) <= MOST_BYTES * 4 // 3 + 4:
            return base64.b64decode(packed, validate=True)
    except (ValueError, binascii.Error):
        pass
    raise DataError(
        "not a mask in base64", where=where, found=ascii(packed[:20]), expected=f"at most {MOST_BYTES} bytes"
    )


def is_inline(text: str) -> bool:
    return text.startswith(_INLINE)


def decode(content: bytes, size: tuple[int, int], where: str) -> Colours:
    """Return a PNG's colours (h, w, 4); of a grey one each is (grey, grey, grey, 255).

    size: width and height of the image that it is a mask of; nothing larger is ever unpacked.

    Raises:
        DataError: no PNG, one of another size or with other than 8 bits, a damaged one.
    """
    try:
        kind = format_of(content)
        image = open_header(content, size[0] * size[1])
        if kind != "PNG" or image.size != size or image.mode not in _MODES:
            raise DataError("a mask that does not fit its image", where=where,
                            found=f"{kind} of {image.size[0]} x {image.size[1]} px, {image.mode}",
                            expected=f"PNG of {size[0]} x {size[1]} px, 8 bits")  # fmt: skip
        decode_fully(image, content)
        return np.asarray(image.convert("RGBA"))
    except CannotDecode as error:
        raise DataError("not a mask that can be read", where=where, found=shorten(ascii(error.detail)[1:-1]),
                        expected=f"PNG of {size[0]} x {size[1]} px") from None  # fmt: skip


def encode(mask: Mask, size: tuple[int, int]) -> str:
    """Return a mask as a grey PNG of the whole image in base64: 255 inside, 0 outside. size: its width and height."""
    from PIL import Image

    whole = np.zeros((size[1], size[0]), np.uint8)
    crop = whole[mask.top : mask.top + mask.height, mask.left : mask.left + mask.width]
    crop[lay_out(mask)[: crop.shape[0], : crop.shape[1]]] = 255
    packed = BytesIO()
    Image.fromarray(whole).save(packed, "PNG")
    return base64.b64encode(packed.getvalue()).decode()


def _inside(name: str, folder: Path) -> Path | None:
    """Return the regular file that a name means below a folder, links followed; None where there is none."""
    try:
        root = folder.resolve()
        found = (root / name).resolve()
        return found if name and found.is_relative_to(root) and found.is_file() else None
    except (OSError, ValueError, RuntimeError):  # a name that no file can have, links in a circle
        return None


def _read(path: Path, where: str) -> bytes:
    try:
        return read_bounded(path, MOST_BYTES)
    except CannotDecode as error:
        raise DataError("a mask that cannot be read", where=where, found=shorten(error.detail)) from None
