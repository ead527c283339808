"""A strategy that is cut short anywhere and taken up again picks the same rows with the same gains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from activesel.journal import NoJournal, State, pack_generator, restore_generator
from activesel.records import Picks, Pool
from activesel.strategies import badge, exemplars, farthest, find_strategy, greedy
from tests.strategies.pools import as_pool, make_pool

RESUMABLE = ["default", "sparse-coverage", "max-herding", "uncertainty-herding", "facility-location", "probcover",
             "k-center", "weighted-k-center", "badge", "exemplars"]  # fmt: skip
BUDGET = 120


class Killed(Exception):
    pass


class Notes(NoJournal):
    """A journal in memory that is due at every opportunity and kills the run after so many writings."""

    def __init__(self, n_writes: int) -> None:
        self.state: State | None = None
        self.n_left = n_writes
        self.n_advanced = 0

    def read(self) -> State | None:
        return self.state

    def is_due(self) -> bool:
        return True

    def write(self, state: State) -> None:
        self.state = {name: values.copy() for name, values in state.items()}
        self.n_left -= 1
        if self.n_left < 0:
            raise Killed

    def advance(self, n_picks: int) -> None:
        self.n_advanced += n_picks


def pick(name: str, pool: Pool) -> Picks:
    return find_strategy(name).run(pool, BUDGET, np.random.default_rng(3))


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several rounds of each strategy's outer loop, as a large pool would have."""
    monkeypatch.setitem(farthest.ROUGH_ROWS, "cpu", 16)
    monkeypatch.setitem(farthest.EXACT_ROWS, "cpu", 8)
    monkeypatch.setattr(badge, "PROPOSALS", 32)
    monkeypatch.setattr(greedy, "ACTIVE_ROWS", 32)
    monkeypatch.setattr(exemplars, "ACTIVE_ROWS", 32)


@pytest.mark.parametrize("name", RESUMABLE)
@pytest.mark.parametrize("n_labelled", [0, 20])
def test_cut_short_and_resumed_is_the_same(name: str, n_labelled: int) -> None:
    pool = make_pool(n=600, n_labelled=n_labelled)
    whole = pick(name, pool)
    for n_writes in (0, 1, 2, 5):
        notes = Notes(n_writes)
        with pytest.raises(Killed):
            pick(name, replace(pool, journal=notes))
        assert notes.state is not None
        n_before = len(notes.state["picked"])
        notes.n_left, notes.n_advanced = 10**9, 0
        resumed = pick(name, replace(pool, journal=notes))
        assert resumed.rows.tolist() == whole.rows.tolist()
        np.testing.assert_array_equal(resumed.gain, whole.gain)
        assert notes.n_advanced == BUDGET
        assert n_before < BUDGET


@pytest.mark.parametrize("name", ["max-herding", "probcover", "exemplars"])
def test_ties_do_not_depend_on_where_a_run_was_cut(name: str) -> None:
    """Exact copies gain the same: which of them is picked must follow from the rows alone."""
    half = make_pool(n=150).vectors
    pool = as_pool(np.concatenate((half, half)), k=12)
    whole = pick(name, pool)
    notes = Notes(7)
    with pytest.raises(Killed):
        pick(name, replace(pool, journal=notes))
    notes.n_left = 10**9
    assert pick(name, replace(pool, journal=notes)).rows.tolist() == whole.rows.tolist()


def test_a_generator_survives_packing() -> None:
    rng = np.random.default_rng(5)
    rng.integers(7, dtype=np.int32)  # leaves half a word behind
    packed = pack_generator(rng)
    expected = rng.random(4), rng.integers(9, dtype=np.int32)
    other = np.random.default_rng(0)
    restore_generator(other, packed)
    assert (other.random(4) == expected[0]).all()
    assert other.integers(9, dtype=np.int32) == expected[1]
