"""Label Studio's brush masks: runs over the four channels of each pixel, packed into bits.

As label-studio-sdk's converter/brush.py writes them: 32 bits how many values, 5 bits their width less one, four times 4
bits the widths of run lengths less one; then runs of a bit (1: one value repeated, 0: values in a row), two bits which
width the length has, the length less one, the value or values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from activesel.annotations import Mask
from activesel.errors import DataError
from activesel.labels.fields import MOST_PIXELS, as_whole
from activesel.labels.whole_masks import from_runs, to_runs

_WIDTHS = (3, 4, 8, 16)
_CHANNELS = 4  # red, green, blue, alpha; the last one is the mask
_MOST_BYTES = 8 << 20


def write_brush(mask: Mask, width: int, height: int) -> list[int]:
    """Return the bytes of a mask over an image of that size; every channel of a pixel inside is 255."""
    bits = [f"{width * height * _CHANNELS:032b}", f"{7:05b}", *(f"{one - 1:04b}" for one in _WIDTHS)]
    for number, run in enumerate(to_runs(mask, width, height, order="C")):
        left, value = run * _CHANNELS, "11111111" if number % 2 else "00000000"
        while left:
            length = min(left, 1 << _WIDTHS[-1])
            index = next(i for i, one in enumerate(_WIDTHS) if length <= 1 << one)
            bits.append(f"1{index:02b}{length - 1:0{_WIDTHS[index]}b}{value}")
            left -= length
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def read_brush(name: object, rle: Sequence[object], size: tuple[int, int], where: str, score: object) -> Mask:
    """Return the mask that these bytes are of an image of that width and height.

    Raises:
        DataError: they are not, or no pixel is inside.
    """
    width, height = size
    if len(rle) > _MOST_BYTES or not 0 < width * height <= MOST_PIXELS:
        raise DataError("a brush mask is too large", where=where, found=f"{len(rle)} bytes of {width} x {height}")
    packed = bytes(as_whole(one, "a byte of rle", where, high=255) for one in rle)
    runs = [0]  # outside and inside by turns
    for length, value in _unpack(packed, width * height * _CHANNELS, where):
        if bool(value) == (len(runs) % 2 == 0):
            runs[-1] += length
        else:
            runs.append(length)
    return from_runs(name, (height, width), runs, where, None, score, order="C")


def _unpack(packed: bytes, n_values: int, where: str) -> Iterator[tuple[int, int]]:
    """Yield how many pixels in a row have which alpha."""
    bits = format(int.from_bytes(packed, "big"), f"0{8 * len(packed)}b") if packed else ""
    at = 0

    def take(n: int) -> int:
        nonlocal at
        at += n
        if at > len(bits):
            raise DataError("a brush mask ends too early", where=where)
        return int(bits[at - n : at], 2)

    told, value_bits = take(32), take(5) + 1
    widths = [take(4) + 1 for _ in range(4)]
    if told != n_values:
        raise DataError("a brush mask of another size than its image", where=where, found=f"{told} values",
                        expected=str(n_values))  # fmt: skip
    i = 0
    while i < n_values:
        repeated = take(1)
        end = i + 1 + take(widths[take(2)])
        if end > n_values:
            raise DataError("a brush mask is longer than its image", where=where)
        for start, stop in [(i, end)] if repeated else pairwise(range(i, end + 1)):
            value = take(value_bits)
            n_pixels = stop // _CHANNELS - start // _CHANNELS
            if n_pixels:
                yield n_pixels, value
        i = end
