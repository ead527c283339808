"""Questions and answers about images, in transactions. Decides nothing and reads no image."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import sqlalchemy as sa

from activesel.catalog import tables as t
from activesel.catalog.connection import connect, translate_errors
from activesel.errors import DataError
from activesel.records import ImageRow, Label, Quarantined

KINDS = ("train", "explore", "evaluation")
_CHUNK = 500  # values in one IN (...); databases limit their number


class FileStamp(NamedTuple):
    """What tells a file that has changed from one that has not."""

    n_bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class Batch:
    """One batch as it was drawn. kinds: per image one of train, explore, evaluation."""

    batch_id: str
    created: str
    image_ids: tuple[str, ...]
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Counts:
    n_images: int  # distinct contents that have a file
    n_files: int
    n_labelled: int
    n_quarantined: int
    n_batches: int
    n_evaluation: int


class Catalog:
    """The workspace's memory. Use as a context manager; every method that writes is one transaction."""

    def __init__(self, engine: sa.Engine, path: Path) -> None:
        self._engine = engine
        self._path = path

    @classmethod
    def open(cls, path: Path) -> Catalog:
        """Open the catalog, making an empty one where there is none.

        Raises:
            DataError: the file is damaged, no catalog, or of a newer activesel. UnreachableError: it cannot be written.
        """
        return cls(connect(path), path)

    def __enter__(self) -> Catalog:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        with translate_errors(self._path), self._engine.begin() as connection:
            yield connection

    def _fetch(self, query: sa.Select[*tuple[Any, ...]]) -> Sequence[Any]:
        with self._transaction() as connection:
            return connection.execute(query).all()

    # Images and their files

    def add_images(self, rows: Sequence[tuple[ImageRow, FileStamp]], source: str) -> int:
        """Record files and the images in them; return how many images are new.

        Adding a file again changes nothing; a path with another content moves to that image; a file that was in
        quarantine leaves it. Metadata of one image is merged: of two values the later one that is not empty counts.
        """
        with self._transaction() as connection:
            n_new = _add_image_rows(connection, [row for row, _ in rows])
            files = {row.path: _file_values(row, stamp) for row, stamp in rows}
            _delete_paths(connection, (t.files, t.quarantine), files)
            _insert(connection, t.files, list(files.values()))
            _add_sightings(connection, source, files)
        return n_new

    def see_again(self, meta_by_path: Mapping[str, Mapping[str, str]], source: str) -> None:
        """Record that known, unchanged files are in ``source`` too, and merge what it says about them."""
        with self._transaction() as connection:
            _add_sightings(connection, source, meta_by_path)
            telling = [path for path, meta in meta_by_path.items() if any(meta.values())]
            ids = dict(_select_in(connection, sa.select(t.files.c.path, t.files.c.image_id), t.files.c.path, telling))
            known = _meta_of(connection, ids.values())
            _update_meta(connection, known, [(ids[path], meta_by_path[path]) for path in telling])

    def known_files(self) -> dict[str, FileStamp]:
        """Return the stamp of every file that is in use, by path; the quarantined are not among them."""
        query = sa.select(t.files.c.path, t.files.c.n_bytes, t.files.c.mtime_ns)
        return {path: FileStamp(n_bytes, mtime_ns) for path, n_bytes, mtime_ns in self._fetch(query)}

    def images(self, source: str | None = None) -> list[ImageRow]:
        """Return the images of one source, or all, sorted by id; each with the first of its paths there by name."""
        first_path = sa.select(t.files.c.image_id, sa.func.min(t.files.c.path).label("path")).group_by(
            t.files.c.image_id
        )
        if source is not None:
            seen = sa.select(t.sightings.c.path).join(t.sources).where(t.sources.c.name == source)
            first_path = first_path.where(t.files.c.path.in_(seen))
        first = first_path.subquery()
        columns = (t.images.c.image_id, first.c.path, t.images.c.width_px, t.images.c.height_px, t.images.c.format)
        query = sa.select(*columns, t.images.c.meta).join(first, first.c.image_id == t.images.c.image_id)
        parsed: dict[str, dict[str, str]] = {}  # few distinct texts stand for many images
        found = []
        for image_id, path, width_px, height_px, kind, meta in self._fetch(query.order_by(t.images.c.image_id)):
            if meta not in parsed:
                parsed[meta] = json.loads(meta)
            found.append(ImageRow(image_id, path, width_px, height_px, kind, parsed[meta]))
        return found

    def paths_of(self, image_id: str) -> list[str]:
        query = sa.select(t.files.c.path).where(t.files.c.image_id == image_id).order_by(t.files.c.path)
        return [path for (path,) in self._fetch(query)]

    def resolve(self) -> dict[str, str]:
        """Return the image id of every path."""
        return dict(self._fetch(sa.select(t.files.c.path, t.files.c.image_id)))

    # Quarantine

    def add_quarantined(self, rows: Sequence[Quarantined], source: str) -> None:
        """Set files aside; what was known under their paths is no longer there."""
        by_path = {row.path: {"path": row.path, "reason": row.reason, "detail": row.detail} for row in rows}
        with self._transaction() as connection:
            _delete_paths(connection, (t.files, t.quarantine), by_path)
            _insert(connection, t.quarantine, list(by_path.values()))
            _add_sightings(connection, source, by_path)

    def quarantined(self) -> list[Quarantined]:
        """Return the files set aside, sorted by path."""
        columns = t.quarantine.c
        query = sa.select(columns.path, columns.reason, columns.detail).order_by(columns.path)
        return [Quarantined(*row) for row in self._fetch(query)]

    # Labels

    def add_labels(self, labels: Sequence[Label]) -> None:
        """Record labels; one from the same source about the same image is replaced. Their images must be known."""
        by_key = {(label.image_id, label.source): label for label in labels}
        keys = [{"an_id": image_id, "a_source": source} for image_id, source in by_key]
        same = (t.labels.c.image_id == sa.bindparam("an_id")) & (t.labels.c.source == sa.bindparam("a_source"))
        rows = [{"image_id": one.image_id, "name": one.name, "source": one.source} for one in by_key.values()]
        with self._transaction() as connection:
            if keys:
                connection.execute(sa.delete(t.labels).where(same), keys)
            _insert(connection, t.labels, rows)

    def labels(self) -> dict[str, Label]:
        """Return one label per labelled image, the last one added, sorted by image id."""
        columns = t.labels.c
        query = sa.select(columns.image_id, columns.name, columns.source).order_by(columns.label_id)
        newest = {row.image_id: Label(*row) for row in self._fetch(query)}
        return dict(sorted(newest.items()))

    # Batches

    def add_batch(self, batch_id: str, image_ids: Sequence[str], kinds: Sequence[str], created: str) -> None:
        """Record a batch. kinds: per image one of train, explore, evaluation. The same batch again changes nothing.

        Raises:
            DataError: another batch has this id.
        """
        assert set(kinds) <= set(KINDS), f"kinds {sorted(set(kinds) - set(KINDS))}"
        batch = Batch(batch_id, created, tuple(image_ids), tuple(kinds))
        known = {one.batch_id: one for one in self.batches()}.get(batch_id)
        if known is not None and (known.image_ids, known.kinds) != (batch.image_ids, batch.kinds):
            raise DataError(
                f"there is another batch {batch_id}", where=str(self._path), hint="give this one another name"
            )
        if known is not None:
            return
        picks = [
            {"batch_id": batch_id, "rank": rank, "image_id": image_id, "kind": kind}
            for rank, (image_id, kind) in enumerate(zip(image_ids, kinds, strict=True))
        ]
        with self._transaction() as connection:
            _insert(connection, t.batches, [{"batch_id": batch_id, "created": created}])
            _insert(connection, t.picks, picks)

    def batches(self) -> list[Batch]:
        """Return every batch, sorted by the moment it was made."""
        query = sa.select(t.picks.c.batch_id, t.picks.c.image_id, t.picks.c.kind)
        members: dict[str, list[tuple[str, str]]] = {}
        for batch_id, image_id, kind in self._fetch(query.order_by(t.picks.c.batch_id, t.picks.c.rank)):
            members.setdefault(batch_id, []).append((image_id, kind))
        found = []
        for batch_id, created in self._fetch(sa.select(t.batches).order_by(t.batches.c.created, t.batches.c.batch_id)):
            picks = members.get(batch_id, [])
            found.append(Batch(batch_id, created, tuple(i for i, _ in picks), tuple(kind for _, kind in picks)))
        return found

    def evaluation_ids(self) -> set[str]:
        """Return the images once drawn to measure the model; they never train or steer it."""
        query = sa.select(t.picks.c.image_id).where(t.picks.c.kind == "evaluation")
        return {image_id for (image_id,) in self._fetch(query)}

    def counts(self) -> Counts:
        def count(column: sa.ColumnElement[Any]) -> sa.ScalarSelect[int]:
            return sa.select(sa.func.count(sa.distinct(column))).scalar_subquery()

        evaluation = sa.select(sa.func.count(sa.distinct(t.picks.c.image_id))).where(t.picks.c.kind == "evaluation")
        columns = (t.files.c.image_id, t.files.c.path, t.labels.c.image_id, t.quarantine.c.path, t.batches.c.batch_id)
        (row,) = self._fetch(sa.select(*map(count, columns), evaluation.scalar_subquery()))
        return Counts(*row)


