"""Agreement by hand, against published tables, and against other libraries where they are installed."""

from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from activesel.agreement import (
    cohen_kappa,
    count_table,
    draw_kappa,
    fleiss_kappa,
    kappa_variance,
    krippendorff_alpha,
    measure_agreement,
    one_vs_rest,
    pairs_needed,
    pairs_to_decide,
)

# Fleiss (1971), 14 raters of 10 subjects as Wikipedia has it: kappa .210
FLEISS = [[0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
          [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]]  # fmt: skip
# Krippendorff (2011), "Computing Krippendorff's alpha-reliability", C: four observers, missing data, nominal .743
KRIPPENDORFF = [[1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0], [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
                [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0], [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0]]  # fmt: skip


def counts_of(codes: np.ndarray, n_classes: int) -> np.ndarray:
    """(n, c) counts of (raters, n) codes 1..c, 0 = none."""
    return np.stack([(codes == k).sum(axis=0) for k in range(1, n_classes + 1)], axis=1)


def test_a_table_by_hand() -> None:
    first, second = np.array([0, 0, 1, 1, 2, -1]), np.array([0, 1, 1, 1, 2, 0])
    table = count_table(first, second, 3)
    assert table.tolist() == [[1, 1, 0], [0, 2, 0], [0, 0, 1]]
    assert one_vs_rest(table, 1).tolist() == [[2, 0], [1, 2]]


def test_agreement_by_hand() -> None:
    """Of 100: both see 10 defects, the first 2 alone, the second 3 alone."""
    one = measure_agreement(np.array([[10, 2], [3, 85]]), np.random.default_rng(0))
    assert (one.n, one.observed, one.n_positive) == (100, 0.95, 15)
    assert one.positive == pytest.approx(20 / 25)
    assert one.negative == pytest.approx(170 / 175)
    assert one.prevalence == pytest.approx(-0.75)
    assert one.bias == pytest.approx(-0.01)
    assert one.pabak == pytest.approx(0.9)
    chance = 0.12 * 0.13 + 0.88 * 0.87
    assert one.kappa == pytest.approx((0.95 - chance) / (1 - chance))
    assert one.low < one.at_least < one.kappa < one.at_most < one.high  # type: ignore[operator]
    mean = 0.125
    assert one.ac1 == pytest.approx((0.95 - 2 * mean * (1 - mean)) / (1 - 2 * mean * (1 - mean)))


def test_the_good_class_may_stand_anywhere() -> None:
    table = np.array([[10, 2], [3, 85]])
    swapped = measure_agreement(table[::-1, ::-1], np.random.default_rng(0), negative=0)
    straight = measure_agreement(table, np.random.default_rng(0), negative=1)
    same = {"kappa", "observed", "positive", "negative", "n_positive", "prevalence", "bias", "pabak", "ac1"}
    for name in same:
        assert asdict(swapped)[name] == pytest.approx(asdict(straight)[name]), name


def test_all_of_one_class_has_no_kappa_and_still_an_interval() -> None:
    one = measure_agreement(np.array([[0, 0], [0, 50]]), np.random.default_rng(0))
    assert one.kappa is None
    assert one.positive is None
    assert one.low < 0.3, "nothing is known of defects"


def test_published_tables() -> None:
    assert fleiss_kappa(np.array(FLEISS)) == pytest.approx(0.210, abs=5e-4)
    assert krippendorff_alpha(counts_of(np.array(KRIPPENDORFF), 5)) == pytest.approx(0.743, abs=5e-4)
    assert math.isnan(krippendorff_alpha(np.array([[1, 0], [0, 1]])))


def test_alpha_nears_fleiss_without_missing_opinions() -> None:
    rng = np.random.default_rng(3)
    counts = rng.multinomial(4, [0.6, 0.3, 0.1], size=5000)
    assert krippendorff_alpha(counts) == pytest.approx(fleiss_kappa(counts), abs=1e-3)


def test_images_needed_as_the_literature_has_them() -> None:
    assert [pairs_needed(0.1, p) for p in (0.5, 0.2, 0.1, 0.05, 0.02)] == [73, 116, 209, 398, 968]
    assert pairs_needed(0.05, 0.5) == 292
    assert pairs_needed(0.1, 0.0) == pairs_to_decide(0.9, 0.2, 0.9) == 1_000_000


def test_the_variance_is_that_of_a_simulation() -> None:
    p, kappa, n = 0.2, 0.85, 2000
    split = p * (1 - p) * (1 - kappa)
    cells = [p - split, split, split, 1 - p - split]
    tables = np.random.default_rng(0).multinomial(n, cells, size=4000).reshape(-1, 2, 2)
    assert n * cohen_kappa(tables).var() == pytest.approx(kappa_variance(kappa, p), rel=0.06)


def test_the_interval_covers_a_rare_class_where_the_usual_one_does_not() -> None:
    """Prevalence .1, n 100, kappa .9: of 300 tables at least 93 % have the truth within."""
    p, kappa, rng = 0.1, 0.9, np.random.default_rng(0)
    split = p * (1 - p) * (1 - kappa)
    tables = rng.multinomial(100, [p - split, split, split, 1 - p - split], size=300).reshape(-1, 2, 2)
    ends = np.array([np.quantile(draw_kappa(table, rng), [0.025, 0.975]) for table in tables])
    assert ((ends[:, 0] <= kappa) & (kappa <= ends[:, 1])).mean() >= 0.93


@given(arrays(np.int64, (3, 3), elements=st.integers(0, 40)))
def test_kappa_is_bounded_and_symmetric(table: np.ndarray) -> None:
    if not table.sum():
        return
    kappa, turned = float(cohen_kappa(table)), float(cohen_kappa(table.T))
    assert math.isnan(kappa) or -1 - 1e-9 <= kappa <= 1 + 1e-9
    assert turned == pytest.approx(kappa, nan_ok=True)
    assert float(cohen_kappa(table * 3)) == pytest.approx(kappa, nan_ok=True)


def test_against_statsmodels() -> None:
    rater = pytest.importorskip("statsmodels.stats.inter_rater")
    rng = np.random.default_rng(0)
    for _ in range(20):
        table = rng.integers(1, 60, (4, 4))
        assert float(cohen_kappa(table)) == pytest.approx(rater.cohens_kappa(table).kappa)
        counts = rng.multinomial(5, rng.dirichlet(np.ones(3)), size=40)
        assert fleiss_kappa(counts) == pytest.approx(rater.fleiss_kappa(counts))
    p, kappa = 0.3, 0.8
    split = 10**9 * p * (1 - p) * (1 - kappa)
    cells = np.array([[10**9 * p - split, split], [split, 10**9 * (1 - p) - split]])
    assert 10**9 * rater.cohens_kappa(cells).var_kappa == pytest.approx(kappa_variance(kappa, p), rel=1e-6)


def test_against_krippendorff() -> None:
    library = pytest.importorskip("krippendorff")
    rng = np.random.default_rng(1)
    for _ in range(20):
        codes = rng.integers(0, 4, (4, 30))
        shown = np.where(codes == 0, np.nan, codes)
        expected = library.alpha(reliability_data=shown, level_of_measurement="nominal")
        assert krippendorff_alpha(counts_of(codes, 3)) == pytest.approx(expected)


def test_a_surer_bound_lies_further_out_and_the_interval_stays() -> None:
    table = np.array([[268, 1], [1, 30]])
    usual, sure = (measure_agreement(table, np.random.default_rng(0), bound=bound) for bound in (0.05, 0.001))
    assert sure.at_least < usual.at_least < usual.at_most < sure.at_most
    assert sure.low == pytest.approx(usual.low, abs=0.01)


def test_draws_in_blocks_are_as_many_as_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activesel.agreement._BLOCK", 9 * 100)
    assert draw_kappa(np.eye(3) * 50, np.random.default_rng(0), 250).shape == (250,)
