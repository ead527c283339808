"""The copy of the vectors in list order: the same rows, unseen by anyone, gone with its owner; a full disk says so."""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from activesel.errors import UnreachableError
from activesel.index.ordered import copy_in_order
from activesel.tensors import Rows


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_rows_in_another_order_and_no_file_left(dtype: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("activesel.index.ordered.BLOCK_ROWS", 64)
    rng = np.random.default_rng(0)
    vectors, order = rng.standard_normal((1000, 7)).astype(dtype), rng.permutation(1000)
    copy = copy_in_order(Rows(vectors), order)
    assert copy.dtype == np.dtype(dtype)
    assert not list(tmp_path.iterdir())
    assert torch.equal(copy.exact(slice(0, 1000)), torch.from_numpy(vectors[order]).float())
    copy.release()
    gc.collect()
    assert torch.equal(copy.exact(np.array([5, 3])), torch.from_numpy(vectors[order[[5, 3]]]).float())


def test_a_full_disk_is_one_clear_line() -> None:
    """What the copy would be written to has no room."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "TemporaryFile", lambda **_: full.open("wb"))
        with pytest.raises(UnreachableError, match="copy the vectors") as caught:
            copy_in_order(Rows(np.ones((5000, 100), np.float32)), np.arange(5000))
    assert "TMPDIR" in str(caught.value)
