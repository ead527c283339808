"""Opinions as they came, what is wanted of people, and what counts at present."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
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
_COUNTED = frozenset({LabelState.raw, LabelState.agreed})  # what people's opinions brought about
_FIELDS = ("image_id", "annotator", "name", "skipped", "created", "lead_time_s", "score", "guideline", "prelabel",
           "source", "external_id", "note")  # fmt: skip


@dataclass(frozen=True)
class Added:
    """What one import brought. n_changed: opinions known by their id in the tool that read otherwise before."""

    n_new: int
    n_changed: int
    n_known: int


@dataclass(frozen=True)
class Withdrawn:
    """An opinion that was taken back. at: UTC, ISO 8601. why: in words."""

    annotation: Annotation
    at: str
    why: str


def with_unsaid(one: Annotation, known: Annotation | None) -> Annotation:
    """Return an opinion that is read again, its guideline kept where only the former reading said it."""
    return one if known is None or one.guideline else replace(one, guideline=known.guideline)


def is_open(present: Resolution | None) -> bool:
    """Tell whether nothing counts yet for an image, nor was anything weighed."""
    return present is None or (present.name is None and present.confidence is None)


class Annotations:
    """Reached as ``catalog.annotations``; every method that writes is one transaction."""

    def __init__(self, reading: _Transaction, writing: _Transaction) -> None:
        self._transaction = reading
        self._writing = writing

    def add(self, annotations: Sequence[Annotation], settle: Settle | None = None, *, place: str = "") -> Added:
        """Record opinions about known images, all or none; what is known already changes nothing.

        settle: decides in the same transaction what counts for the images of which something new was said, or nothing
        counted; the others stay as they are, so that the same opinions again undo nothing that came after them.
        place: where they stand now, e.g. a tool's project; those that were withdrawn come back if they stand there
        again. An older file does not bring them back.
        """
        by_key = {one.key: one for one in annotations}
        with self._writing() as connection:
            gone = self._gone(connection, by_key)
            if place:
                self._note_place(connection, place, by_key)
                _delete(connection, t.withdrawn, t.withdrawn.c.key, gone)
            else:
                by_key = {key: one for key, one in by_key.items() if key not in gone}
            known = self._read(connection, t.opinions.c.key, by_key)
            by_key = {key: with_unsaid(one, known.get(key)) for key, one in by_key.items()}
            changed = [key for key, one in known.items() if by_key[key] != one]
            _delete(connection, t.opinions, t.opinions.c.key, changed)
            fresh = [key for key in by_key if key not in known]
            insert(connection, t.opinions, [_to_row(key, by_key[key]) for key in [*fresh, *changed]])
            if settle is not None:
                self._settle(connection, by_key, {*fresh, *changed}, settle)
        n_left_alone = 0 if place else len(gone)
        return Added(len(fresh), len(changed), len(known) - len(changed) + n_left_alone)

    def withdraw(self, keys: Collection[str], settle: Settle, *, at: str, why: str) -> int:
        """Count these opinions no more, but keep them; return how many there were. What an expert decided stays.

        settle: as for ``add``. An image of which nobody's opinion is left has no class. at: UTC, ISO 8601.
        """
        with self._writing() as connection:
            gone = self._read(connection, t.opinions.c.key, keys)
            rows = [{**_to_row(key, one), "withdrawn_at": at, "why": why} for key, one in gone.items()]
            _delete(connection, t.opinions, t.opinions.c.key, gone)
            _delete(connection, t.withdrawn, t.withdrawn.c.key, gone)
            insert(connection, t.withdrawn, rows)
            touched = {one.image_id for one in gone.values()}
            left = list(self._read(connection, t.opinions.c.image_id, touched).values())
            present = self._resolutions(connection, touched)
            found = {one.image_id: one for one in settle(left, present)}
            open_again = {image_id: Resolution(image_id, None, LabelState.raw) for image_id, one in present.items()
                          if image_id not in found and one.state in _COUNTED}  # fmt: skip
            self._resolve(connection, {key: one for key, one in {**open_again, **found}.items()
                                       if one != present.get(key)})  # fmt: skip
        return len(gone)

    def withdrawn(self) -> list[Withdrawn]:
        """Return every opinion that was taken back, in the order in which they were."""
        with self._transaction() as connection:
            rows = map(tuple, connection.execute(sa.select(t.withdrawn).order_by(t.withdrawn.c.withdrawn_id)))
            return [Withdrawn(_from_row(row[:-2]), *row[-2:]) for row in rows]

    def keys_at(self, place: str) -> dict[str, str]:
        """Return the image id of each opinion that stood in a place when it was read last and still counts, by key."""
        columns = (t.opinions.c.key, t.opinions.c.image_id)
        query = sa.select(*columns).join(t.answers, t.answers.c.key == t.opinions.c.key)
        with self._transaction() as connection:
            return {row.key: row.image_id for row in connection.execute(query.where(t.answers.c.place == place))}

    def _gone(self, connection: sa.Connection, keys: Iterable[str]) -> set[str]:
        return {row.key for row in select_in(connection, sa.select(t.withdrawn.c.key), t.withdrawn.c.key, keys)}

    def _note_place(self, connection: sa.Connection, place: str, keys: Iterable[str]) -> None:
        query = sa.select(t.answers.c.key).where(t.answers.c.place == place)
        seen = {row.key for row in select_in(connection, query, t.answers.c.key, keys)}
        insert(connection, t.answers, [{"place": place, "key": key} for key in keys if key not in seen])

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


def _delete(connection: sa.Connection, table: sa.Table, column: sa.Column[Any], keys: Collection[str]) -> None:
    if keys:
        connection.execute(sa.delete(table).where(column == sa.bindparam("a_key")), [{"a_key": key} for key in keys])


def _to_row(key: str, one: Annotation) -> dict[str, Any]:
    fields = {name: getattr(one, name) for name in _FIELDS}
    return {"key": key, "role": one.role.value, "shapes": shapes_to_json(one.shapes), **fields}


def _from_row(row: tuple[Any, ...]) -> Annotation:
    """Read a whole row by place, as the table has its columns: of a hundred thousand, names take much of the time."""
    (_, _, image_id, annotator, role, name, shapes, skipped, created, lead_time_s, score, guideline, prelabel, source,
     external_id, note) = row  # fmt: skip
    return Annotation(image_id, annotator, _ROLES[role], name, shapes_from_json(shapes), skipped, created, lead_time_s,
                      score, guideline, prelabel, source, external_id, note)  # fmt: skip
