"""The queries behind `Images`: many rows at a time, as arrays and bytes rather than as an object for each image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy import exc

from activesel.catalog import tables as t
from activesel.ids import IdArray, find_ids, pack_ids, unpack_ids
from activesel.records import IntArray

_PART_ROWS = 65536  # rows fetched at a time: their Python objects are gone before the next come
IN_VALUES = 500  # values in one IN (...); databases limit their number


@dataclass(frozen=True)
class Texts:
    """n texts in one piece. content: UTF-8. starts, lengths: (n,) int64, where each lies in it, in bytes."""

    content: bytes
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, rows: IntArray) -> list[bytes]:
        """Return some of the texts, as UTF-8."""
        starts = self.starts[rows]
        spans = zip(starts.tolist(), (starts + self.lengths[rows]).tolist(), strict=True)
        return [self.content[start:end] for start, end in spans]


def first_paths(source: str | None) -> sa.Select[Any]:
    """Select (image_id, path), the first path by name that each image has, in ``source`` or anywhere."""
    query = sa.select(t.files.c.image_id, sa.func.min(t.files.c.path).label("path")).group_by(t.files.c.image_id)
    return query if source is None else query.where(t.files.c.path.in_(_seen_in(source)))


def read_ids(connection: sa.Connection, source: str | None) -> IdArray:
    """Return the ids of all images that have a file, in ``source`` or anywhere: (n, 16), ascending."""
    query = sa.select(t.files.c.image_id).distinct().order_by(t.files.c.image_id)
    if source is not None:
        query = query.where(t.files.c.path.in_(_seen_in(source)))
    parts = [pack_ids(ids) for (ids,) in _read_parts(connection, query)]
    return np.concatenate([np.empty((0, 16), np.uint8), *parts])


def read_first_paths(connection: sa.Connection, source: str | None, ids: IdArray) -> Texts:
    """Return the first path of every id (n, 16), which ascend; one that is gone by now has an empty path."""
    starts, lengths, parts, n_bytes = np.zeros(len(ids), np.int64), np.zeros(len(ids), np.int64), [], 0
    for part_ids, paths in _read_parts(connection, first_paths(source).order_by(t.files.c.image_id)):
        at = find_ids(ids, pack_ids(part_ids))
        content = ("\0".join(paths) + "\0").encode()  # no path holds a zero
        ends = np.flatnonzero(np.frombuffer(content, np.uint8) == 0)
        begins = np.concatenate(([0], ends[:-1] + 1))
        starts[at[at >= 0]] = (begins + n_bytes)[at >= 0]
        lengths[at[at >= 0]] = (ends - begins)[at >= 0]
        parts.append(content)
        n_bytes += len(content)
    return Texts(b"".join(parts), starts, lengths)


def read_details(connection: sa.Connection, source: str | None, ids: IdArray) -> Iterator[Any]:
    """Yield (image_id, path, width_px, height_px, format, meta as JSON) of each id that is there, in no order."""
    texts = unpack_ids(ids)
    for start in range(0, len(texts), IN_VALUES):
        part = texts[start : start + IN_VALUES]
        first = first_paths(source).where(t.files.c.image_id.in_(part)).subquery()
        columns = (t.images.c.image_id, first.c.path, t.images.c.width_px, t.images.c.height_px, t.images.c.format)
        query = sa.select(*columns, t.images.c.meta).join(first, first.c.image_id == t.images.c.image_id)
        yield from connection.execute(query)


def read_metadata(connection: sa.Connection, ids: IdArray) -> Iterator[tuple[npt.NDArray[np.int64], list[str]]]:
    """Yield (rows of ``ids``, their metadata as JSON), part by part, in the order in which the table lies on disk."""
    for part_ids, texts in _read_parts(connection, sa.select(t.images.c.image_id, t.images.c.meta)):
        at = find_ids(ids, pack_ids(part_ids))
        kept = np.flatnonzero(at >= 0)
        yield at[kept], list(texts) if len(kept) == len(texts) else [texts[i] for i in kept.tolist()]


def _seen_in(source: str) -> sa.Select[Any]:
    return sa.select(t.sightings.c.path).join(t.sources).where(t.sources.c.name == source)


def _read_parts(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[tuple[Sequence[Any], ...]]:
    """Yield the answer's columns, some tens of thousands of rows at a time.

    As the driver's tuples: to make SQLAlchemy's rows of a million of them takes three times as long as to read them.
    """
    compiled = query.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
    names = compiled.positiontup  # None where the driver takes its values by name
    values = compiled.params if names is None else [compiled.params[name] for name in names]
    cursor = connection.connection.cursor()
    try:
        for rows in _fetch_parts(cursor, str(compiled), values, on_server=connection.dialect.name == "postgresql"):
            yield tuple([row[i] for row in rows] for i in range(len(rows[0])))  # zip(*rows) would make an iterator each
    except connection.dialect.loaded_dbapi.Error as error:
        raise exc.DatabaseError(str(compiled), None, error) from error
    finally:
        cursor.close()


def _fetch_parts(cursor: Any, statement: str, values: Any, *, on_server: bool) -> Iterator[Sequence[Any]]:
    """SQLite hands out rows as it finds them; PostgreSQL's drivers read all, unless a cursor lies on the server."""
    if not on_server:
        cursor.execute(statement, values)
        while rows := cursor.fetchmany(_PART_ROWS):
            yield rows
        return
    cursor.execute(f"DECLARE activesel_rows NO SCROLL CURSOR FOR {statement}", values)
    while True:
        cursor.execute(f"FETCH {_PART_ROWS} FROM activesel_rows")
        if not (rows := cursor.fetchall()):
            break
        yield rows
    cursor.execute("CLOSE activesel_rows")
