"""The graph that stays between rounds: as good as a new one, resumed when killed, never trusted blindly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from activesel.index import graph as index_module
from activesel.index.exact import ExactSearch
from activesel.pipelines import graph as module
from activesel.pipelines.graph import keep_graph
from activesel.records import FloatArray, KnnGraph
from activesel.workspace import Workspace, create_workspace
from tests.strategies.pools import unit

RNG = np.random.default_rng(0)
VECTORS = unit(RNG.normal(size=(60, 8)))
IDS = np.sort(RNG.integers(0, 256, (60, 16), dtype=np.uint8).view("S16"), axis=0).view(np.uint8)
SPACE = {"backbone": "a", "components": 8}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How each graph came about; small pools are kept, grown, and searched in parts of 25 here, too."""
    calls: list[str] = []
    for name in ("knn_graph", "extend_graph"):

        def count(*args: object, _real: object = getattr(module, name), _name: str = name, **options: object) -> object:
            calls.append(_name)
            assert callable(_real)
            return _real(*args, **options)

        monkeypatch.setattr(module, name, count)
    monkeypatch.setattr(module, "LEAST_ROWS", 10)
    monkeypatch.setattr(index_module, "EXACT_UP_TO", 0)
    monkeypatch.setattr(index_module, "_open_search", lambda rows, _k, _seed: ExactSearch(rows))
    monkeypatch.setattr(index_module, "PART_ROWS", 25)
    return calls


def keep(workspace: Workspace, rows: slice | np.ndarray = slice(None), k: int = 5, seed: int = 1) -> KnnGraph:  # type: ignore[type-arg]
    return keep_graph(workspace, SPACE, IDS[rows], VECTORS[rows], k, seed=seed)


def stored(workspace: Workspace) -> list[Path]:
    return sorted(workspace.index_dir.iterdir())


def assert_same(first: KnnGraph, second: KnnGraph) -> None:
    assert (first.neighbours == second.neighbours).all()
    assert (first.similarity == second.similarity).all()


def exact(vectors: FloatArray, k: int = 5) -> KnnGraph:
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return KnnGraph(order.astype(np.int32), np.take_along_axis(similarity, order, 1))


def test_the_second_round_reads_what_the_first_built(workspace: Workspace, built: list[str]) -> None:
    first, second = keep(workspace), keep(workspace)
    assert built == ["knn_graph"]
    assert_same(first, second)
    assert isinstance(second.neighbours, np.memmap)
    second.similarity[0] = 0  # a caller may do as it likes: the file stays
    assert_same(first, keep(workspace))


def test_another_space_count_or_seed_is_another_graph_and_one_is_kept(workspace: Workspace, built: list[str]) -> None:
    for space, k, seed in (("a", 5, 1), ("b", 5, 1), ("b", 6, 1), ("b", 6, 2)):
        keep_graph(workspace, space, IDS, VECTORS, k, seed=seed)
    assert built == ["knn_graph"] * 4
    assert len(stored(workspace)) == 1


def test_new_images_enter_the_kept_graph(workspace: Workspace, built: list[str]) -> None:
    old = np.sort(np.random.default_rng(1).permutation(60)[:50])
    keep(workspace, old)
    grown = keep(workspace)
    assert built == ["knn_graph", "extend_graph"]
    assert (grown.neighbours == exact(VECTORS).neighbours).all()
    assert_same(grown, keep(workspace))
    assert len(built) == 2
    assert len(stored(workspace)) == 1


def test_images_that_left_leave_the_graph(workspace: Workspace, built: list[str]) -> None:
    keep(workspace)
    rest = np.delete(np.arange(60), [7, 31])
    shrunk = keep(workspace, rest)
    assert built == ["knn_graph", "extend_graph"]
    assert (shrunk.neighbours == exact(VECTORS[rest]).neighbours).all()


@pytest.mark.parametrize("rows", [slice(0, 40), slice(10, 60), slice(30, 60)])
def test_much_change_is_built_anew(workspace: Workspace, built: list[str], rows: slice) -> None:
    keep(workspace, slice(0, 40))
    whole = rows == slice(0, 40)
    graph = keep(workspace, slice(None) if whole else rows)
    assert built == ["knn_graph"] * 2
    assert (graph.neighbours == exact(VECTORS if whole else VECTORS[rows]).neighbours).all()


