"""Who labels what, by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from activesel.routing import Budget, Rates, route

RATES = Rates(crowd_cost=1, expert_cost=10, crowd_minutes=1, expert_minutes=2)
EASY = np.zeros(4, bool)


def test_critical_and_hard_go_to_experts() -> None:
    found = route(np.array([0.1, 0.9, 0.1, np.nan]), np.array([True, False, False, False]), RATES, Budget(),
                  expert_from=0.7)  # fmt: skip
    assert found.routes == ("expert", "expert", "crowd", "expert")
    assert (found.spend.money, found.spend.minutes, found.spend.expert_minutes) == (31, 7, 6)


def test_the_hardest_first_as_far_as_the_money_goes() -> None:
    hard = np.array([0.8, 0.95, 0.2, 0.9])
    assert route(hard, EASY, RATES, Budget(money=22), expert_from=0.7).routes == ("crowd", "expert", "crowd", "expert")
    assert route(hard, EASY, RATES, Budget(money=13), expert_from=0.7).routes == ("crowd", "expert", "crowd", "crowd")
    assert route(hard, EASY, RATES, Budget(expert_minutes=3), expert_from=0.7).routes.count("expert") == 1


def test_critical_ones_never_go_to_the_crowd() -> None:
    found = route(np.zeros(4), np.ones(4, bool), RATES, Budget(expert_minutes=4), expert_from=0.7)
    assert found.routes == ("expert", "expert", "", "")
    assert found.spend.n_nobody == 2


def test_where_the_budget_ends_the_last_are_left() -> None:
    assert route(np.zeros(4), EASY, RATES, Budget(minutes=3), expert_from=0.7).routes == ("crowd", "crowd", "crowd", "")


def test_an_expert_may_be_cheaper_than_many() -> None:
    rates = Rates(3, 10, 1, 2, crowd_opinions=5)
    found = route(np.array([0.9, 0.1]), np.zeros(2, bool), rates, Budget(money=12), expert_from=0.7)
    assert found.routes == ("expert", "")


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=30), st.floats(0, 100), st.floats(0, 40),
    st.floats(0, 20),
)  # fmt: skip
def test_no_budget_is_overdrawn(rows: list[tuple[float, bool]], money: float, minutes: float, experts: float) -> None:
    hard, critical = np.array([one for one, _ in rows]), np.array([one for _, one in rows], bool)
    found = route(hard, critical, RATES, Budget(money, minutes, experts), expert_from=0.5)
    assert found.spend.money <= money + 1e-6
    assert found.spend.minutes <= minutes + 1e-6
    assert found.spend.expert_minutes <= experts + 1e-6
    assert all(one != "crowd" for one, is_critical in zip(found.routes, critical, strict=True) if is_critical)
