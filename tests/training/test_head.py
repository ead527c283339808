"""The linear head against scikit-learn, its calibration, and the label sets that break others."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from activesel.errors import DataError
from activesel.training import head as head_module
from activesel.training.head import LinearHead, committee_probabilities, fit_committee, fit_head
from activesel.uncertainty import score_bald

Vectors = npt.NDArray[np.float32]
Classes = npt.NDArray[np.int64]


def blobs(n: int, d: int, n_classes: int, spread: float = 1.0, seed: int = 0) -> tuple[Vectors, Classes]:
    """Unit rows around one centre per class; every class has a row as soon as n >= n_classes."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((n_classes, d))
    classes = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, n - n_classes)])
    vectors = centres[classes] + spread * rng.standard_normal((n, d))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), classes


@pytest.mark.parametrize(("n", "d"), [(200, 8), (40, 100)])
def test_same_optimum_as_scikit_learn(n: int, d: int) -> None:
    from sklearn.linear_model import LogisticRegression

    vectors, classes = blobs(n, d, 3)
    examples = head_module._prepare(vectors, classes, np.ones(len(classes)))
    ours = head_module._fit(examples, 3, 0.1, temperature=1.0)
    scale = 1 / np.sqrt(np.mean((vectors - vectors.mean(axis=0)) ** 2))
    scaled = (vectors - vectors.mean(axis=0)) * scale
    theirs = LogisticRegression(C=0.1, class_weight="balanced", tol=1e-8, max_iter=5000).fit(scaled, classes)
    assert ours.probabilities(vectors) == pytest.approx(theirs.predict_proba(scaled), abs=2e-3)


def test_learns_and_is_calibrated() -> None:
    vectors, classes = blobs(400, 20, 4, spread=2.0)
    fresh, truth = blobs(4000, 20, 4, spread=2.0, seed=1)
    probs = fit_head(vectors, classes, 4).probabilities(fresh)
    right = probs.argmax(axis=1) == truth
    assert right.mean() > 0.7
    assert abs(probs.max(axis=1).mean() - right.mean()) < 0.05


def test_a_separable_handful_does_not_claim_certainty() -> None:
    vectors, classes = blobs(6, 50, 2, spread=0.1)
    assert fit_head(vectors, classes, 2).temperature > 0.1


def test_same_seed_same_head() -> None:
    vectors, classes = blobs(80, 30, 3)
    first, second = fit_head(vectors, classes, 3, seed=4), fit_head(vectors, classes, 3, seed=4)
    assert (first.weight == second.weight).all()
    assert first.temperature == second.temperature


def test_class_without_example_gets_nothing() -> None:
    vectors, classes = blobs(60, 10, 3)
    probs = fit_head(vectors, classes * 2, 5).probabilities(vectors)  # classes 0, 2, 4 of 5
    assert probs[:, [1, 3]].max() == 0
    assert probs.sum(axis=1) == pytest.approx(np.ones(60), abs=1e-5)
    assert np.isfinite(probs).all()


def test_class_with_one_example_is_learnt() -> None:
    vectors, classes = blobs(60, 10, 3, spread=0.2)
    keep = np.concatenate([[2], np.flatnonzero(classes != 2)])
    head = fit_head(vectors[keep], classes[keep], 3)
    assert (head.probabilities(vectors[classes == 2]).argmax(axis=1) == 2).mean() > 0.9


def test_one_example_per_class_uses_the_default_temperature() -> None:
    vectors, classes = blobs(3, 10, 3)
    head = fit_head(vectors, classes, 3)
    assert head.temperature == head_module.DEFAULT_TEMPERATURE
    assert head.probabilities(vectors).argmax(axis=1).tolist() == [0, 1, 2]


def test_one_class_alone_is_certain() -> None:
    vectors, _ = blobs(5, 10, 2)
    head = fit_head(vectors, np.full(5, 1), 3)
    assert head.probabilities(vectors).tolist() == [[0, 1, 0]] * 5
    assert fit_committee(vectors, np.full(5, 1), 3, 2)[1].probabilities(vectors).tolist() == [[0, 1, 0]] * 5


def test_identical_vectors_with_different_labels() -> None:
    vectors = np.ones((6, 4), np.float32) / 2
    probs = fit_head(vectors, np.array([0, 0, 0, 1, 1, 1]), 2).probabilities(vectors)
    assert probs == pytest.approx(np.full((6, 2), 0.5), abs=1e-3)


