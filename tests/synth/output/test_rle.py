"""COCO's run-length encoding, by hand and round trip."""

from __future__ import annotations

import numpy as np
import pytest

from synth.output.rle import count_runs, decode_rle, encode_rle


def test_by_hand() -> None:
    mask = np.array([[0, 0, 1], [0, 1, 1]], bool)  # by columns: 0 0 | 0 1 | 1 1
    assert count_runs(mask) == [3, 3]
    assert encode_rle(mask) == {"size": [2, 3], "counts": "33"}


def test_a_mask_that_begins_set_begins_with_no_zeros() -> None:
    assert count_runs(np.ones((2, 2), bool)) == [0, 4]


def test_as_pycocotools_packs_it() -> None:
    """100 = 0b11_00100 is "T3"; from the fourth run on, the difference to the run two before is packed."""
    flat = np.repeat([False, True, False, True, False], [100, 3, 5, 90, 2])
    assert encode_rle(flat.reshape((20, 10), order="F"))["counts"] == "T335g2M"


@pytest.mark.parametrize("density", [0.0, 0.02, 0.5, 0.98, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (7, 13), (64, 301)])
def test_round_trip(rng: np.random.Generator, size: tuple[int, int], density: float) -> None:
    mask = rng.random(size) < density
    encoded = encode_rle(mask)
    assert np.array_equal(decode_rle(size, str(encoded["counts"])), mask)


def test_round_trip_of_long_runs() -> None:
    mask = np.zeros((1000, 1000), bool)
    mask[400:700, 300:800] = True
    assert np.array_equal(decode_rle((1000, 1000), str(encode_rle(mask)["counts"])), mask)
