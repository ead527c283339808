"""The graph that stays between rounds: the same as a new one, and never trusted when it does not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from activesel.pipelines import graph as module
from activesel.pipelines.graph import keep_graph
from activesel.records import FloatArray, KnnGraph
from activesel.workspace import Workspace, create_workspace
from tests.strategies.pools import unit

VECTORS = unit(np.random.default_rng(0).normal(size=(60, 8)))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often a graph was built; small pools are kept here, too."""
    calls: list[int] = []
    real = module.knn_graph

    def count(vectors: FloatArray, k: int, *, seed: int) -> KnnGraph:
        calls.append(k)
        return real(vectors, k, seed=seed)

    monkeypatch.setattr(module, "knn_graph", count)
    monkeypatch.setattr(module, "LEAST_ROWS", 10)
    return calls


def stored(workspace: Workspace) -> list[Path]:
    return sorted(workspace.index_dir.iterdir())


def test_the_second_round_reads_what_the_first_built(workspace: Workspace, built: list[int]) -> None:
    first = keep_graph(workspace, {"images": "a"}, VECTORS, 5, seed=1)
    second = keep_graph(workspace, {"images": "a"}, VECTORS, 5, seed=1)
    assert built == [5]
    assert (first.neighbours == second.neighbours).all()
    assert (first.similarity == second.similarity).all()


def test_other_images_neighbours_or_seed_make_another_and_one_is_kept(workspace: Workspace, built: list[int]) -> None:
    for identity, k, seed in (("a", 5, 1), ("b", 5, 1), ("b", 6, 1), ("b", 6, 2)):
        keep_graph(workspace, identity, VECTORS, k, seed=seed)
    assert built == [5, 5, 6, 6]
    assert len(stored(workspace)) == 1


@pytest.mark.parametrize("damage", [b"", b"\x00" * 40, None])
def test_a_damaged_file_is_built_anew(workspace: Workspace, built: list[int], damage: bytes | None) -> None:
    good = keep_graph(workspace, "a", VECTORS, 5, seed=1)
    (path,) = stored(workspace)
    path.write_bytes(path.read_bytes()[:-7] if damage is None else damage)
    again = keep_graph(workspace, "a", VECTORS, 5, seed=1)
    assert built == [5, 5]
    assert (again.neighbours == good.neighbours).all()


def test_rows_that_are_not_there_are_refused(workspace: Workspace, built: list[int]) -> None:
    from safetensors.numpy import save

    good = keep_graph(workspace, "a", VECTORS, 5, seed=1)
    (path,) = stored(workspace)
    path.write_bytes(save({"neighbours": good.neighbours + 60, "similarity": good.similarity}))
    assert keep_graph(workspace, "a", VECTORS, 5, seed=1).neighbours.max() < 60
    assert len(built) == 2


def test_small_pools_leave_no_file(workspace: Workspace) -> None:
    keep_graph(workspace, "a", VECTORS, 5, seed=1)
    assert not workspace.index_dir.exists()
