"""Quotas as people write them, and costs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activesel.catalog import Catalog, FileStamp, Images, make_column
from activesel.errors import DataError
from activesel.pipelines.quotas import UNBOUNDED, parse_quota, read_cost
from activesel.records import ImageRow, Quota
from tests.pipelines.workspaces import KINDS, Job, make_job, write_predictions

pytestmark = pytest.mark.usefixtures("plain_pages")

VALUES = make_column(["A", "B", "A", None, "C", "A"])
EVERYTHING = np.ones(6, dtype=bool)


def bounds(quota: Quota) -> list[tuple[int, int]]:
    return list(zip(quota.low.tolist(), quota.high.tolist(), strict=True))


def test_most() -> None:
    quota = parse_quota("station=A:30", VALUES, EVERYTHING, 10)
    assert quota.name == "quota station"
    assert quota.codes.tolist() == [0, 1, 0, -1, 2, 0]
    assert bounds(quota) == [(0, 30), (0, UNBOUNDED), (0, UNBOUNDED)]


def test_least_and_most() -> None:
    quota = parse_quota("station=A:5-20,C:0-0", VALUES, EVERYTHING, 10)
    assert bounds(quota) == [(5, 20), (0, UNBOUNDED), (0, 0)]


def test_a_value_may_hold_a_colon() -> None:
    assert bounds(parse_quota("time=12:30:4", make_column(["12:30"]), EVERYTHING[:1], 10)) == [(0, 4)]


def test_equal_shares_out_what_scarce_values_cannot_give() -> None:
    values = make_column(["A"] * 10 + ["B"] * 10 + ["C"] * 2)
    quota = parse_quota("station=equal", values, np.ones(22, dtype=bool), 12)
    assert quota.high.tolist() == [5, 5, 2]


def test_equal_gives_the_remainder_to_the_first() -> None:
    values = make_column(["A"] * 10 + ["B"] * 10 + ["C"] * 10)
    assert parse_quota("x=equal", values, np.ones(30, dtype=bool), 11).high.tolist() == [4, 4, 3]


def test_equal_counts_candidates_only() -> None:
    values = make_column(["A"] * 10 + ["B"] * 10)
    candidates = np.arange(20) >= 8  # two of A are left
    assert parse_quota("x=equal", values, candidates, 10).high.tolist() == [2, 8]


@given(
    available=st.dictionaries(st.sampled_from("ABCDEFG"), st.integers(0, 30), min_size=1),
    budget=st.integers(1, 120),
)
def test_equal_never_exceeds_what_there_is_and_spends_the_budget(available: dict[str, int], budget: int) -> None:
    values = make_column([name for name, count in available.items() for _ in range(max(1, count))])
    candidates = np.array([i for name, count in available.items() for i in [True] * count + [False] * (count == 0)])
    high = parse_quota("x=equal", values, candidates, budget).high
    counts = np.array([available[name] for name in sorted(available)])
    assert (high <= counts).all()
    assert high.sum() == min(budget, counts.sum())
    unfilled = high < counts
    if unfilled.any():  # all that could have had more are level, but for the remainder
        assert high[unfilled].max() - high[unfilled].min() <= 1
        assert high.max() <= high[unfilled].min() + 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("station", "cannot read a quota"),
        ("station=", "cannot read a quota"),
        ("=A:3", "cannot read a quota"),
        ("station=A", "found 'A'"),
        ("station=A:", "found 'A:'"),
        ("station=:3", "found ':3'"),
        ("station=A:x", "found 'A:x'"),
        ("station=A:-3", "found 'A:-3'"),
        ("station=A:3-", "found 'A:3-'"),
        ("station=A:3-2-1", "found 'A:3-2-1'"),
        ("station=A:1.5", "found 'A:1.5'"),
        ("station=A:²", "found 'A:²'"),
        ("station=A:٣", "found 'A:٣'"),
        ("station=A:99999999999999999999", "cannot read a quota"),
        ("station=A:3,", "cannot read a quota"),
        ("station=A:9-3", "minimum is above its maximum"),
        ("station=Z:3", "a value that no image has; found 'Z'; expected one of A, B, C"),
        ("station=A:3,A:4", "names a value twice"),
        ("station=A:6-9,B:5-9", "minimums exceed the budget; found 11; expected up to 10"),
    ],
)
def test_bad_forms(text: str, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        parse_quota(text, VALUES, EVERYTHING, 10)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=20))
def test_whatever_is_written_is_a_quota_or_one_error(wanted: str) -> None:
    try:
        quota = parse_quota(f"station={wanted}", VALUES, EVERYTHING, 10)
    except DataError:
        return
    assert (quota.low <= quota.high).all()


def test_a_column_that_nobody_has() -> None:
    with pytest.raises(DataError, match="no image has a value for line"):
        parse_quota("line=equal", make_column([None, None]), np.ones(2, dtype=bool), 10)


def test_with_costs_the_budget_is_no_number_of_images() -> None:
    assert bounds(parse_quota("station=A:20-30", VALUES, EVERYTHING, None))[0] == (20, 30)
    with pytest.raises(DataError, match="--cost makes the budget money"):
        parse_quota("station=equal", VALUES, EVERYTHING, None)


def listed(folder: Path, *all_meta: dict[str, str]) -> Images:
    """Images 0, 1, ... with this metadata; as a catalog gives it, but for empty values, which it drops."""
    rows = [ImageRow(f"{i:032x}", f"/photos/{i}.png", 8, 8, "PNG", meta) for i, meta in enumerate(all_meta)]
    with Catalog.open(folder / "catalog.sqlite") as catalog:
        catalog.add_images([(row, FileStamp(1, 1)) for row in rows], "s")
        return catalog.list_images()


def test_costs_are_read_for_what_can_be_picked(tmp_path: Path) -> None:
    images = listed(tmp_path, {"minutes": "2.5"}, {}, {"minutes": "soon"}, {"minutes": "1e1"})
    assert read_cost(images, "minutes", np.array([True, False, False, True])).tolist() == [2.5, 1.0, 1.0, 10.0]


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf", "1,5"])
def test_bad_costs(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=re.escape(f"/photos/0.png: column minutes is not a cost; found '{text}'")):
        read_cost(listed(tmp_path, {"minutes": text}), "minutes", np.ones(1, dtype=bool))


def test_missing_cost(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found nothing"):
        read_cost(listed(tmp_path, {"station": "A"}), "minutes", np.ones(1, dtype=bool))


# Through select, on a job of two stations and one rare one


@pytest.fixture
def job(tmp_path: Path) -> Job:
    stations = [*"A" * 24, *"B" * 12, *"C" * 4]
    return make_job(tmp_path, meta={"station": stations, "minutes": [str(1 + i % 3) for i in range(40)]})


def counts(picks: list[int]) -> list[int]:
    return [sum(low <= row < high for row in picks) for low, high in ((0, 24), (24, 36), (36, 40))]


NO_CAP = "duplicates.group_cap=0"


def test_equal_through_select(job: Job) -> None:
    assert counts(job.rows(job.select(16, NO_CAP, quotas=("station=equal",)))) == [6, 6, 4]


def test_equal_knows_what_is_labelled_on_its_way_or_held_out(job: Job) -> None:
    """Station A has 24 images, but 22 of them are known: two are left to give."""
    job.label([*range(20), 24])
    first = job.select(2, NO_CAP, "selection.evaluation=0.5", where=("station=A",))
    assert len(job.rows(first)) == 2
    result = job.select(10, NO_CAP, quotas=("station=equal",))
    assert counts(job.rows(result)) == [2, 4, 4]
    assert result.notes == ()


def test_two_quotas_hold_at_once(job: Job) -> None:
    picks = job.rows(job.select(12, NO_CAP, quotas=("station=A:2", "minutes=1:3-3")))
    assert counts(picks)[0] == 2
    assert sum(row % 3 == 0 for row in picks) == 3


def test_a_minimum_that_cannot_be_met_is_said(job: Job) -> None:
    result = job.select(12, NO_CAP, quotas=("station=C:6-8",))
    assert counts(job.rows(result))[2] == 4
    assert any("quota station: 2 fewer than its minimums" in note for note in result.notes)


def test_random_shares_ignore_a_quota_and_say_so(job: Job) -> None:
    result = job.select(20, NO_CAP, "selection.explore=1.0", quotas=("station=A:1",))
    over = counts(job.rows(result))[0] - 1
    assert over > 0
    assert any(f"quota station: {over} above its limits" in note for note in result.notes)


def test_cost_is_spent_not_counted(job: Job) -> None:
    picks = job.rows(job.select(9.5, NO_CAP, cost="minutes"))
    spent = sum(1 + row % 3 for row in picks)
    assert 8 <= spent <= 9.5
    assert len(picks) > 3


@pytest.mark.parametrize(("column", "found"), [("price", "found nothing"), ("station", "found 'A'")])
def test_cost_column_that_is_none(job: Job, column: str, found: str) -> None:
    with pytest.raises(DataError, match=f"column {column} is not a cost; {found}"):
        job.select(5, cost=column)


def test_class_quota_from_labels(job: Job) -> None:
    job.label(range(12))
    result = job.select(12, NO_CAP, quotas=("class=crack:2,fray:5-6",))
    predicted = [pick.predicted for pick in result.picks]
    assert predicted.count("crack") <= 2
    assert 5 <= predicted.count("fray") <= 6


def test_class_quota_from_predictions(job: Job, tmp_path: Path) -> None:
    probs = np.eye(4)[np.arange(40) % 4] * 0.6 + 0.1
    preds = write_predictions(job, tmp_path / "p.parquet", classes=KINDS, probs=probs.tolist())
    picks = job.rows(job.select(12, NO_CAP, quotas=("class=equal",), predictions=preds))
    assert np.bincount(np.array(picks) % 4).tolist() == [3, 3, 3, 3]


def test_class_quota_from_a_metadata_column_of_that_name(tmp_path: Path) -> None:
    job = make_job(tmp_path, 8, meta={"class": [*"xxxxyyyy"]})
    picks = job.rows(job.select(3, NO_CAP, quotas=("class=x:1",)))
    assert sum(row < 4 for row in picks) <= 1


def test_class_quota_without_a_model(job: Job) -> None:
    with pytest.raises(DataError, match="a quota per class needs a model"):
        job.select(12, quotas=("class=crack:5",))
    job.label([0, 4])  # one class is no model
    with pytest.raises(DataError, match="a quota per class needs a model"):
        job.select(12, quotas=("class=crack:5",))