@pytest.mark.parametrize(
    ("classes", "n_classes", "message"),
    [
        ([0, 1, 2], 2, r"found 0\.\.2; expected 0\.\.1"),
        ([0, -1, 1], 2, "out of range"),
        ([0, 1], 2, "2 labels, 3 vectors"),
    ],
)
def test_wrong_labels(classes: list[int], n_classes: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit_head(np.eye(3, dtype=np.float32), np.array(classes), n_classes)


def test_no_labels() -> None:
    with pytest.raises(DataError, match="no labelled image"):
        fit_head(np.zeros((0, 3), np.float32), np.zeros(0, np.int64), 2)


def test_memory_mapped_half_precision_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, classes = blobs(300, 16, 3)
    head = fit_head(vectors, classes, 3)
    np.save(tmp_path / "v.npy", vectors.astype(np.float16))
    whole = head.probabilities(vectors)
    monkeypatch.setattr(head_module, "BLOCK_ROWS", 7)
    blockwise = head.probabilities(np.load(tmp_path / "v.npy", mmap_mode="r"))
    assert blockwise == pytest.approx(whole, abs=5e-3)
    assert blockwise.dtype == np.float32


def test_head_without_rows() -> None:
    head = LinearHead(np.zeros((3, 4), np.float32), np.zeros(3, np.float32), 1.0)
    assert head.probabilities(np.zeros((0, 4), np.float32)).shape == (0, 3)


def test_committee_disagrees_where_labels_are_thin() -> None:
    vectors, classes = blobs(40, 10, 3, spread=1.5)
    heads = fit_committee(vectors, classes, 3, 6, seed=2)
    mc_probs = committee_probabilities(heads, vectors)
    assert mc_probs.shape == (40, 6, 3)
    assert mc_probs.sum(axis=2) == pytest.approx(np.ones((40, 6)), abs=1e-5)
    far = np.random.default_rng(5).standard_normal((200, 10)).astype(np.float32)
    far /= np.linalg.norm(far, axis=1, keepdims=True)
    assert score_bald(committee_probabilities(heads, far)).mean() > score_bald(mc_probs).mean()
    again = committee_probabilities(fit_committee(vectors, classes, 3, 6, seed=2), vectors)
    assert (again == mc_probs).all()


def test_every_class_stays_in_every_resample() -> None:
    classes = np.array([0] * 20 + [1] + [2] * 2)
    for seed in range(20):
        drawn = head_module._resample(classes, np.random.default_rng(seed))
        assert np.bincount(classes[drawn]).tolist() == [20, 1, 2]


def test_folds_hold_out_evenly() -> None:
    classes = np.array([0] * 33 + [1] * 2 + [2])
    folds = head_module._deal_folds(classes, np.random.default_rng(0))
    assert folds is not None
    assert folds[-1] == -1
    assert folds[33] != folds[34]
    assert np.bincount(folds[:-1]).tolist() == [7, 7, 7, 7, 7]


@pytest.mark.parametrize(("n", "d", "n_classes", "limit_s"), [(100, 1280, 6, 4.0), (5000, 256, 10, 10.0)])
def test_seconds_not_minutes(n: int, d: int, n_classes: int, limit_s: float) -> None:
    """Twice the promised time, because a test machine does other things as well; alone it takes a third of it."""
    vectors, classes = blobs(n, d, n_classes, spread=3.0)
    started = time.process_time()
    fit_head(vectors, classes, n_classes)
    assert time.process_time() - started < limit_s


def test_a_fixed_strength_is_not_tuned() -> None:
    rng = np.random.default_rng(0)
    classes = np.repeat([0, 1], 30)
    vectors = (rng.standard_normal((2, 8))[classes] + rng.standard_normal((60, 8))).astype(np.float32)
    weak, strong = (fit_head(vectors, classes, 2, strength=strength) for strength in (0.01, 1.0))
    assert weak.temperature == strong.temperature == 2.0
    assert np.linalg.norm(weak.weight) < np.linalg.norm(strong.weight)
    other_seed = fit_head(vectors, classes, 2, seed=5, strength=1.0)
    np.testing.assert_array_equal(other_seed.weight, strong.weight)


def test_a_weight_counts_as_so_many_examples_of_the_class() -> None:
    """Weight 3 on a row is the row three times, up to the scale that the fit takes from all rows."""
    vectors, classes = blobs(40, 60, 3, seed=1)
    mean = vectors.mean(axis=0)
    often = np.concatenate([np.arange(40), [5, 5]])
    weights = np.ones(40)
    weights[5] = 3
    once, thrice = (
        head_module._Examples(
            (vectors[rows] - mean).astype(float), np.eye(60), mean, classes[rows], np.arange(3), given
        )
        for rows, given in ((np.arange(40), weights), (often, np.ones(42)))
    )
    ours, theirs = head_module._fit(once, 3, 1.0, 1.0), head_module._fit(thrice, 3, 1.0, 1.0)
    assert ours.probabilities(vectors) == pytest.approx(theirs.probabilities(vectors), abs=1e-3)
    plain = head_module._fit(head_module._prepare(vectors, classes, np.ones(40)), 3, 1.0, 1.0)
    assert np.abs(plain.probabilities(vectors) - ours.probabilities(vectors)).max() > 1e-2


def test_weights_keep_the_classes_balanced() -> None:
    classes, weights = np.array([0, 0, 1, 1, 1]), np.array([1.0, 3.0, 2.0, 1.0, 1.0])
    rows = head_module._balance(classes, weights, 2)
    assert rows.sum() == pytest.approx(8)
    assert rows[:2] == pytest.approx([1.0, 3.0])
    assert rows[2:] == pytest.approx([2.0, 1.0, 1.0])


@pytest.mark.parametrize("weights", [np.ones(3), np.array([1.0, 0, 1, 1]), np.array([1.0, np.nan, 1, 1])])
def test_weights_that_are_none_are_refused(weights: npt.NDArray[np.float64]) -> None:
    vectors, _ = blobs(4, 3, 2)
    with pytest.raises(DataError, match="weights"):
        fit_head(vectors, np.array([0, 1, 0, 1]), 2, weights=weights)
