"""All monitors over one set of signals, and what all of their tests together allow to be said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from activesel.drift import hold_against_many
from activesel.monitoring import arms, line
from activesel.monitoring.signals import Limits, Reading, Signals, State

MONITORS = (
    arms.watch_arms, arms.watch_new_types, arms.watch_unseen, arms.watch_starved, arms.watch_recall,
    arms.watch_escapes, arms.watch_calibration, line.watch_only_model, line.watch_anchoring, line.watch_regions,
    line.watch_overrides, line.watch_drift, line.watch_freshness,
)  # fmt: skip


def watch(signals: Signals, limits: Limits) -> tuple[Reading, ...]:
    """Return what every monitor says, those that ask for action first.

    A reading with a test asks for action only where its effect is large enough to matter and all tests of the run
    together leave no more than ``limits.false_alarms`` to chance (Holm). Facts, such as that nothing was drawn at
    random, need no test.
    """
    readings = [one for monitor in MONITORS for one in monitor(signals, limits)]
    return tuple(sorted(hold_back(readings, limits.false_alarms), key=lambda one: _ORDER[one.state]))


def hold_back(readings: Sequence[Reading], false_alarms: float) -> list[Reading]:
    """Return the readings with those at rest that chance alone may explain."""
    tested = [i for i, one in enumerate(readings) if one.p is not None and one.state is not State.unknown]
    passed = hold_against_many([readings[i].p or 0.0 for i in tested], false_alarms)
    luck = {i for i, holds in zip(tested, passed, strict=True) if not holds and readings[i].state is State.act}
    return [replace(one, state=State.quiet, command="", reason="chance alone may explain it") if i in luck else one
            for i, one in enumerate(readings)]  # fmt: skip


def judge(readings: Sequence[Reading]) -> State:
    """Return act if any reading asks for it, else unknown if any is, else quiet."""
    states = {one.state for one in readings}
    return next((one for one in (State.act, State.unknown) if one in states), State.quiet)


_ORDER = {State.act: 0, State.unknown: 1, State.quiet: 2, State.absent: 3}
