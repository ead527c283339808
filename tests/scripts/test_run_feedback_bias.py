"""The flywheel with a blind spot: on made vectors, small enough to play in a second; its page and plot."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import run_feedback_bias as script
from feedback_bias.loop import Arm, Job, Set, best_recall, run_flywheel
from feedback_bias.page import how_many, interval, write_page
from feedback_bias.plot import draw, spread

NAMES = ("free", "pit", "uneven")
JOB = Job(2, "passed", 0, rounds=3, budget=16, start=40)


@pytest.fixture(scope="module")
def data() -> Set:
    """Uneven lies beside the good ones and away from pits: whoever looks at rejects alone does not meet it."""
    rng = np.random.default_rng(0)
    classes = rng.choice(3, 500, p=[0.7, 0.15, 0.15])
    centres = np.array([[1.0, 0, 0, 0, 0, 0], [-0.3, 1, 0, 0, 0, 0], [0.8, 0, 0.8, 0, 0, 0]])
    vectors = centres[classes] + 0.15 * rng.normal(size=(500, 6))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Set(vectors.astype(np.float32), classes, np.arange(500), NAMES, 0)


def test_own_picks_stay_blind_and_alarms_that_are_followed_end_it(data: Set) -> None:
    alone = run_flywheel(data, Arm("alone", "rejects"), JOB)
    helped = run_flywheel(data, Arm("helped", "rejects", 8, monitors=True), JOB)
    assert len(alone.recall) == len(helped.recall) == 4
    assert alone.recall[-1] < 0.1
    assert alone.detected is None
    assert helped.detected in (1, 2)
    assert helped.recall[-1] > 0.8
    assert best_recall(data, JOB) > 0.9


def test_every_round_spends_the_budget_and_no_more(data: Set) -> None:
    for own in ("doubts", "default"):
        run = run_flywheel(data, Arm("x", own, 4, monitors=True), JOB)
        assert sum(run.labels) <= 3 * 16
        assert run.recall[-1] > 0.8, "what looks at doubts heals by itself"


def test_where_no_label_is_wrong_nobody_names_the_class(data: Set) -> None:
    run = run_flywheel(data, Arm("x", "rejects", 8, monitors=True), Job(2, "known", 0, rounds=2, budget=16, start=60))
    assert run.detected is None


def results() -> list[dict[str, object]]:
    wanted = [script.Wanted(kind, history, arm, seed) for kind in ("uneven", "pit") for history in ("passed", "known")
              for arm in script.BY_NAME for seed in range(2)]  # fmt: skip
    same = {"best": 0.9, "labels": [1, 2], "rejects": [0.0, 0.1, 0.1], "others": [0.5] * 3,
            "alarms": [(1, "escapes", "")]}  # fmt: skip
    return [{"kind": one.kind, "history": one.history, "arm": one.arm, "seed": one.seed, **same,
             "recall": [0.1, 0.2, 0.8 + one.seed / 10], "detected": None if one.arm == script.OWN else 1}
            for one in wanted]  # fmt: skip


def test_the_page_and_the_plot() -> None:
    facts = {"command": "python x", "n": 500, "n_parts": 500, "budget": 40, "rechecks": 10, "seeds": 2}
    page = write_page(results(), list(script.BY_NAME), "uneven", "plot.svg", facts)
    for arm in script.BY_NAME:
        assert f"\n| {arm} | 0.10 | " in page
    assert "| never |" in page
    assert "escapes" in page
    svg = draw(results(), "uneven", (script.OWN, script.HELPED))
    texts = ["".join(one.itertext()) for one in ElementTree.fromstring(svg).iter() if one.tag.endswith("text")]
    assert "0.85 at the end; noticed by round 2: 0 of 2" in texts


def test_what_was_played_is_not_played_again(data: Set, tmp_path: Path) -> None:
    kept = tmp_path / "results.jsonl"
    found = results()
    kept.write_text("".join(json.dumps(one) + "\n" for one in found), encoding="utf8")
    wanted = [script.Wanted(*(one[name] for name in ("kind", "history", "arm", "seed"))) for one in found]  # type: ignore[arg-type]
    assert len(script.play_all(data, wanted, kept, 1)) == len(found)
    assert len(kept.read_text(encoding="utf8").splitlines()) == len(found)


def test_small_figures() -> None:
    assert interval(np.array([0.5, 0.5])) == "0.50"
    assert interval(np.array([0.4, 0.6])).startswith("0.50 (0.00 to 1.00)")
    assert spread([10, 12, 100], 20) == [10, 30, 100]
    assert "| 10.0% | 15 |\n" in how_many()
