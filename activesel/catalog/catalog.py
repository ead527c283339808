"""Questions and answers about images, in transactions. Decides nothing and reads no image."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import numpy as np
import sqlalchemy as sa

from activesel.annotations import LabelState
from activesel.catalog import tables as t
from activesel.catalog.annotations import Annotations
from activesel.catalog.answers import Counts, LabelColumns
from activesel.catalog.batches import Batches
from activesel.catalog.connection import connect, translate_errors
from activesel.catalog.events import Events
from activesel.catalog.images import Images, make_column, order_column
from activesel.catalog.listing import first_paths, read_ids
from activesel.catalog.models import Models
from activesel.catalog.server import wait_for_writers
from activesel.catalog.watching import Watching
from activesel.catalog.writing import (
    FileStamp,
    add_image_rows,
    add_sightings,
    delete_paths,
    file_values,
    insert,
    meta_of,
    select_in,
    update_meta,
)
from activesel.ids import IdArray, pack_ids, sort_ids, unique_ids
from activesel.records import CatalogPlace, ImageRow, Label, Quarantined


class Catalog:
    """The workspace's memory. Use as a context manager; every method that writes is one transaction."""

    def __init__(self, engine: sa.Engine, place: CatalogPlace) -> None:
        self._engine = engine
        self._place = place

    @classmethod
    def open(cls, place: CatalogPlace) -> Catalog:
        """Open the catalog, a file or on a server, making an empty one where there is none.

        Raises:
            DataError: it is damaged, no catalog, or of a newer activesel. UnreachableError: it cannot be used.
        """
        return cls(connect(place), place)

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
        with translate_errors(self._place), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._transaction() as connection:
            wait_for_writers(connection)
            yield connection

    def _fetch(self, query: sa.Select[*tuple[Any, ...]]) -> Sequence[Any]:
        with self._transaction() as connection:
            return connection.execute(query).all()

    @property
    def annotations(self) -> Annotations:
        """Opinions about images, what is wanted of people, and what counts."""
        return Annotations(self._transaction, self._writing)

    @property
    def batches(self) -> Batches:
        """What was picked to be labelled."""
        return Batches(self._transaction, self._writing, str(self._place))

    @property
    def models(self) -> Models:
        """Trained models, their aliases, and what was decided about them."""
        return Models(self._transaction, self._writing)

    @property
    def watching(self) -> Watching:
        """What the monitors ask."""
        return Watching(self._transaction)

    @property
    def events(self) -> Events:
        """What the line reported, and what came as an event and is none."""
        return Events(self._transaction, self._writing)

    # Images and their files

    def add_images(self, rows: Sequence[tuple[ImageRow, FileStamp]], source: str) -> int:
        """Record files and the images in them; return how many images are new.

        Adding a file again changes nothing; a path with another content moves to that image; a file that was in
        quarantine leaves it. Metadata of one image is merged: of two values the later one that is not empty counts.
        """
        with self._writing() as connection:
            n_new = add_image_rows(connection, [row for row, _ in rows])
            files = {row.path: file_values(row, stamp) for row, stamp in rows}
            delete_paths(connection, (t.files, t.quarantine), files)
            insert(connection, t.files, list(files.values()))
            add_sightings(connection, source, files)
        return n_new

    def see_again(self, meta_by_path: Mapping[str, Mapping[str, str]], source: str) -> None:
        """Record that known, unchanged files are in ``source`` too, and merge what it says about them."""
        with self._writing() as connection:
            add_sightings(connection, source, meta_by_path)
            telling = [path for path, meta in meta_by_path.items() if any(meta.values())]
            ids = dict(select_in(connection, sa.select(t.files.c.path, t.files.c.image_id), t.files.c.path, telling))
            known = meta_of(connection, ids.values())
            update_meta(connection, known, [(ids[path], meta_by_path[path]) for path in telling])

    def known_files(self) -> dict[str, FileStamp]:
        """Return the stamp of every file that is in use, by path; the quarantined are not among them."""
        query = sa.select(t.files.c.path, t.files.c.n_bytes, t.files.c.mtime_ns)
        return {path: FileStamp(n_bytes, mtime_ns) for path, n_bytes, mtime_ns in self._fetch(query)}

    def list_images(self, source: str | None = None) -> Images:
        """Return the images of one source, or all, as columns: what a pool of millions is read by."""
        with self._transaction() as connection:
            return Images(self._place, source, read_ids(connection, source))

    def images(self, source: str | None = None) -> list[ImageRow]:
        """Return the images of one source, or all, sorted by id; each with the first of its paths there by name."""
        first = first_paths(source).subquery()
        columns = (t.images.c.image_id, first.c.path, t.images.c.width_px, t.images.c.height_px, t.images.c.format)
        query = sa.select(*columns, t.images.c.meta).join(first, first.c.image_id == t.images.c.image_id)
        parsed: dict[str, dict[str, str]] = {}  # few distinct texts stand for many images
        found = []
        for image_id, path, width_px, height_px, kind, meta in self._fetch(query.order_by(t.images.c.image_id)):
            if meta not in parsed:
                parsed[meta] = json.loads(meta)
            found.append(ImageRow(image_id, path, width_px, height_px, kind, parsed[meta]))
        return found

    def sizes_of(self, image_ids: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Return width and height in pixels of each of these images that is known."""
        columns = t.images.c
        query = sa.select(columns.image_id, columns.width_px, columns.height_px)
        with self._transaction() as connection:
            return {row[0]: (row[1], row[2]) for row in select_in(connection, query, columns.image_id, image_ids)}

    def paths_of(self, image_id: str) -> list[str]:
        query = sa.select(t.files.c.path).where(t.files.c.image_id == image_id).order_by(t.files.c.path)
        return [path for (path,) in self._fetch(query)]

    def image_at(self, path: str) -> str | None:
        """Return the image id of one path, None where the catalog has no such file."""
        with self._transaction() as connection:
            found = connection.scalar(sa.select(t.files.c.image_id).where(t.files.c.path == path))
        return None if found is None else str(found)

    def resolve(self) -> dict[str, str]:
        """Return the image id of every path."""
        return dict(self._fetch(sa.select(t.files.c.path, t.files.c.image_id)))

    # Quarantine

    def add_quarantined(self, rows: Sequence[Quarantined], source: str) -> None:
        """Set files aside; what was known under their paths is no longer there."""
        by_path = {row.path: {"path": row.path, "reason": row.reason, "detail": row.detail} for row in rows}
        with self._writing() as connection:
            delete_paths(connection, (t.files, t.quarantine), by_path)
            insert(connection, t.quarantine, list(by_path.values()))
            add_sightings(connection, source, by_path)

    def quarantined(self, most: int | None = None) -> list[Quarantined]:
        """Return the files set aside, sorted by path, the first ``most`` where that is given."""
        columns = t.quarantine.c
        query = sa.select(columns.path, columns.reason, columns.detail).order_by(columns.path).limit(most)
        return [Quarantined(*row) for row in self._fetch(query)]

    def quarantine_counts(self) -> dict[str, int]:
        """Count the files set aside by reason, the most frequent first."""
        reason, number = t.quarantine.c.reason, sa.func.count()
        query = sa.select(reason, number).group_by(reason).order_by(number.desc(), reason)
        return dict(self._fetch(query))

    # Labels

    def add_labels(self, labels: Sequence[Label]) -> None:
        """Record labels; one from the same source about the same image is replaced. Their images must be known."""
        by_key = {(label.image_id, label.source): label for label in labels}
        keys = [{"an_id": image_id, "a_source": source} for image_id, source in by_key]
        same = (t.labels.c.image_id == sa.bindparam("an_id")) & (t.labels.c.source == sa.bindparam("a_source"))
        rows = [{"image_id": one.image_id, "name": one.name, "source": one.source} for one in by_key.values()]
        with self._writing() as connection:
            if keys:
                connection.execute(sa.delete(t.labels).where(same), keys)
            insert(connection, t.labels, rows)

    def labels(self) -> dict[str, Label]:
        """Return one label per labelled image, the last one added, sorted by image id."""
        columns = t.labels.c
        query = sa.select(columns.image_id, columns.name, columns.source).order_by(columns.label_id)
        newest = {row.image_id: Label(*row) for row in self._fetch(query)}
        return dict(sorted(newest.items()))

    def labels_of(self, image_ids: Iterable[str]) -> dict[str, str]:
        """Return the label of each of these images that has one."""
        columns = t.labels.c
        query = sa.select(columns.image_id, columns.name, columns.label_id)
        with self._transaction() as connection:
            rows = sorted(select_in(connection, query, columns.image_id, image_ids), key=lambda row: row.label_id)
        return {row.image_id: row.name for row in rows}

    def label_columns(self) -> LabelColumns:
        """Return one label per labelled image, the last one added, as columns."""
        columns = t.labels.c
        rows = self._fetch(sa.select(columns.image_id, columns.name).order_by(columns.label_id))
        ids, column = pack_ids([row.image_id for row in rows]), make_column([row.name for row in rows])
        order = sort_ids(ids)
        newest = order[np.append((ids[order][1:] != ids[order][:-1]).any(axis=1), True)] if len(order) else order
        column = order_column(column.codes[newest], column.values)  # a name that was only ever taken back is none
        return LabelColumns(ids[newest], column.codes, column.values)

    def weak_ids(self) -> IdArray:
        """Return the images whose label is from rules or a model: (w, 16), ascending. They train and never measure."""
        query = sa.select(t.resolutions.c.image_id).where(t.resolutions.c.state == LabelState.weak.value)
        return unique_ids(pack_ids([image_id for (image_id,) in self._fetch(query)]))

    def counts(self) -> Counts:
        def count(column: sa.ColumnElement[Any]) -> sa.ScalarSelect[int]:
            return sa.select(sa.func.count(sa.distinct(column))).scalar_subquery()

        evaluation = sa.select(sa.func.count(sa.distinct(t.picks.c.image_id))).where(t.picks.c.kind == "evaluation")
        columns = (t.files.c.image_id, t.files.c.path, t.labels.c.image_id, t.quarantine.c.path, t.batches.c.batch_id)
        (row,) = self._fetch(sa.select(*map(count, columns), evaluation.scalar_subquery()))
        return Counts(*row)
