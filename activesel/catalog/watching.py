"""What the monitors ask of the catalog: what came last, what operators answered, how old things are. Reads only."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from activesel.catalog import tables as t

_Transaction = Callable[[], AbstractContextManager[sa.Connection]]
PREDICTED, OVERRIDDEN, CONFIRMED = "prediction.made", "operator.override", "operator.confirm"
_PART_ROWS = 5000


@dataclass(frozen=True)
class Answer:
    """A prediction, or what an operator made of one. image: as the line names it. data: as it was reported."""

    type: str
    prediction: str
    image: str
    data: dict[str, Any]


class Watching:
    """Reached as ``catalog.watching``."""

    def __init__(self, reading: _Transaction) -> None:
        self._transaction = reading

    def last_ingested(self, most: int) -> list[str]:
        """Return the ids of the images whose files were recorded last."""
        last = sa.func.max(t.files.c.file_id)
        query = sa.select(t.files.c.image_id).group_by(t.files.c.image_id).order_by(last.desc()).limit(most)
        with self._transaction() as connection:
            return [image_id for (image_id,) in connection.execute(query)]

    def last_reported(self, most: int) -> list[str]:
        """Return the images, as the line names them, of the last ``most`` events that name one."""
        said = t.events.c
        query = sa.select(said.image_id).where(said.image_id != "").order_by(said.time.desc()).limit(most)
        with self._transaction() as connection:
            return list(dict.fromkeys(name for (name,) in connection.execute(query)))

    def answers(self) -> Iterator[Answer]:
        """Yield every prediction that was reported and every answer of an operator, in the order of their coming."""
        said = t.events.c
        columns = (said.event_id, said.type, said.prediction_id, said.image_id, said.data)
        query = sa.select(*columns).where(said.type.in_((PREDICTED, OVERRIDDEN, CONFIRMED)))
        last = -1
        while True:
            with self._transaction() as connection:
                part = query.where(said.event_id > last).order_by(said.event_id).limit(_PART_ROWS)
                rows = connection.execute(part).all()
            for row in rows:
                yield Answer(row.type, row.prediction_id, row.image_id, json.loads(row.data))
            if len(rows) < _PART_ROWS:
                return
            last = rows[-1].event_id

    def newest(self) -> dict[str, datetime | None]:
        """Return when the newest file was written and the newest opinion of a person was given; None = not known."""
        people = t.opinions.c.role.in_(("annotator", "expert"))
        opinion = sa.select(sa.func.max(t.opinions.c.created)).where(people & (t.opinions.c.created != ""))
        with self._transaction() as connection:
            written = connection.scalar(sa.select(sa.func.max(t.files.c.mtime_ns)))
            given = connection.scalar(opinion)
        return {
            "images": None if written is None else datetime.fromtimestamp(written / 1e9, UTC),
            "labels": None if given is None else _read_time(given),
        }


def _read_time(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
