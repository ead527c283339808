"""The list of strategies: a decorator to join it, a look-up by name, and a check of options."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from activesel.errors import UsageError
from activesel.records import Picks, Pool
from activesel.strategies.cost import COVERAGE, USUAL, Cost

Need = Literal["probs", "uncertainty", "mutual_information", "graph", "exemplars", "counterexamples"]
InParts = Literal["union", "offers", "whole"]


class Run(Protocol):
    """(pool, budget, rng, *, options) -> Picks; touches no file, model or global random state."""

    def __call__(self, pool: Pool, budget: float, rng: np.random.Generator, **options: Any) -> Picks: ...


@dataclass(frozen=True)
class Strategy:
    """One way to choose a batch.

    needs: fields of the pool that must be there. uses: fields that it does without at a loss (a cold start).
    lead: how the reason of each of its picks begins.
    in_parts: how it goes through a pool in parts. "union": picks in each, then among all those picks. "offers": then
    also among rows that a part finds better than the last pick, until there is none; for a gain that means the same in
    every part. "whole": not cut, as its odds or clusters follow from all rows at once; it has to hold little.
    cost: what it holds and does, for the plan; unless said, that of others with the same needs.
    """

    name: str
    run: Run
    needs: frozenset[Need]
    uses: frozenset[Need]
    lead: str
    in_parts: InParts = "union"
    cost: Cost = USUAL

    @property
    def summary(self) -> str:
        return (inspect.getdoc(self.run) or "").split("\n")[0]

    @property
    def options(self) -> dict[str, Any]:
        parameters = inspect.signature(self.run).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Raise UsageError for an option that the strategy does not have."""
        for name in options:
            if name not in self.options:
                known = ", ".join(f"{key}={value}" for key, value in self.options.items()) or "no options"
                raise UsageError(f"strategy {self.name} has no option {name!r}", expected=known)


_STRATEGIES: dict[str, Strategy] = {}


def strategy(
    name: str,
    *,
    lead: str,
    needs: tuple[Need, ...] = (),
    uses: tuple[Need, ...] = (),
    in_parts: InParts = "union",
    cost: Cost | None = None,
) -> Callable[[Callable[..., Picks]], Callable[..., Picks]]:
    """Register the decorated function under ``name``; a name taken twice is our bug."""

    def register(run: Callable[..., Picks]) -> Callable[..., Picks]:
        assert name not in _STRATEGIES, f"two strategies are called {name}"
        _STRATEGIES[name] = Strategy(name, run, frozenset(needs), frozenset(uses), lead, in_parts,
                                      cost or (COVERAGE if "graph" in needs else USUAL))  # fmt: skip
        return run

    return register


def find_strategy(name: str) -> Strategy:
    """Return the strategy called ``name``.

    Raises:
        UsageError: there is none; the message holds the nearest names.
    """
    if name not in _STRATEGIES:
        near = difflib.get_close_matches(name, _STRATEGIES, n=3) or strategy_names()
        raise UsageError("unknown strategy", found=repr(name), expected=", ".join(near))
    return _STRATEGIES[name]


def strategy_names() -> list[str]:
    """Return every name, the default first, then by the alphabet."""
    return sorted(_STRATEGIES, key=lambda name: (name != "default", name))
