"""Rows: the same numbers whatever they are stored as; nothing warned about, nothing copied where it need not be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from activesel import tensors
from activesel.tensors import Rows, rough_error, rough_type


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_rows_by_slice_and_by_number_agree(rng: np.random.Generator, dtype: type) -> None:
    vectors = rng.normal(size=(50, 8)).astype(dtype)
    rows = Rows(vectors)
    np.testing.assert_array_equal(rows.exact(slice(3, 9)).numpy(), vectors[3:9].astype(np.float32))
    np.testing.assert_array_equal(rows.exact(np.array([9, 3, 3])).numpy(), vectors[[9, 3, 3]].astype(np.float32))
    assert (len(rows), rows.d) == (50, 8)


def test_rough_rows_are_near(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "cpu_multiplies_bfloat16", lambda: True)
    vectors = rng.normal(size=(50, 8)).astype(np.float16)
    rough = Rows(vectors).rough(slice(0, 50))
    assert rough.dtype == torch.bfloat16
    np.testing.assert_allclose(rough.float().numpy(), vectors, rtol=2**-8)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_the_error_of_a_rough_product_holds_for_every_shape_of_row(
    rng: np.random.Generator, dtype: torch.dtype
) -> None:
    """Dense rows, and rows of few components of like size, where roundings add up instead of cancelling."""
    for n_parts in (1, 2, 4, 64):
        values = np.zeros((200, 64), np.float32)
        values[:, :n_parts] = rng.uniform(0.9, 1.1, (200, n_parts))
        rows = torch.nn.functional.normalize(torch.from_numpy(values))
        rough = (rows.to(dtype).float() @ rows.to(dtype).float().T).to(dtype).float()
        assert float((rough - rows @ rows.T).abs().max()) <= rough_error(dtype)


@pytest.mark.parametrize("native", [True, False])
def test_a_processor_without_bfloat16_never_multiplies_it(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    """torch would do it a number at a time: minutes instead of seconds."""
    monkeypatch.setattr(tensors, "cpu_multiplies_bfloat16", lambda: native)
    assert rough_type(torch.device("cpu")) == (torch.bfloat16 if native else torch.float32)
    assert rough_type(torch.device("cuda")) == torch.float16


def test_a_read_only_memory_map_is_taken_as_it_is(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.eye(4, dtype=np.float16))
    mapped = np.load(tmp_path / "v.npy", mmap_mode="r")
    rows = Rows(mapped)
    assert rows._values.data_ptr() == mapped.ctypes.data
    assert rows.exact(slice(1, 2)).tolist() == [[0, 1, 0, 0]]


def test_a_memory_map_read_block_by_block_stays_on_disk(tmp_path: Path) -> None:
    """What was read is given back, or a pool of 10 million would count as resident; and it can be read again."""
    np.save(tmp_path / "v.npy", np.ones((1 << 15, 256), dtype=np.float16))
    mapped = np.load(tmp_path / "v.npy", mmap_mode="r")
    rows = Rows(mapped[: 1 << 14])
    for _ in range(2):
        assert sum(float(rows.exact(block).sum()) for block in rows.blocks(1024)) == (1 << 14) * 256
        resident = [line for line in Path("/proc/self/smaps").read_text().split("\n\n") for line in line.splitlines()]
        at = next(i for i, line in enumerate(resident) if line.endswith("v.npy"))
        assert int(next(line for line in resident[at:] if line.startswith("Rss:")).split()[1]) < 1024
    assert Rows(np.ones((3, 2)))._mapped is None


def test_a_tensor_is_taken_as_it_is() -> None:
    vectors = torch.eye(3)
    assert Rows(vectors)._values.data_ptr() == vectors.data_ptr()


def test_blocks_cover_every_row_once() -> None:
    assert [(part.start, part.stop) for part in Rows(np.eye(5)).blocks(2)] == [(0, 2), (2, 4), (4, 5)]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same_rows() -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float16)
    rows = Rows(vectors, "cuda")
    assert rows.device.type == "cuda"
    np.testing.assert_array_equal(rows.exact(np.array([4, 2])).cpu().numpy(), vectors[[4, 2]].astype(np.float32))
