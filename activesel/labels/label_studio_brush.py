"""Label Studio's brush: a packed stream of bits over the RGBA bytes of the whole image, to and from our masks.

The packing is that of https://github.com/thi-ng/umbrella (rle-pack), as in label_studio_sdk.converter.brush: 32 bits
how many bytes, 5 bits the word size less one, 4 x 4 bits four sizes of lengths less one; then blocks, each one bit
"repeated", two bits which size, the length less one in so many bits, and one word, or a word for each. A pixel is
inside where its fourth byte, alpha, is not 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from activesel.annotations import Mask
from activesel.errors import DataError

_SIZES = (3, 4, 8, 16)  # bits of a length; what they write
_HEAD_BITS = 32 + 5 + 4 * 4


def rle_of_mask(mask: Mask, size: tuple[int, int]) -> list[int]:
    """Return a mask as bytes 0..255. size: width and height of the image in pixels."""
    width, height = size
    whole = np.zeros((height, width), bool)
    flat = np.repeat(np.arange(len(mask.runs)) % 2 == 1, mask.runs)
    crop = (slice(mask.top, mask.top + mask.height), slice(mask.left, mask.left + mask.width))
    whole[crop] = flat.reshape(mask.height, mask.width)
    bits = [f"{width * height * 4:032b}", f"{8 - 1:05b}", *(f"{size - 1:04b}" for size in _SIZES)]
    pixels = whole.ravel()
    starts = np.concatenate(([0], np.flatnonzero(pixels[1:] != pixels[:-1]) + 1, [pixels.size]))
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        left, word = 4 * (end - start), f"{255 if pixels[start] else 0:08b}"
        while left:
            which = next((i for i, n_bits in enumerate(_SIZES) if left <= 1 << n_bits), len(_SIZES) - 1)
            length = min(left, 1 << _SIZES[which])
            bits.append(f"1{which:02b}{length - 1:0{_SIZES[which]}b}{word}")
            left -= length
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8))


def mask_of_rle(name: str, rle: object, size: tuple[int, int], *, where: str, score: float | None = None) -> Mask:
    """Return the mask, cropped to what is inside. size: the image's; nothing larger than it is ever unpacked.

    Raises:
        DataError: not their packing, of an image of another size, cut short, or without a pixel inside.
    """
    width, height = size
    alpha = _unpack(rle, width * height * 4, where)[3::4].reshape(height, width) != 0
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    if not len(rows):
        raise DataError("a brush stroke without a pixel", where=where)
    top, left = int(rows[0]), int(columns[0])
    crop = alpha[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
    flat = crop.ravel()
    ends = np.concatenate((np.flatnonzero(flat[1:] != flat[:-1]) + 1, [flat.size]))
    runs = np.diff(ends, prepend=0).tolist()
    return Mask(name, left, top, crop.shape[1], crop.shape[0], tuple([0, *runs] if flat[0] else runs), score)


def _unpack(rle: object, n_wanted: int, where: str) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    bits = _bits_of(rle, n_wanted, where)
    n_bytes, word_bits = int(bits[:32], 2), int(bits[32:37], 2) + 1
    sizes = [int(bits[37 + 4 * i : 41 + 4 * i], 2) + 1 for i in range(4)]
    if n_bytes != n_wanted or word_bits != 8:
        raise DataError("a brush mask of another image", where=where, found=f"{n_bytes} values of {word_bits} bits",
                        expected=f"{n_wanted} of 8, four for each pixel")  # fmt: skip
    found, at, i = np.zeros(n_bytes, np.uint8), _HEAD_BITS, 0
    while i < n_bytes:
        n_bits = sizes[int(bits[at + 1 : at + 3] or "0", 2)]
        head = at + 3 + n_bits
        length = int(bits[at + 3 : head] or "0", 2) + 1
        end = head + 8 * (1 if bits[at : at + 1] == "1" else length)
        if end > len(bits) or i + length > n_bytes:
            raise DataError("a brush mask that is cut short", where=where, found=f"{i} of {n_bytes} values")
        if bits[at] == "1":
            found[i : i + length] = int(bits[head:end], 2)
        else:
            found[i : i + length] = np.frombuffer(int(bits[head:end], 2).to_bytes(length), np.uint8)
        at, i = end, i + length
    return found


def _bits_of(rle: object, n_wanted: int, where: str) -> str:
    """Return the packed bytes as a text of 0 and 1, which no more than the image's own bytes can need."""
    if not isinstance(rle, Sequence) or isinstance(rle, str) or not 7 <= len(rle) <= 2 * n_wanted + 64:
        raise DataError("not a brush mask", where=where, found=f"{type(rle).__name__} of other length or kind",
                        expected="value.rle, a list of bytes")  # fmt: skip
    try:
        packed = bytes(rle)
    except (TypeError, ValueError):
        raise DataError("not a brush mask", where=where, expected="value.rle, numbers 0..255") from None
    return f"{int.from_bytes(packed):0{8 * len(packed)}b}"
