"""Decoding in processes: the same vectors as in threads, files that broke told, a dead process said, none left over."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from activesel.embedding import Backbone, EmbeddedBatch, embed_images, open_backbone, processes, stream
from activesel.embedding.processes import Batches, Decoding
from activesel.errors import UnreachableError
from tests.embedding.conftest import Settings, write_images

Open = Callable[..., Backbone]


def embed(backbone: Backbone, paths: list[Path], n: int) -> list[EmbeddedBatch]:
    return list(embed_images(backbone, paths, decode_processes=n, max_pixels=10**6))


@pytest.mark.parametrize("n", [0, 1, 9])
@pytest.mark.parametrize("name", ["tiny", "efficientnet_lite0"])
def test_vectors_and_order_are_those_of_threads(name: str, n: int, settings: Settings, tmp_path: Path) -> None:
    paths = write_images(tmp_path, n)
    backbone = open_backbone(settings(name, batch_size=4))
    one, other = (embed(backbone, paths, processes) for processes in (2, 0))
    assert [row for batch in one for row in batch.rows] == list(range(n))
    if n:
        np.testing.assert_array_equal(*(np.concatenate([b.vectors for b in found]) for found in (one, other)))


def test_files_that_broke_are_told(settings: Settings, tmp_path: Path) -> None:
    paths = write_images(tmp_path, 8)
    paths[1].unlink()
    for broken in paths[4:]:
        broken.write_bytes(b"\x89PNG")  # a whole batch of them, too
    batches = embed(open_backbone(settings(batch_size=4)), paths, 2)
    assert [row for batch in batches for row in batch.rows] == [0, 2, 3]
    failed = dict(pair for batch in batches for pair in batch.failed)
    assert set(failed) == {1, 4, 5, 6, 7}
    assert str(paths[1]) in failed[1]


def test_a_process_that_dies_is_said_in_a_line(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Decoding, "__getitem__", lambda *_: os._exit(9))
    with pytest.raises(UnreachableError, match="a decoding process died"):
        embed(open_backbone(settings()), write_images(tmp_path, 3), 1)


def test_leaving_early_leaves_no_process(settings: Settings, tmp_path: Path) -> None:
    import multiprocessing

    batches = embed_images(open_backbone(settings(batch_size=1)), write_images(tmp_path, 12), decode_processes=2,
                           max_pixels=10**6)  # fmt: skip
    next(batches)
    batches.close()
    assert not multiprocessing.active_children()


def test_processes_are_for_many_images_on_a_gpu_with_cores_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "count_cores", lambda: 16)
    assert stream.plan_processes("cuda", 4096) == 16
    assert stream.plan_processes("cuda", 4095) == 0
    assert stream.plan_processes("cpu", 10**6) == 0
    monkeypatch.setattr(stream, "count_cores", lambda: 2)
    assert stream.plan_processes("cuda", 10**6) == 0


def test_paths_are_handed_out_batch_by_batch() -> None:
    batches = Batches([Path(f"{i}.png") for i in range(5)], 2)
    assert len(batches) == 3
    assert list(batches) == [(0, ["0.png", "1.png"]), (2, ["2.png", "3.png"]), (4, ["4.png"])]
    assert processes.AHEAD >= 1
