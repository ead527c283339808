from __future__ import annotations

import numpy as np
import pytest

from synth.aim import close_gap, coverage, usual_reach
from synth.errors import SynthError


def line(*places: float) -> np.ndarray:
    """Points on a line, so that every distance can be read off."""
    return np.asarray([[place, 0.0] for place in places], np.float32)


REAL = line(0, 1, 2, 3, 4, 5)
GAP = line(10, 11)


def test_reach_is_the_usual_distance_to_the_kth() -> None:
    assert usual_reach(REAL, 1) == 1
    assert usual_reach(REAL, 2) == pytest.approx(1.0)  # four of six have two neighbours at 1


def test_coverage_counts_points_with_enough_neighbours() -> None:
    assert coverage(line(0, 10), REAL, neighbours=2, reach=1) == 0.5


def test_closed_with_as_few_as_do_it() -> None:
    candidates = line(7, 10.5, 10.4, 10.6, 30)
    aim = close_gap(REAL, candidates, {"right": GAP}, neighbours=2, reach=1)
    (verdict,) = aim.verdicts
    assert verdict.outcome == "closed"
    assert (verdict.before, verdict.after) == (0, 1)
    assert len(aim.keep) == 2
    assert set(aim.keep.tolist()) <= {1, 2, 3}
    assert verdict.reason == "2 variants cover it"


def test_unreachable_says_how_far() -> None:
    (verdict,) = close_gap(REAL, line(7, 8), {"right": GAP}, neighbours=2, reach=1).verdicts
    assert verdict.outcome == "unreachable"
    assert verdict.kept == ()
    assert verdict.nearest == 2
    assert "2.00 away, 1.00 counts as near" in verdict.reason


def test_no_candidates_at_all() -> None:
    aim = close_gap(REAL, np.zeros((0, 2), np.float32), {"right": GAP}, neighbours=2, reach=1)
    assert aim.verdicts[0].outcome == "unreachable"
    assert len(aim.keep) == 0


def test_narrowed_says_what_lacks() -> None:
    (verdict,) = close_gap(REAL, line(10, 10.1), {"right": line(10, 14)}, neighbours=2, reach=1).verdicts
    assert verdict.outcome == "narrowed"
    assert (verdict.before, verdict.after) == (0, 0.5)
    assert "none comes near 1 of its 2 points" in verdict.reason
    (verdict,) = close_gap(REAL, line(10), {"right": line(10)}, neighbours=2, reach=1).verdicts
    assert "more are needed" in verdict.reason


def test_covered_keeps_nothing_and_every_gap_has_a_verdict() -> None:
    aim = close_gap(REAL, line(2.5, 10.5, 10.4), {"middle": line(2, 3), "right": GAP}, neighbours=2, reach=1)
    assert [(one.name, one.outcome) for one in aim.verdicts] == [("middle", "covered"), ("right", "closed")]
    assert 0 not in aim.keep


def test_a_centroid_will_do() -> None:
    (verdict,) = close_gap(REAL, line(10, 10.2), {"right": line(10)}, neighbours=2).verdicts
    assert verdict.outcome == "closed"


@pytest.mark.parametrize(
    ("candidates", "gaps", "message"),
    [
        (np.zeros((3, 5), np.float32), {"a": GAP}, "different length"),
        (line(1), {"a": np.zeros((0, 2), np.float32)}, "without points"),
    ],
)
def test_wrong_vectors_are_refused(candidates: np.ndarray, gaps: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(SynthError, match=message):
        close_gap(REAL, candidates, gaps, neighbours=2, reach=1)


def test_too_few_real_ones_for_a_reach() -> None:
    with pytest.raises(SynthError, match="too few real"):
        close_gap(line(0, 1), line(2), {"a": GAP}, neighbours=5)
