"""What the monitors ask of the catalog: what came last, and how old things are. Reads only."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import sqlalchemy as sa

from activesel.catalog import tables as t

_Transaction = Callable[[], AbstractContextManager[sa.Connection]]


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