def _insert(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:  # SQLAlchemy takes an empty list for one row of defaults
        connection.execute(sa.insert(table), rows)


def _select_in(
    connection: sa.Connection, query: sa.Select[Any], column: sa.Column[Any], values: Iterable[str]
) -> Iterator[Any]:
    wanted = sorted(set(values))
    for start in range(0, len(wanted), _CHUNK):
        yield from connection.execute(query.where(column.in_(wanted[start : start + _CHUNK])))


def _delete_paths(connection: sa.Connection, tables: Iterable[sa.Table], paths: Iterable[str]) -> None:
    keys = [{"a_path": path} for path in paths]
    for table in tables if keys else ():
        connection.execute(sa.delete(table).where(table.c.path == sa.bindparam("a_path")), keys)


def _file_values(row: ImageRow, stamp: FileStamp) -> dict[str, str | int]:
    return {"path": row.path, "image_id": row.image_id, "n_bytes": stamp.n_bytes, "mtime_ns": stamp.mtime_ns}


def _add_image_rows(connection: sa.Connection, rows: Sequence[ImageRow]) -> int:
    known = _meta_of(connection, (row.image_id for row in rows))
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
    _insert(connection, t.images, values)
    _update_meta(connection, {**known, **dict.fromkeys(new, "{}")}, [(row.image_id, row.meta) for row in rows])
    return len(new)


def _meta_of(connection: sa.Connection, image_ids: Iterable[str]) -> dict[str, str]:
    query = sa.select(t.images.c.image_id, t.images.c.meta)
    return dict(_select_in(connection, query, t.images.c.image_id, image_ids))


def _update_meta(
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


def _add_sightings(connection: sa.Connection, source: str, paths: Iterable[str]) -> None:
    find = sa.select(t.sources.c.source_id).where(t.sources.c.name == source)
    source_id = connection.scalar(find)
    if source_id is None:
        connection.execute(sa.insert(t.sources), {"name": source})
        source_id = connection.scalar(find)
    wanted = list(paths)
    query = sa.select(t.sightings.c.path).where(t.sightings.c.source_id == source_id)
    seen = {path for (path,) in _select_in(connection, query, t.sightings.c.path, wanted)}
    _insert(connection, t.sightings, [{"source_id": source_id, "path": path} for path in wanted if path not in seen])
