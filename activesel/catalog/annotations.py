"""Opinions as they came, what is wanted of people, and what counts at present."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from activesel.annotations import Annotation, LabelState, Resolution, Role, Task, shapes_from_json, shapes_to_json
from activesel.catalog import tables as t
from activesel.catalog.writing import insert, select_in

_ROLES = {role.value: role for role in Role}
RESOLVED = "resolved"  # the source under which what counts lies among the labels, where selection and training look
_Transaction = Callable[[], AbstractContextManager[sa.Connection]]
# From all opinions about some images, oldest first, and what counts for them, what shall count.
Settle = Callable[[Sequence[Annotation], Mapping[str, Resolution]], Sequence[Resolution]]
_FIELDS = ("image_id", "annotator", "name", "skipped", "created", "lead_time_s", "score", "guideline", "prelabel",
           "source", "external_id", "note")  # fmt: skip


@dataclass(frozen=True)
class Added:
    """What one import brought. n_changed: opinions known by their id in the tool that read otherwise before."""

    n_new: int
    n_changed: int
    n_known: int


def is_open(present: Resolution | None) -> bool:
    """Tell whether nothing counts yet for an image, nor was anything weighed."""
    return present is None or (present.name is None and present.confidence is None)


class Annotations:
    """Reached as ``catalog.annotations``; every method that writes is one transaction."""

    def __init__(self, reading: _Transaction, writing: _Transaction) -> None:
        self._transaction = reading
        self._writing = writing

    def add(self, annotations: Sequence[Annotation], settle: Settle | None = None) -> Added:
        """Record opinions about known images, all or none; what is known already changes nothing.

        settle: decides in the same transaction what counts for the images of which something new was said, or nothing
        counted; the others stay as they are, so that the same opinions again undo nothing that came after them.
        """
        by_key = {one.key: one for one in annotations}
        with self._writing() as connection:
            known = self._read(connection, t.opinions.c.key, by_key)
            changed = [key for key, one in known.items() if by_key[key] != one]
            keys = [{"a_key": key} for key in changed]
            if keys:
                connection.execute(sa.delete(t.opinions).where(t.opinions.c.key == sa.bindparam("a_key")), keys)
            fresh = [key for key in by_key if key not in known]
            insert(connection, t.opinions, [_to_row(key, by_key[key]) for key in [*fresh, *changed]])
            if settle is not None:
                self._settle(connection, by_key, {*fresh, *changed}, settle)
        return Added(len(fresh), len(changed), len(known) - len(changed))

    def _settle(
        self, connection: sa.Connection, by_key: Mapping[str, Annotation], told: Collection[str], settle: Settle
    ) -> None:
        present = self._resolutions(connection, {one.image_id for one in by_key.values()})
        touched = {one.image_id for key, one in by_key.items() if key in told or is_open(present.get(one.image_id))}
        opinions = list(self._read(connection, t.opinions.c.image_id, touched).values())
        found = settle(opinions, {image_id: present[image_id] for image_id in touched if image_id in present})
        self._resolve(connection, {one.image_id: one for one in found if one != present.get(one.image_id)})

    def read(self, image_ids: Iterable[str] | None = None, *, role: Role | None = None) -> list[Annotation]:
        """Return all opinions, or those about these images, of this role, in the order in which they were recorded."""
        with self._transaction() as connection:
            found = self._read(connection, t.opinions.c.image_id, image_ids, role)
        return list(found.values())

    def _read(
        self, connection: sa.Connection, column: sa.Column[Any], values: Iterable[str] | None,
        role: Role | None = None,
    ) -> dict[str, Annotation]:  # fmt: skip
        query: sa.Select[Any] = sa.select(t.opinions)
        query = query if role is None else query.where(t.opinions.c.role == role.value)
        found = select_in(connection, query, column, values) if values is not None else iter(connection.execute(query))
        rows = sorted(map(tuple, found), key=itemgetter(0))
        return {row[1]: _from_row(row) for row in rows}

    def resolve(self, resolutions: Sequence[Resolution], *, keep: Collection[LabelState] = ()) -> None:
        """Record what counts for these images from now on, and let selection and training see it.

        A name that counts is the newest of the image's labels; one that is rejected, or none, is no label. keep: states
        in which an image stays as it is, whoever brought it there meanwhile.
        """
        with self._writing() as connection:
            columns = (t.resolutions.c.image_id, t.resolutions.c.state)
            kept = ({row.image_id for row in select_in(connection, sa.select(*columns), columns[0],
                                                       [one.image_id for one in resolutions]) if row.state in keep}
                    if keep else set())  # fmt: skip
            self._resolve(connection, {one.image_id: one for one in resolutions if one.image_id not in kept})

    def _resolve(self, connection: sa.Connection, by_image: dict[str, Resolution]) -> None:
        keys = [{"an_id": image_id} for image_id in by_image]
        rows = [{"image_id": one.image_id, "name": one.name, "state": one.state.value, "confidence": one.confidence,
                 "decided_by": one.by} for one in by_image.values()]  # fmt: skip
        counting = [one for one in by_image.values() if one.name is not None and one.state is not LabelState.rejected]
        if keys:
            for table, more in ((t.resolutions, sa.true()), (t.labels, t.labels.c.source == RESOLVED)):
                same = table.c.image_id == sa.bindparam("an_id")
                connection.execute(sa.delete(table).where(same & more), keys)
        insert(connection, t.resolutions, rows)
        labels = [{"image_id": one.image_id, "name": one.name, "source": RESOLVED} for one in counting]
        insert(connection, t.labels, labels)

    def resolutions(self, image_ids: Iterable[str] | None = None) -> dict[str, Resolution]:
        """Return what counts, of all images or of these, by image id, ascending."""
        with self._transaction() as connection:
            return self._resolutions(connection, image_ids)

    def _resolutions(self, connection: sa.Connection, image_ids: Iterable[str] | None) -> dict[str, Resolution]:
        query: sa.Select[Any] = sa.select(t.resolutions)
        column = t.resolutions.c.image_id
        rows = iter(connection.execute(query)) if image_ids is None else select_in(connection, query, column, image_ids)
        found = {row.image_id: Resolution(row.image_id, row.name, LabelState(row.state), row.confidence, row.decided_by)
                 for row in rows}  # fmt: skip
        return dict(sorted(found.items()))

    def assign(self, batch_id: str, tasks: Sequence[Task]) -> None:
        """Record what is wanted about a batch's images, instead of what was wanted before."""
        assert all(task.batch_id == batch_id for task in tasks), "tasks of another batch"
        rows = [{"batch_id": batch_id, "image_id": task.image_id, "route": task.route, "n_wanted": task.n_wanted,
                 "overlap": task.overlap, "gold": task.gold, "prelabel": task.prelabel} for task in tasks]  # fmt: skip
        with self._writing() as connection:
            connection.execute(sa.delete(t.tasks).where(t.tasks.c.batch_id == batch_id))
            insert(connection, t.tasks, rows)

    def tasks(self, batch_id: str | None = None) -> list[Task]:
        """Return what is wanted of one batch, or of all, in the order in which it was recorded."""
        query = sa.select(t.tasks).order_by(t.tasks.c.task_id)
        with self._transaction() as connection:
            rows = connection.execute(query if batch_id is None else query.where(t.tasks.c.batch_id == batch_id)).all()
        return [Task(row.batch_id, row.image_id, row.route, row.n_wanted, row.overlap, row.gold, row.prelabel)
                for row in rows]  # fmt: skip


def _to_row(key: str, one: Annotation) -> dict[str, Any]:
    fields = {name: getattr(one, name) for name in _FIELDS}
    return {"key": key, "role": one.role.value, "shapes": shapes_to_json(one.shapes), **fields}


def _from_row(row: tuple[Any, ...]) -> Annotation:
    """Read a whole row by place, as the table has its columns: of a hundred thousand, names take much of the time."""
    (_, _, image_id, annotator, role, name, shapes, skipped, created, lead_time_s, score, guideline, prelabel, source,
     external_id, note) = row  # fmt: skip
    return Annotation(image_id, annotator, _ROLES[role], name, shapes_from_json(shapes), skipped, created, lead_time_s,
                      score, guideline, prelabel, source, external_id, note)  # fmt: skip
