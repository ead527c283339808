"""The registry: models, which of them is champion, and the log of what was decided about them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from activesel.catalog import tables as t
from activesel.errors import DataError
from activesel.models import Alias, Decision, ModelCard

_Transaction = Callable[[], AbstractContextManager[sa.Connection]]


class Models:
    """Reached as ``catalog.models``; every method that writes is one transaction."""

    def __init__(self, reading: _Transaction, writing: _Transaction) -> None:
        self._transaction = reading
        self._writing = writing

    def register(self, card: ModelCard, *, replaces: bool = False) -> bool:
        """Record a model; return whether it is new. A model that is known stays as it is, unless this replaces it."""
        with self._writing() as connection:
            known = sa.select(t.models.c.model_id).where(t.models.c.model_id == card.model_id)
            is_known = connection.execute(known).first() is not None
            if is_known and not replaces:
                return False
            values = {"model_id": card.model_id, "created": card.created, "card": _to_json(asdict(card))}
            if is_known:
                at = t.models.c.model_id == card.model_id
                connection.execute(sa.update(t.models).where(at).values(**values))
            else:
                connection.execute(sa.insert(t.models), values)
        return not is_known

    def cards(self) -> list[ModelCard]:
        """Return every model, the oldest first."""
        query = sa.select(t.models.c.card).order_by(t.models.c.created, t.models.c.model_id)
        with self._transaction() as connection:
            return [_to_card(json.loads(text)) for (text,) in connection.execute(query)]

    def aliases(self) -> dict[Alias, str]:
        """Return the id of the model that each alias stands for, of those that stand for one."""
        with self._transaction() as connection:
            found = connection.execute(sa.select(t.aliases.c.alias, t.aliases.c.model_id)).all()
        return {Alias(alias): model_id for alias, model_id in found}

    def name(self, alias: Alias, model_id: str) -> None:
        """Let an alias stand for a model, and no longer for another. Champion moves by ``promote`` alone."""
        assert alias is not Alias.champion
        with self._writing() as connection:
            _point(connection, alias, model_id, _now())

    def promote(self, decision: Decision) -> bool:
        """Make the decision's challenger the champion, and the champion the previous one, and log it: all or nothing.

        Return False, and change and log nothing, where it is the champion already. A rollback is a promotion, too.

        Raises:
            DataError: the champion is no longer the one that was decided about.
        """
        with self._writing() as connection:
            present = _champion(connection)
            if present == decision.challenger:
                return False
            if present != decision.champion:
                raise DataError("the champion has changed meanwhile", found=present or "none",
                                expected=decision.champion or "none", hint="run the gate again")  # fmt: skip
            _point(connection, Alias.champion, decision.challenger, decision.created)
            if present is not None:
                _point(connection, Alias.previous, present, decision.created)
            connection.execute(sa.delete(t.aliases).where(
                (t.aliases.c.alias == Alias.challenger) & (t.aliases.c.model_id == decision.challenger)
            ))  # fmt: skip
            connection.execute(sa.insert(t.decisions), _values(decision))
        return True

    def log(self, decision: Decision) -> None:
        """Add a line to the log."""
        with self._writing() as connection:
            connection.execute(sa.insert(t.decisions), _values(decision))

    def decisions(self) -> list[Decision]:
        """Return the log, the oldest first."""
        columns = [t.decisions.c[name] for name in Decision.__dataclass_fields__]
        query = sa.select(*columns).order_by(t.decisions.c.decision_id)
        with self._transaction() as connection:
            rows = connection.execute(query).mappings().all()
        return [Decision(**{**row, "details": json.loads(row["details"])}) for row in rows]


def _champion(connection: sa.Connection) -> str | None:
    query = sa.select(t.aliases.c.model_id).where(t.aliases.c.alias == Alias.champion)
    found: str | None = connection.scalar(query)
    return found


def _point(connection: sa.Connection, alias: Alias, model_id: str, since: str) -> None:
    connection.execute(sa.delete(t.aliases).where(t.aliases.c.alias == alias))
    connection.execute(sa.insert(t.aliases), {"alias": alias.value, "model_id": model_id, "since": since})


def _values(decision: Decision) -> dict[str, Any]:
    return {**asdict(decision), "details": _to_json(decision.details)}


def _to_json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _to_card(fields: dict[str, Any]) -> ModelCard:
    return ModelCard(**{**fields, "classes": tuple(fields["classes"])})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
