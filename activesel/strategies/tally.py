"""The picks so far and what may still be picked: budget, cost, caps and minimums, in one place for all strategies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from activesel.journal import State
from activesel.records import BoolArray, FloatArray, IntArray, Picks, Pool, Quota


class Tally:
    """Books picks one by one and says which rows each pick closes.

    ``open`` (n,) bool is what may be picked next. ``rate`` (n,) is 1 / cost with mean 1 over the open rows, the factor
    that makes a greedy choice the best per unit of cost; ones without costs.
    """

    def __init__(self, pool: Pool, budget: float) -> None:
        self.budget = budget
        self.open: BoolArray = pool.candidates.copy()
        self.open[pool.labelled] = False
        self._cost = pool.cost
        self._spent = 0.0
        self._rows: list[int] = []
        self._gains: list[float] = []
        self._bounds = [_Bound(quota) for quota in pool.quotas]
        for bound in self._bounds:
            self._close(np.flatnonzero(bound.closed_at_start()))
        if self._cost is not None:
            self._close(np.flatnonzero(self._cost > budget))
        self._n_open = int(self.open.sum())
        self.rate = _rate(self._cost, self.open)
        self._journal = pool.journal

    @property
    def full(self) -> bool:
        """Whether the budget is spent or nothing is left to pick."""
        spent = self._cost is None and len(self._rows) >= self.budget
        return spent or self._n_open == 0

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        return np.array(self._rows, dtype=np.int64)

    def take(self, row: int, gain: float) -> IntArray:
        """Book one pick and return the rows that can no longer be picked, itself among them."""
        assert self.open[row], f"row {row} is not open"
        self._rows.append(int(row))
        self._gains.append(float(gain))
        self._journal.advance(1)
        if self._cost is None and not self._bounds:
            self.open[row] = False
            self._n_open -= 1
            return np.array([row], dtype=np.int64)
        closed: list[IntArray] = [np.array([row], dtype=np.int64)]
        closed += [bound.take(row) for bound in self._bounds]
        closed += self._reserve_for_minimums()
        if self._cost is not None:
            self._spent += float(self._cost[row])
            closed.append(np.flatnonzero(self.open & (self._cost > self.budget - self._spent + 1e-9)))
        return self._close(np.concatenate(closed))

    def resume(self) -> State | None:
        """Book the picks of a run that was cut short and return the state it left, None where there is none."""
        state = self._journal.read()
        if state is None:
            return None
        for row, gain in zip(state["picked"], state["gains"], strict=True):
            self.take(int(row), float(gain))
        return {name: values for name, values in state.items() if name not in ("picked", "gains")}

    def checkpoint(self, state: Callable[[], State]) -> None:
        """Leave the picks so far and ``state()`` in the journal if it is time to.

        A strategy calls this where its future follows from the picks and that state alone.
        """
        if self._journal.is_due():
            gains = np.array(self._gains, dtype=np.float64)
            self._journal.write({**state(), "picked": self.rows, "gains": gains})

    def picks(self, *notes: str) -> Picks:
        """Return what was booked; a shortfall that the caps caused is said in a note."""
        said = list(notes)
        if self._cost is None and len(self._rows) < self.budget:
            caps = ", ".join(bound.name for bound in self._bounds) or "the filter"
            said.append(f"only {len(self._rows)} of {int(self.budget)} picks: {caps} closed the rest of the pool")
        return Picks(self.rows, np.array(self._gains, dtype=np.float64), notes=tuple(said))

    def _close(self, rows: IntArray) -> IntArray:
        rows = np.unique(rows[self.open[rows]])
        self.open[rows] = False
        self._n_open = getattr(self, "_n_open", 0) - len(rows)
        return rows

    def _reserve_for_minimums(self) -> list[IntArray]:
        """Close what no minimum asks for once the minimums need every pick that is left."""
        if self._cost is not None:
            return []
        left = int(self.budget) - len(self._rows)
        return [np.flatnonzero(self.open & ~bound.wanted(self.open)) for bound in self._bounds
                if bound.n_wanted and left <= bound.n_wanted_open(self.open)]  # fmt: skip


class _Bound:
    """One quota's running counts."""

    def __init__(self, quota: Quota) -> None:
        self.name = quota.name
        self._codes = quota.codes
        self._high = quota.high.astype(np.int64)
        self._low = quota.low.astype(np.int64)
        self._order = np.argsort(quota.codes, kind="stable")
        self._starts = np.searchsorted(quota.codes[self._order], np.arange(len(quota.high) + 1))

    @property
    def n_wanted(self) -> int:
        return int(self._low.sum())

    def closed_at_start(self) -> BoolArray:
        counted = self._codes >= 0
        closed: BoolArray = counted & (self._high[np.where(counted, self._codes, 0)] <= 0)
        return closed

    def take(self, row: int) -> IntArray:
        code = int(self._codes[row])
        if code < 0:
            return np.empty(0, dtype=np.int64)
        self._high[code] -= 1
        self._low[code] = max(0, self._low[code] - 1)
        if self._high[code] > 0:
            return np.empty(0, dtype=np.int64)
        return self._order[self._starts[code] : self._starts[code + 1]]

    def wanted(self, open_rows: BoolArray) -> BoolArray:
        wanted: BoolArray = open_rows & (self._codes >= 0) & (self._low[np.maximum(self._codes, 0)] > 0)
        return wanted

    def n_wanted_open(self, open_rows: BoolArray) -> int:
        """Count the picks that the minimums still need, as far as the open rows can give them."""
        codes = self._codes[self.wanted(open_rows)]
        return int(np.minimum(np.bincount(codes, minlength=len(self._low)), self._low).sum())


def _rate(cost: FloatArray | None, open_rows: BoolArray) -> npt.NDArray[np.float32]:
    if cost is None or not open_rows.any():
        return np.ones(len(open_rows), dtype=np.float32)
    rate = 1.0 / cost
    return np.asarray(rate / rate[open_rows].mean(), dtype=np.float32)


def pick_in_order(pool: Pool, budget: float, score: FloatArray, *notes: str) -> Picks:
    """Pick the rows with the highest score (per cost) that the caps allow; ties go to the lower row number."""
    tally = Tally(pool, budget)
    for row in np.argsort(-(score * tally.rate), kind="stable"):
        if tally.full:
            break
        if tally.open[row]:
            tally.take(int(row), float(score[row]))
    return tally.picks(*notes)


def fill_at_random(tally: Tally, rng: np.random.Generator) -> int:
    """Spend what is left of the budget on random open rows, gain 0; return how many."""
    before = len(tally)
    for row in rng.permutation(np.flatnonzero(tally.open)):
        if tally.full:
            break
        if tally.open[row]:
            tally.take(int(row), 0.0)
    return len(tally) - before