def test_rows_in_any_order(workspace: Workspace, built: list[str]) -> None:
    keep(workspace)
    shuffled = np.random.default_rng(2).permutation(60)
    graph = keep(workspace, shuffled)
    assert built == ["knn_graph", "extend_graph"]
    assert (graph.neighbours == exact(VECTORS[shuffled]).neighbours).all()


@pytest.mark.parametrize("damage", [b"", b"\x00" * 40, b"\xff" * 400, None])
def test_a_damaged_file_is_built_anew(workspace: Workspace, built: list[str], damage: bytes | None) -> None:
    good = keep(workspace)
    (path,) = stored(workspace)
    path.write_bytes(path.read_bytes()[:-7] if damage is None else damage)
    assert_same(keep(workspace), good)
    assert len(built) == 2


@pytest.mark.parametrize(
    ("name", "change"),
    [("neighbours", 60), ("neighbours", -62), ("similarity", np.nan), ("similarity", 3), ("ids", None)],
)
def test_a_file_that_does_not_fit_is_built_anew(
    workspace: Workspace, built: list[str], name: str, change: float | None
) -> None:
    good = keep(workspace)
    (path,) = stored(workspace)
    arrays = load_file(path)  # it is a safetensors file, not only to us
    assert (arrays["neighbours"] == good.neighbours).all()
    arrays[name] = arrays[name][:-1] if change is None else (arrays[name] + change).astype(arrays[name].dtype)
    save_file(arrays, path)
    assert_same(keep(workspace), good)
    assert len(built) == 2


def test_a_killed_build_goes_on(workspace: Workspace, built: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = ExactSearch.find

    def find(self: ExactSearch, rows: np.ndarray, *args: object) -> object:  # type: ignore[type-arg]
        asked.append(len(rows))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return real(self, rows, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(ExactSearch, "find", find)
    with pytest.raises(KeyboardInterrupt):
        keep(workspace)
    assert sorted(path.name for path in stored(workspace)[0].iterdir()) == [
        "part-00000.safetensors", "part-00001.safetensors"]  # fmt: skip
    (stored(workspace)[0] / "part-00001.safetensors").write_bytes(b"cut short")
    graph = keep(workspace)
    assert asked == [25, 25, 10, 25, 10]
    assert (graph.neighbours == exact(VECTORS).neighbours).all()
    assert [path.suffix for path in stored(workspace)] == [".safetensors"]
    assert built == ["knn_graph"] * 2


SCRIPT = """
import sys
import numpy as np
from pathlib import Path
from activesel.index import graph
from activesel.pipelines.graph import keep_graph
from activesel.workspace import find_workspace
graph.EXACT_UP_TO, graph.PART_ROWS = 1000, 400
folder = Path(sys.argv[1])
keep_graph(find_workspace(folder), "s", np.load(folder / "ids.npy"), np.load(folder / "v.npy"), 8, seed=0)
"""


def test_killed_at_any_instant_it_ends_with_the_same_graph(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = unit(rng.normal(size=(6000, 12)))
    ids = rng.integers(0, 256, (6000, 16), dtype=np.uint8)
    results = []
    for name, kills in (("whole", ()), ("killed", (1, 2, 5))):
        folder = tmp_path / name
        folder.mkdir()
        workspace = create_workspace(folder)
        np.save(folder / "v.npy", vectors)
        np.save(folder / "ids.npy", ids)
        for n_parts in kills:
            process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder)])
            while len(list(workspace.index_dir.glob("*.parts/part-*"))) < n_parts and process.poll() is None:
                time.sleep(0.002)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        subprocess.run([sys.executable, "-c", SCRIPT, str(folder)], check=True)
        (path,) = stored(workspace)
        results.append(load_file(path))
    assert (results[0]["neighbours"] == results[1]["neighbours"]).all()
    assert (results[0]["similarity"] == results[1]["similarity"]).all()


def test_small_pools_leave_no_file(workspace: Workspace) -> None:
    keep(workspace)
    assert not workspace.index_dir.exists()
