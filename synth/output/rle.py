"""COCO's run-length encoding: column by column, runs of 0 and 1 by turns, packed five bits a character."""

from __future__ import annotations

import numpy as np

from synth.records import Mask

_OFFSET = 48  # the first character, "0"
_MORE = 0x20
_SIGN = 0x10


def count_runs(mask: Mask) -> list[int]:
    """Return the lengths of the runs in column order, the first one of zeros, perhaps 0 long.

    >>> count_runs(np.array([[0, 1], [1, 1]], bool))
    [1, 3]
    """
    flat = np.asarray(mask, np.int8).ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate([[0], edges, [len(flat)]])).tolist()
    return [0, *runs] if len(flat) and flat[0] else list(runs)


def encode_rle(mask: Mask) -> dict[str, object]:
    """Return {"size": [h, w], "counts": text} as pycocotools writes it.

    From the third run on, what is packed is the difference to the run two before (cocoapi, common/maskApi.c).
    """
    runs = count_runs(mask)
    packed = [run - runs[i - 2] if i > 2 else run for i, run in enumerate(runs)]
    return {"size": [int(mask.shape[0]), int(mask.shape[1])], "counts": "".join(map(_pack, packed))}


def decode_rle(size: tuple[int, int], counts: str) -> Mask:
    """Return the mask (h, w) again."""
    runs: list[int] = []
    for value in _unpack(counts):
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.asarray(flat.reshape(size, order="F"), np.bool_)


def _pack(value: int) -> str:
    text = ""
    while True:
        low, value = value & 0x1F, value >> 5
        done = value == (-1 if low & _SIGN else 0)
        text += chr(_OFFSET + (low if done else low | _MORE))
        if done:
            return text


def _unpack(text: str) -> list[int]:
    values: list[int] = []
    value = shift = 0
    for sign in text:
        bits = ord(sign) - _OFFSET
        value |= (bits & 0x1F) << shift
        shift += 5
        if not bits & _MORE:
            values.append(value - (1 << shift) if bits & _SIGN else value)
            value = shift = 0
    return values
