"""Batches: the images that were picked to be labelled, in their order, and what each was picked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy as sa

from activesel.catalog import tables as t
from activesel.catalog.answers import Batch, BatchCounts
from activesel.catalog.writing import insert
from activesel.errors import DataError
from activesel.ids import IdArray, pack_ids, unique_ids

KINDS = ("train", "explore", "evaluation")
_Transaction = Callable[[], AbstractContextManager[sa.Connection]]


class Batches:
    """Reached as ``catalog.batches``; every method that writes is one transaction."""

    def __init__(self, reading: _Transaction, writing: _Transaction, where: str) -> None:
        self._transaction = reading
        self._writing = writing
        self._where = where

    def add(self, batch_id: str, image_ids: Sequence[str], kinds: Sequence[str], created: str) -> None:
        """Record a batch. kinds: per image one of train, explore, evaluation. The same batch again changes nothing.

        Raises:
            DataError: another batch has this id.
        """
        assert set(kinds) <= set(KINDS), f"kinds {sorted(set(kinds) - set(KINDS))}"
        if batch_id in self.ids():
            query = sa.select(t.picks.c.image_id, t.picks.c.kind).where(t.picks.c.batch_id == batch_id)
            known = [tuple(row) for row in self._fetch(query.order_by(t.picks.c.rank))]
            if known != list(zip(image_ids, kinds, strict=True)):
                raise DataError(
                    f"there is another batch {batch_id}", where=self._where, hint="give this one another name"
                )
            return
        picks = [
            {"batch_id": batch_id, "rank": rank, "image_id": image_id, "kind": kind}
            for rank, (image_id, kind) in enumerate(zip(image_ids, kinds, strict=True))
        ]
        with self._writing() as connection:
            insert(connection, t.batches, [{"batch_id": batch_id, "created": created}])
            insert(connection, t.picks, picks)

    def read(self) -> list[Batch]:
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

    def ids(self) -> list[str]:
        """Return the name of every batch, sorted by the moment it was made."""
        order = (t.batches.c.created, t.batches.c.batch_id)
        return [batch_id for (batch_id,) in self._fetch(sa.select(t.batches.c.batch_id).order_by(*order))]

    def counts(self) -> list[BatchCounts]:
        """Count every batch's images, sorted by the moment it was made."""
        labelled = sa.select(t.labels.c.image_id).distinct().subquery()
        columns = (t.picks.c.batch_id, t.picks.c.kind, sa.func.count(), sa.func.count(labelled.c.image_id))
        query = sa.select(*columns).outerjoin_from(t.picks, labelled, labelled.c.image_id == t.picks.c.image_id)
        query = query.group_by(t.picks.c.batch_id, t.picks.c.kind).order_by(sa.func.min(t.picks.c.rank))
        of_batch: dict[str, list[tuple[str, int, int]]] = {}
        for batch_id, kind, n_picks, n_labelled in self._fetch(query):
            of_batch.setdefault(batch_id, []).append((kind, n_picks, n_labelled))
        found = []
        for batch_id, created in self._fetch(sa.select(t.batches).order_by(t.batches.c.created, t.batches.c.batch_id)):
            picks = of_batch.get(batch_id, [])
            by_kind = {kind: n_picks for kind, n_picks, _ in picks}
            found.append(BatchCounts(batch_id, created, by_kind, sum(n for _, _, n in picks)))
        return found

    def picked_ids(self, kind: str | None = None) -> IdArray:
        """Return the images of all batches, or of one kind of pick, each once: (p, 16), ascending.

        Those of kind evaluation were drawn to measure the model; they never train or steer it.
        """
        query = sa.select(t.picks.c.image_id)
        rows = self._fetch(query if kind is None else query.where(t.picks.c.kind == kind))
        return unique_ids(pack_ids([image_id for (image_id,) in rows]))

    def _fetch(self, query: sa.Select[*tuple[Any, ...]]) -> Sequence[Any]:
        with self._transaction() as connection:
            return connection.execute(query).all()
