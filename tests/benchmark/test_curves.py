"""The learning curve against hand-made truth: fair splits, paired starts, areas by hand, a bad chooser refused."""

from __future__ import annotations

import numpy as np
import pytest

from activesel.benchmark.dataset import Dataset, split_by_group
from activesel.benchmark.summary import compare, curve_area, labels_to_reach, mean_interval
from activesel.benchmark.trial import Curve, Protocol, Round, choose_with, make_bench, run_trial
from activesel.errors import DataError
from activesel.records import IntArray

SHORT = Protocol(batch=6, rounds=3, components=8)


def dataset(seed: int = 0) -> Dataset:
    """Three Gaussian classes, 120, 24 and 12 images, in groups of two."""
    rng = np.random.default_rng(seed)
    classes = np.repeat([0, 1, 2], [120, 24, 12])
    vectors = rng.standard_normal((3, 16))[classes] * 2 + rng.standard_normal((156, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Dataset(vectors.astype(np.float32), classes, ("good", "crack", "hole"), np.arange(156) // 2)


def curve(labels: list[int], heights: list[float]) -> Curve:
    return Curve(np.array(labels), {"macro_f1": np.array(heights, np.float32)}, np.arange(labels[-1]))


def test_no_group_on_both_sides_and_every_class_on_each() -> None:
    data = dataset()
    for seed in range(20):
        split = split_by_group(data, seed)
        assert not np.intersect1d(data.groups[split.pool], data.groups[split.test]).size
        assert len(split.pool) + len(split.test) == 156
        assert np.bincount(data.classes[split.pool]).tolist() == [60, 12, 6]
    assert split_by_group(data, 1).pool.tolist() != split_by_group(data, 2).pool.tolist()


def test_a_class_in_one_group_is_refused_by_name() -> None:
    data = dataset()
    groups = np.where(data.classes == 2, 999, data.groups)
    with pytest.raises(DataError, match="not on both sides") as caught:
        split_by_group(Dataset(data.vectors, data.classes, data.class_names, groups), 0)
    assert "hole" in str(caught.value)


@pytest.mark.parametrize("start", ["none", "one-per-class", "random"])
def test_strategies_start_alike_and_choose_for_themselves(start: str) -> None:
    data = dataset()
    protocol = Protocol(6, 3, start, 8)  # type: ignore[arg-type]
    bench = make_bench(data, split_by_group(data, 0), protocol, 0)
    ours, random = (run_trial(bench, choose_with(name), protocol) for name in ("default", "random"))
    n_start = {"none": 0, "one-per-class": 3, "random": 6}[start]
    assert ours.rows[:n_start].tolist() == random.rows[:n_start].tolist()
    assert ours.rows[n_start:].tolist() != random.rows[n_start:].tolist()
    assert ours.labels.tolist() == [n_start + 6 * r for r in range(0 if n_start else 1, 4)]
    assert len(np.unique(ours.rows)) == n_start + 18
    assert all(((values >= 0) & (values <= 1)).all() for name, values in ours.scores.items() if name != "classes_found")
    again = run_trial(bench, choose_with("default"), protocol)
    assert again.rows.tolist() == ours.rows.tolist()


def test_labels_teach_something() -> None:
    """All labels of easy classes: a head that learns nothing, or is scored on the wrong rows, stays near a third."""
    data = dataset()
    protocol = Protocol(26, 3, "none", 8)
    bench = make_bench(data, split_by_group(data, 0), protocol, 0)
    assert run_trial(bench, choose_with("random"), protocol).scores["macro_f1"][-1] > 0.9


@pytest.mark.parametrize("rows", [[0, 0, 1, 2, 3, 4], [0, 1, 2], [0, 1, 2, 3, 4, 999], [-1, 0, 1, 2, 3, 4]])
def test_a_batch_that_is_none_is_refused(rows: list[int]) -> None:
    data = dataset()
    bench = make_bench(data, split_by_group(data, 0), SHORT, 0)

    def wrong(_: Round) -> IntArray:
        return np.array(rows)

    with pytest.raises(DataError, match="batch of new rows"):
        run_trial(bench, wrong, SHORT)


def test_a_pool_too_small_for_the_batches() -> None:
    data = dataset()
    with pytest.raises(DataError, match="smaller than the batches"):
        make_bench(data, split_by_group(data, 0), Protocol(batch=50, rounds=8), 0)


def test_areas_by_hand() -> None:
    assert curve_area(curve([10, 20, 40], [0.0, 1.0, 0.5])) == pytest.approx((5 + 15) / 30)
    assert curve_area(curve([10], [0.7])) == pytest.approx(0.7)


def test_labels_saved_by_hand() -> None:
    curves = [curve([10, 20, 40], [0.2, 0.4, 0.8]), curve([10, 20, 40], [0.4, 0.6, 1.0])]
    assert labels_to_reach(curves, 0.7) == pytest.approx(30)
    assert labels_to_reach(curves, 0.1) == 10
    assert labels_to_reach(curves, 0.95) is None


def test_interval_and_wins_by_hand() -> None:
    assert mean_interval([1.0, 2.0, 3.0]) == pytest.approx((2.0, 4.303 / np.sqrt(3)), abs=1e-3)
    assert mean_interval([1.0])[1] == np.inf
    found = compare([0.5, 0.6, 0.4], [0.4, 0.6, 0.5])
    assert (found.wins, found.n) == (1, 3)
    assert found.difference == pytest.approx(0, abs=1e-12)
