"""What the line reported, each event once, and what came as an event and is none."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from activesel.catalog import tables as t
from activesel.catalog.listing import IN_VALUES
from activesel.records import DeadLetter, Event

_Transaction = Callable[[], AbstractContextManager[sa.Connection]]
_PART_ROWS = 5000  # events read at a time, each with its own JSON
_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, allow_nan=False)
_COLUMNS = ("source", "id", "type", "image_id", "prediction_id", "time", "received", "data")


@dataclass(frozen=True)
class Stored:
    """What one call brought; the rest was known: an event by source and id, a dead letter by its payload."""

    n_new: int
    n_dead: int


@dataclass(frozen=True)
class EventCounts:
    """by_type, by_source: events. first, last: times of the earliest and the latest, empty without any. n_images:
    distinct names of images; n_unknown: those of them that are neither an image's id nor a path here, as yet.
    dead: reason -> letters, the most frequent first."""

    by_type: dict[str, int]
    by_source: dict[str, int]
    first: str
    last: str
    n_images: int
    n_unknown: int
    dead: dict[str, int]


class Events:
    """Reached as ``catalog.events``; every method that writes is one transaction."""

    def __init__(self, reading: _Transaction, writing: _Transaction) -> None:
        self._transaction = reading
        self._writing = writing

    def add(self, events: Sequence[Event], dead: Sequence[DeadLetter] = (), *, most_dead: int | None = None) -> Stored:
        """Record events and dead letters; what is known already changes nothing, so the same again is no harm.

        most_dead: dead letters that are kept, the newest; None = all. On return the disk has them: whoever held them
        until now may let go.
        """
        with self._writing() as connection:
            _make_durable(connection)
            n_new = _insert_unknown(connection, t.events, t.events.c.event_id, [_to_row(one) for one in events])
            letters = [_to_letter(one) for one in dead]
            n_dead = _insert_unknown(connection, t.dead_letters, t.dead_letters.c.letter_id, letters)
            if n_dead and most_dead is not None:
                newest = connection.scalar(sa.select(sa.func.max(t.dead_letters.c.letter_id)))
                old = t.dead_letters.c.letter_id <= newest - most_dead
                connection.execute(sa.delete(t.dead_letters).where(old))
        return Stored(n_new, n_dead)

    def forgive(self, letters: Sequence[DeadLetter], events: Sequence[Event]) -> Stored:
        """Record the events that these dead letters turned out to be, and let go of the letters: both or neither."""
        gone = [one.letter_id for one in letters]
        with self._writing() as connection:
            _make_durable(connection)
            n_new = _insert_unknown(connection, t.events, t.events.c.event_id, [_to_row(one) for one in events])
            for start in range(0, len(gone), IN_VALUES):
                part = t.dead_letters.c.letter_id.in_(gone[start : start + IN_VALUES])
                connection.execute(sa.delete(t.dead_letters).where(part))
        return Stored(n_new, -len(gone))

    def read(self, types: Collection[str] | None = None) -> Iterator[Event]:
        """Yield every event, or those of these types, in the order in which they were recorded; some at a time."""
        columns = [t.events.c.event_id, *(t.events.c[name] for name in _COLUMNS)]
        query = sa.select(*columns).order_by(t.events.c.event_id).limit(_PART_ROWS)
        if types is not None:
            query = query.where(t.events.c.type.in_(sorted(types)))
        last = -1
        while True:
            with self._transaction() as connection:
                rows = connection.execute(query.where(t.events.c.event_id > last)).all()
            for row in rows:
                yield _from_row(row)
            if len(rows) < _PART_ROWS:
                return
            last = rows[-1].event_id

    def images_of_predictions(self, prediction_ids: Iterable[str]) -> dict[str, str]:
        """Return prediction id -> the image as the line names it, by the predictions that were reported.

        Reads the table once, since predictions are not looked up by their id anywhere else.
        """
        wanted = set(prediction_ids)
        if not wanted:
            return {}
        said = t.events.c
        query = sa.select(said.prediction_id, said.image_id).where(
            (said.type == "prediction.made") & (said.prediction_id != "") & (said.image_id != "")
        )
        with self._transaction() as connection:
            rows = connection.execution_options(yield_per=_PART_ROWS).execute(query)
            return {row[0]: row[1] for row in rows if row[0] in wanted}

    def dead_letters(self, most: int | None = None) -> list[DeadLetter]:
        """Return the dead letters, the oldest first, the first ``most`` where that is given."""
        said = t.dead_letters.c
        query = sa.select(said.format, said.reason, said.received, said.payload, said.letter_id)
        with self._transaction() as connection:
            return [DeadLetter(*row) for row in connection.execute(query.order_by(said.letter_id).limit(most))]

    def counts(self) -> EventCounts:
        """Count what there is."""
        said, known = t.events.c, sa.or_(
            sa.exists().where(t.images.c.image_id == t.events.c.image_id),
            sa.exists().where(t.files.c.path == t.events.c.image_id),
        )  # fmt: skip
        named = sa.select(said.image_id).where(said.image_id != "")
        with self._transaction() as connection:
            first, last = connection.execute(sa.select(sa.func.min(said.time), sa.func.max(said.time))).one()
            distinct = sa.func.count(sa.distinct(said.image_id))
            n_images = connection.scalar(named.with_only_columns(distinct)) or 0
            n_known = connection.scalar(named.where(known).with_only_columns(distinct)) or 0
            return EventCounts(
                _count(connection, said.type), _count(connection, said.source), first or "", last or "", n_images,
                n_images - n_known, _count(connection, t.dead_letters.c.reason),
            )  # fmt: skip


def _count(connection: sa.Connection, column: sa.Column[Any]) -> dict[str, int]:
    number = sa.func.count()
    query = sa.select(column, number).group_by(column).order_by(number.desc(), column).limit(50)
    return {str(name): int(n) for name, n in connection.execute(query)}


def _make_durable(connection: sa.Connection) -> None:
    """Let this connection's commits reach the disk, power cut or not: a collector deletes its log after them."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA synchronous = FULL")


def _insert_unknown(
    connection: sa.Connection, table: sa.Table, number: sa.Column[Any], rows: Sequence[dict[str, Any]]
) -> int:
    """Insert the rows that no unique constraint knows yet; return how many those are. number: grows by row."""
    if not rows:
        return 0
    before = connection.scalar(sa.select(sa.func.max(number))) or 0
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(insert(table).on_conflict_do_nothing(), rows)
    return int(connection.scalar(sa.select(sa.func.count()).where(number > before)) or 0)


def _to_row(one: Event) -> dict[str, Any]:
    fields = {name: getattr(one, name) for name in _COLUMNS[:-1]}
    return {**fields, "data": _ENCODER.encode(one.data)}


def _from_row(row: Any) -> Event:
    _, source, event_id, kind, image_id, prediction_id, time, received, data = row
    return Event(source, event_id, kind, image_id, prediction_id, time, received, json.loads(data))


def _to_letter(one: DeadLetter) -> dict[str, Any]:
    return {"digest": one.digest, "format": one.format, "reason": one.reason, "received": one.received,
            "payload": one.payload}  # fmt: skip
