"""The statements that Catalog's transactions consist of; each is part of one, none is one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from activesel.catalog import tables as t
from activesel.catalog.listing import IN_VALUES
from activesel.records import ImageRow


class FileStamp(NamedTuple):
    """What tells a file that has changed from one that has not."""

    n_bytes: int
    mtime_ns: int


def insert(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:  # SQLAlchemy takes an empty list for one row of defaults
        connection.execute(sa.insert(table), rows)


def select_in(
    connection: sa.Connection, query: sa.Select[Any], column: sa.Column[Any], values: Iterable[str]
) -> Iterator[Any]:
    wanted = sorted(set(values))
    for start in range(0, len(wanted), IN_VALUES):
        # All of so few at once: fetched one by one, rows take twice the time.
        yield from connection.execute(query.where(column.in_(wanted[start : start + IN_VALUES]))).all()


def delete_paths(connection: sa.Connection, tables: Iterable[sa.Table], paths: Iterable[str]) -> None:
    gone = sorted(paths)
    for table in tables:
        for start in range(0, len(gone), IN_VALUES):
            connection.execute(sa.delete(table).where(table.c.path.in_(gone[start : start + IN_VALUES])))


def file_values(row: ImageRow, stamp: FileStamp) -> dict[str, str | int]:
    return {"path": row.path, "image_id": row.image_id, "n_bytes": stamp.n_bytes, "mtime_ns": stamp.mtime_ns}


def add_image_rows(connection: sa.Connection, rows: Sequence[ImageRow]) -> int:
    known = meta_of(connection, (row.image_id for row in rows))
    new = {row.image_id: row for row in rows if row.image_id not in known}
    values = [
        {
            "image_id": row.image_id,
            "width_px": row.width_px,
            "height_px": row.height_px,
            "format": row.format,
            "meta": "{}",
        }
        for row in new.values()
    ]
    insert(connection, t.images, values)
    update_meta(connection, {**known, **dict.fromkeys(new, "{}")}, [(row.image_id, row.meta) for row in rows])
    return len(new)


def meta_of(connection: sa.Connection, image_ids: Iterable[str]) -> dict[str, str]:
    query = sa.select(t.images.c.image_id, t.images.c.meta)
    return dict(select_in(connection, query, t.images.c.image_id, image_ids))


def update_meta(
    connection: sa.Connection, known: Mapping[str, str], later: Iterable[tuple[str, Mapping[str, str]]]
) -> None:
    """Merge in order, and write only what has changed."""
    merged: dict[str, dict[str, str]] = {}
    for image_id, meta in later:
        if any(meta.values()):
            merged.setdefault(image_id, json.loads(known[image_id])).update({k: v for k, v in meta.items() if v})
    texts = {image_id: json.dumps(meta, sort_keys=True, ensure_ascii=False) for image_id, meta in merged.items()}
    changed = [{"an_id": image_id, "a_meta": text} for image_id, text in texts.items() if text != known[image_id]]
    if changed:
        update = sa.update(t.images).where(t.images.c.image_id == sa.bindparam("an_id"))
        connection.execute(update.values(meta=sa.bindparam("a_meta")), changed)


def add_sightings(connection: sa.Connection, source: str, paths: Iterable[str]) -> None:
    find = sa.select(t.sources.c.source_id).where(t.sources.c.name == source)
    source_id = connection.scalar(find)
    if source_id is None:
        connection.execute(sa.insert(t.sources), {"name": source})
        source_id = connection.scalar(find)
    wanted = list(paths)
    query = sa.select(t.sightings.c.path).where(t.sightings.c.source_id == source_id)
    seen = {path for (path,) in select_in(connection, query, t.sightings.c.path, wanted)}
    insert(connection, t.sightings, [{"source_id": source_id, "path": path} for path in wanted if path not in seen])
