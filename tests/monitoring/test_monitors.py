"""Every monitor fires where it should, keeps still where nothing is wrong, and says when it cannot tell."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from activesel.anchoring import measure_anchoring
from activesel.drift import Drift
from activesel.monitoring import MONITORS, Overrides, Reading, Regions, Signals, State, judge, watch
from activesel.monitoring.arms import chance_of_as_many
from tests.monitoring.made import LIMITS, NAMES, clean, labelled, with_labels

PIT = NAMES.index("pit")


def labels(seed: int = 0) -> dict[str, np.ndarray]:
    found = labelled(np.random.default_rng(seed))
    return {name: getattr(found, name).copy() for name in ("classes", "predicted", "sure", "explored", "rounds")}


def blind() -> Signals:
    """Random images show pits; the model, sure of itself, passes them, and chooses none."""
    fields = labels()
    random = np.flatnonzero(fields["explored"])
    fields["classes"][~fields["explored"] & (fields["classes"] == PIT)] = 0
    fields["classes"][random[:24]] = PIT
    fields["predicted"][random[:24]] = 0
    fields["sure"][random[:24]] = 0.97
    return with_labels(0, **fields)


def new() -> Signals:
    """Nobody knew of pits until a random image of the last batch showed one."""
    fields = labels()
    fields["classes"][fields["classes"] == PIT] = 0
    fields["classes"][396] = PIT
    return with_labels(0, before=frozenset({0, 1, 2, 4}), **fields)


def many_kinds() -> Signals:
    """Every tenth random image is a kind of its own."""
    fields = labels()
    random = np.flatnonzero(fields["explored"])
    names = (*NAMES, *(f"kind {number}" for number in range(10)))
    fields["classes"][random[::10]] = np.arange(5, 15)
    return with_labels(0, names=names, before=frozenset(range(15)), **fields)


def overconfident() -> Signals:
    fields = labels()
    fields["sure"][:] = 0.99
    return with_labels(0, **fields)


def anchored() -> Signals:
    shown = np.arange(300) < 240
    same = np.where(shown, np.arange(300) % 50 > 0, np.arange(300) % 4 > 0)
    return replace(clean(0), anchoring=measure_anchoring(same, shown, np.full(300, np.nan)))


def unseen_region() -> Signals:
    regions = Regions(np.array([2700, 300]), np.array([120, 0]), np.array([0.9, 0.05]), ("", "region_2.txt"))
    return replace(clean(0), regions=regions)


def drifted() -> Signals:
    return replace(clean(0), drifts=(Drift("defect score", "score", "wasserstein/sd", 0.6, 1e-8, 300, 200),))


STATIONS = Overrides("station", {"S1": (4, 150), "S 2": (30, 150)})
WRONG: dict[str, tuple[Signals, str]] = {
    "labels per arm": (with_labels(0, explored=np.arange(400) < 5), ""),
    "new types": (new(), "pit"),
    "unseen types": (many_kinds(), ""),
    "explored against selected": (blind(), "pit"),
    "recall per arm": (blind(), "pit"),
    "escapes": (blind(), ""),
    "calibration per arm": (overconfident(), ""),
    "labels by the model alone": (replace(clean(0), by_model=(300, 400)), ""),
    "anchoring": (anchored(), ""),
    "never-eligible regions": (unseen_region(), "region 2"),
    "overrides": (replace(clean(0), overrides=(STATIONS,)), "station S 2"),
    "drift": (drifted(), "score: defect score"),
    "freshness": (replace(clean(0), ages={"images": 40.0, "labels": None}), "images"),
}  # fmt: skip


def of(readings: tuple[Reading, ...], monitor: str) -> list[Reading]:
    return [one for one in readings if one.monitor == monitor]


def test_every_monitor_is_tried() -> None:
    assert {one.monitor for monitor in MONITORS for one in monitor(clean(0), LIMITS)} == set(WRONG)


@pytest.mark.parametrize("monitor", WRONG)
def test_it_fires(monitor: str) -> None:
    signals, subject = WRONG[monitor]
    readings = watch(signals, LIMITS)
    fired = [one for one in of(readings, monitor) if one.state is State.act]
    assert [one.subject for one in fired] == [subject], of(readings, monitor)
    assert fired[0].reason
    assert re.match(r"activesel \w+", fired[0].command)
    assert judge(readings) is State.act


@pytest.mark.parametrize("monitor", WRONG)
def test_it_keeps_still_where_all_is_well(monitor: str) -> None:
    assert {one.state for one in of(watch(clean(0), LIMITS), monitor)} == {State.quiet}


@pytest.mark.parametrize("monitor", WRONG)
def test_it_says_so_where_nothing_is_recorded(monitor: str) -> None:
    readings = watch(Signals(), LIMITS)
    assert [one.state for one in of(readings, monitor)] == [State.absent]
    assert judge(readings) is State.quiet


def test_too_little_is_neither_quiet_nor_an_alarm() -> None:
    fields = {name: values[:10] for name, values in labels().items()}
    signals = replace(with_labels(0, **fields, groups=np.arange(10)), overrides=(
        Overrides("station", {"S1": (2, 9), "S2": (0, 4)}),), anchoring=None, drifts=(
        Drift("all", "vectors", "domain AUC", 0.7, 0.01, 300, 12),), regions=Regions(
        np.array([50, 50]), np.array([2, 0]), np.array([0.5, 0.0])))  # fmt: skip
    readings = watch(signals, LIMITS)
    unknown = {one.monitor for one in readings if one.state is State.unknown}
    assert {"labels per arm", "overrides", "drift", "never-eligible regions", "unseen types"} <= unknown
    assert judge(readings) is State.unknown


def test_false_alarms_of_a_line_where_nothing_has_changed() -> None:
    alarms = [judge(watch(clean(seed), LIMITS)) is State.act for seed in range(40)]
    assert sum(alarms) <= 5, "5 % of runs, 40 tests and more in each"


def test_what_chance_explains_asks_for_nothing() -> None:
    signals = replace(clean(0), overrides=(Overrides("station", {"S1": (10, 150), "S2": (4, 150)}),))
    (one,) = [one for one in of(watch(signals, LIMITS), "overrides") if one.subject == "station S1"]
    assert one.p is not None
    assert one.p > 0.05
    assert (one.state, one.command, one.reason) == (State.quiet, "", "chance alone may explain it")


def test_a_selection_of_rejects_alone_is_no_reason_for_an_alarm() -> None:
    fields = labels()
    chosen = ~fields["explored"]
    fields["predicted"][chosen] = np.maximum(fields["predicted"][chosen], 1)  # all that was chosen was rejected
    readings = of(watch(with_labels(0, **fields), LIMITS), "recall per arm")
    assert {one.state for one in readings} == {State.quiet}
    assert readings[0].limit == 1.0


def test_an_old_finding_that_was_followed_is_at_rest() -> None:
    fields = labels()
    fields["classes"][fields["classes"] == PIT] = 0
    fields["classes"][0] = PIT  # random, of the first batch
    fields["classes"][101:161:2] = PIT
    signals = with_labels(0, before=frozenset({0, 1, 2, 4}), **fields)
    (one,) = of(watch(signals, LIMITS), "new types")
    assert one.state is State.quiet


def test_names_reach_the_shell_as_one_word() -> None:
    signals = with_labels(0, names=("good", "crack", "fray", "pit; rm -rf", "scratch"), before=frozenset({0, 1, 2, 4}),
                          **{name: values for name, values in vars(new().labelled).items()
                             if name in ("classes", "predicted", "sure", "explored", "rounds")})  # fmt: skip
    (one,) = of(watch(signals, LIMITS), "new types")
    assert one.command.endswith("--focus 'pit; rm -rf'")


def test_chance_of_as_many() -> None:
    assert chance_of_as_many(np.empty(0), 0) == 1.0
    assert chance_of_as_many(np.full(3, 0.5), 3) == pytest.approx(0.125)
    assert chance_of_as_many(np.array([0.1, 0.2]), 1) == pytest.approx(1 - 0.9 * 0.8)
