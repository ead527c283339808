"""The story of `activesel round`: begin a round or go on with it, until it is finished or waits for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from activesel.errors import DataError, UsageError
from activesel.rounds.engine import advance, hold_rounds
from activesel.rounds.record import Round, StepRecord, begin, find_round, read_rounds, save
from activesel.rounds.steps import STEPS
from activesel.workspace import Workspace


@dataclass(frozen=True)
class RoundRequest:
    """What is asked of a new round beyond the settings. budget: images, None = rounds.budget. source: only the images
    of this ingested source. accept_quality: why labels may be used that quality control does not pass. approve: the
    challenger may become champion, where rounds.promotion asks a person."""

    budget: int | None = None
    source: str | None = None
    accept_quality: str = ""
    approve: bool = False


def run_round(
    workspace: Workspace, request: RoundRequest, watch: Callable[[StepRecord], None] = lambda _: None
) -> Round:
    """Go on with the round that is not finished, or begin the next; return it finished.

    Raises:
        UsageError: a round is under way with another budget or source. What `advance` raises: it waits for people, or
        a verdict stops it. LockedError: another process runs it.
    """
    with hold_rounds(workspace):
        known = read_rounds(workspace)
        current = known[-1] if known and not known[-1].is_finished else None
        if current is None:
            current = begin(workspace, _freeze(workspace, request), [step.name for step in STEPS])
        else:
            _check_same(current, request)
        return advance(workspace, _decide(workspace, current, request), STEPS, watch)


def resume_round(
    workspace: Workspace, request: RoundRequest, watch: Callable[[StepRecord], None] = lambda _: None
) -> Round:
    """Go on with the last round; a finished one is returned as it is.

    Raises:
        DataError: there is none. What `run_round` raises.
    """
    current = find_round(workspace, None)
    if current.is_finished:
        return current
    return run_round(workspace, request, watch)


def plan_round(workspace: Workspace, request: RoundRequest) -> dict[str, Any]:
    """Say what `run_round` would do; writes nothing."""
    known = read_rounds(workspace)
    current = known[-1] if known and not known[-1].is_finished else None
    if current is not None:
        _check_same(current, request)
    settings = _freeze(workspace, request) if current is None else dict(current.settings)
    number = (known[-1].number + 1 if known else 1) if current is None else current.number
    states = {} if current is None else {one.name: one.state.value for one in current.steps}
    return {"round": number, "goes_on": current is not None, "settings": settings,
            "steps": [{"name": one.name, "title": one.title, "state": states.get(one.name, "open")}
                      for one in STEPS]}  # fmt: skip


def _freeze(workspace: Workspace, request: RoundRequest) -> dict[str, Any]:
    """Return what the round is run with from its first step to its last, whatever the settings become meanwhile."""
    settings = workspace.config.rounds
    if request.budget is not None and request.budget < 1:
        raise UsageError("a budget is one image at least", where="--budget", found=str(request.budget))
    training = workspace.config.training
    return {"budget": request.budget or settings.budget, "source": request.source, "trainer": training.trainer,
            "options": dict(training.options), "synthesis": settings.synthesis, "accept_quality": "",
            "synthesis_count": settings.synthesis_count, "approved": False}  # fmt: skip


def _check_same(current: Round, request: RoundRequest) -> None:
    asked: Mapping[str, Any] = {"budget": request.budget, "source": request.source}
    for name, value in asked.items():
        if value is not None and value != current.settings[name]:
            raise UsageError(f"round {current.number} is not finished", where=f"--{name}", found=str(value),
                             expected=str(current.settings[name]),
                             hint="finish it with `activesel round resume` first")  # fmt: skip


def _decide(workspace: Workspace, current: Round, request: RoundRequest) -> Round:
    """Write down what a person has decided on this call, so that a killed run remembers it."""
    if request.accept_quality.strip() == request.accept_quality == "" and not request.approve:
        return current
    if request.accept_quality and not request.accept_quality.strip():
        raise UsageError("a reason is needed", where="--accept-quality")
    if request.approve and not current.result("gate"):
        raise DataError("there is nothing to approve yet", where=f"round {current.number}",
                        hint="the gate has not been reached")  # fmt: skip
    decided = {"accept_quality": request.accept_quality or current.settings["accept_quality"],
               "approved": request.approve or current.settings["approved"]}  # fmt: skip
    changed = replace(current, settings={**current.settings, **decided})
    save(workspace, changed)
    return changed
