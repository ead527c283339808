"""kill -9 at random moments over whole rounds: run again, they end in the same state, and nothing was done twice.

`python -m scripts.check_kills` does the same 50 times; docs/flywheel.md has what it printed.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from scripts.check_kills import Flywheel, compare_states, kill_and_rerun, make_flywheel

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def flywheel(tmp_path_factory: pytest.TempPathFactory) -> Flywheel:
    return make_flywheel(tmp_path_factory.mktemp("flywheel"), rounds=1)


def test_killed_at_random_moments_again_and_again(flywheel: Flywheel, tmp_path: Path) -> None:
    n_killed = kill_and_rerun(flywheel, tmp_path, random.Random(3), most=6)
    assert n_killed >= 3
    assert compare_states(flywheel) == []
