"""Ids as bytes: the order of their text, and found again, zeros at their ends included."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from activesel.ids import find_ids, join_ids, pack_ids, sort_ids, unique_ids, unpack_ids

# Few different bytes, so that ids often agree but for their ends, where numpy's byte strings drop zeros.
one_id = st.lists(st.sampled_from([0, 1, 127, 128, 255]), min_size=16, max_size=16).map(lambda v: bytes(v).hex())
tails = st.sampled_from(["00" * 16, "00" * 15 + "01", "01" + "00" * 15, "ff" * 15 + "00", "ff" * 16])
ids = st.lists(one_id | tails, max_size=12)


@given(ids)
def test_there_and_back(texts: list[str]) -> None:
    packed = pack_ids(texts)
    assert packed.shape == (len(texts), 16)
    assert unpack_ids(packed) == texts
    assert join_ids(packed) == "\n".join(texts)


@given(ids)
def test_the_order_of_the_text(texts: list[str]) -> None:
    packed = pack_ids(texts)
    assert unpack_ids(packed[sort_ids(packed)]) == sorted(texts)
    assert unpack_ids(unique_ids(packed)) == sorted(set(texts))


@given(ids, ids)
def test_found_where_it_is(known: list[str], wanted: list[str]) -> None:
    ordered = sorted(set(known))
    found = find_ids(pack_ids(ordered), pack_ids(wanted)).tolist()
    assert found == [ordered.index(text) if text in ordered else -1 for text in wanted]


def test_equal_ids_stay_in_order() -> None:
    assert sort_ids(pack_ids(["ff" * 16, "00" * 16, "ff" * 16, "00" * 16])).tolist() == [1, 3, 0, 2]


def test_rows_that_are_not_in_one_piece() -> None:
    packed = pack_ids([f"{i:032x}" for i in range(20)])
    assert find_ids(packed[::2], packed[[4, 5]]).tolist() == [2, -1]
    assert np.array_equal(unique_ids(packed[::-2])[0], packed[1])
