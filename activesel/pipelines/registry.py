"""The story of `activesel models`: which model is champion, why, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from activesel.catalog import Catalog
from activesel.errors import RefusedError, UsageError
from activesel.models import Alias, Decision, ModelCard
from activesel.pipelines.model_files import find_model
from activesel.workspace import Workspace

MOVES = ("promote", "force", "rollback")  # kinds of decision that change the champion
_HINT = "run `activesel gate`, or say why it may be champion all the same: --force REASON"


@dataclass(frozen=True)
class Listed:
    """One model of the list. aliases: what it stands for. verdict: of the latest gate about it, None = none yet."""

    card: ModelCard
    aliases: tuple[str, ...]
    verdict: str | None
    reason: str


@dataclass(frozen=True)
class Shown:
    card: ModelCard
    aliases: tuple[str, ...]
    decisions: tuple[Decision, ...]


@dataclass(frozen=True)
class Moved:
    """champion: who it is now. before: who it was, None = nobody. is_new: False where it was so already."""

    champion: str
    before: str | None
    is_new: bool
    reason: str


def list_models(workspace: Workspace) -> list[Listed]:
    """Return every model, the oldest first."""
    with Catalog.open(workspace.catalog_place) as catalog:
        cards, aliases, log = catalog.models.cards(), catalog.models.aliases(), catalog.models.decisions()
    latest = {one.challenger: one for one in log if one.kind == "gate"}
    return [
        Listed(card, _names(card.model_id, aliases), latest[card.model_id].outcome, latest[card.model_id].reason)
        if card.model_id in latest else Listed(card, _names(card.model_id, aliases), None, "")
        for card in cards
    ]  # fmt: skip


def show_model(workspace: Workspace, name: str | None) -> Shown:
    """Return one model with all that was decided about it; None = the champion, or the newest."""
    with Catalog.open(workspace.catalog_place) as catalog:
        aliases, log = catalog.models.aliases(), catalog.models.decisions()
        cards = {card.model_id: card for card in catalog.models.cards()}
    model_id = find_model(workspace, name or aliases.get(Alias.champion))
    about = tuple(one for one in log if model_id in (one.challenger, one.champion))
    return Shown(cards[model_id], _names(model_id, aliases), about)


def promote(workspace: Workspace, name: str | None = None, force: str | None = None) -> Moved:
    """Make a model the champion; the caller holds the workspace's lock. None = the one named challenger.

    What lets it pass is the latest gate's verdict on this very pair, or a reason, which is logged. Who is champion
    already stays so, and nothing is logged.

    Raises:
        RefusedError: neither verdict nor reason. DataError: no such model. UsageError: an empty reason.
    """
    if force is not None and not force.strip():
        raise UsageError("a forced promotion needs a reason", where="--force")
    with Catalog.open(workspace.catalog_place) as catalog:
        aliases, log = catalog.models.aliases(), catalog.models.decisions()
        champion = aliases.get(Alias.champion)
        if name is None and champion is not None and Alias.challenger not in aliases:
            return Moved(champion, champion, is_new=False, reason="no challenger waits")
        model_id = find_model(workspace, name or Alias.challenger.value)
        if champion == model_id:
            return Moved(model_id, champion, is_new=False, reason="it is champion already")
        verdict = latest_verdict(log, model_id, champion)
        if force is None and (verdict is None or verdict.outcome != "promote"):
            raise RefusedError("the gate has not let this model pass", where=model_id, found=_say(verdict), hint=_HINT)
        passed = verdict is not None and verdict.outcome == "promote"
        decision = Decision(
            "promote" if force is None else "force", model_id, champion, "done",
            force.strip() if force is not None else verdict.reason if verdict else "", _now(),
            verdict.test_set if passed and verdict else "", verdict.look if passed and verdict else 0,
            {} if verdict is None else {"verdict": verdict.outcome, "verdict_reason": verdict.reason},
        )  # fmt: skip
        is_new = catalog.models.promote(decision)
    return Moved(model_id, champion, is_new, decision.reason)


def roll_back(workspace: Workspace, reason: str = "") -> Moved:
    """Make the model before the champion again; the caller holds the workspace's lock.

    A second time does nothing, since the first may have been killed before it said so: the way forth is ``promote``.

    Raises:
        RefusedError: no champion came before this one.
    """
    with Catalog.open(workspace.catalog_place) as catalog:
        aliases, log = catalog.models.aliases(), catalog.models.decisions()
        champion, previous = aliases.get(Alias.champion), aliases.get(Alias.previous)
        moves = [one for one in log if one.kind in MOVES]
        if champion is not None and moves and moves[-1].kind == "rollback" and moves[-1].challenger == champion:
            return Moved(champion, moves[-1].champion, is_new=False, reason="it was rolled back already")
        if champion is None or previous is None:
            raise RefusedError("no champion came before this one", where=str(workspace.root), found=champion or "none")
        decision = Decision("rollback", previous, champion, "done", reason or "rolled back", _now())
        is_new = catalog.models.promote(decision)
    return Moved(previous, champion, is_new, decision.reason)


def latest_verdict(log: Sequence[Decision], challenger: str, champion: str | None) -> Decision | None:
    """Return the latest gate's word on a pair."""
    pairs = [one for one in log if one.kind == "gate" and (one.challenger, one.champion) == (challenger, champion)]
    return pairs[-1] if pairs else None


def _say(verdict: Decision | None) -> str:
    return "no verdict on this pair" if verdict is None else f"{verdict.outcome}: {verdict.reason}"


def _names(model_id: str, aliases: dict[Alias, str]) -> tuple[str, ...]:
    return tuple(alias.value for alias, known in aliases.items() if known == model_id)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
