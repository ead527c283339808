"""The story of `activesel label-studio pull`: what people said since the last time, into the catalog, once."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from activesel.catalog import Catalog
from activesel.errors import DataError, UsageError
from activesel.labels.label_studio import ID_KEY, person_of, read_task
from activesel.labels.label_studio_results import SOURCE
from activesel.pipelines.opinions import People, Unsaid, complete, record, settle_all
from activesel.pipelines.tool_projects import Pushed, read_projects
from activesel.tools.label_studio import LabelStudio
from activesel.workspace import Workspace

_COUNTS = ("total_annotations", "cancelled_annotations")  # those with an answer, and the skips
_MARGIN = timedelta(minutes=1)  # changes that were begun before the newest one was seen; what is read twice counts once


@dataclass(frozen=True)
class PullSummary:
    """What one batch's project brought. n_withdrawn: opinions whose annotations were deleted there since the last pull.
    n_foreign: tasks there that are not about images of ours.
    """

    batch_id: str
    project: str
    n_tasks_changed: int
    n_new: int
    n_changed: int
    n_known: int
    n_withdrawn: int
    n_skipped: int
    n_by_annotator: dict[str, int]
    n_foreign: int


def pull_batches(
    workspace: Workspace, batch_id: str | None, tool: LabelStudio, *, afresh: bool = False, dry_run: bool = False
) -> list[PullSummary]:
    """Read one pushed batch, or all of them; the caller holds the workspace's lock. Each batch wholly or not at all.

    afresh: everything, not only what changed since the last pull.

    Raises:
        UsageError: nothing was pushed. DataError: an annotation that we cannot hold; nothing of its batch is kept.
    """
    known = read_projects(workspace, tool.url)
    wanted = [batch_id] if batch_id is not None else sorted(known.batches)
    if not wanted or wanted[0] not in known.batches:
        raise UsageError("nothing was pushed to this server yet", where=tool.url, found=f"batch {batch_id or 'none'}",
                         hint="run `activesel label-studio push` first")  # fmt: skip
    tool.whoami()
    met = tool.users()
    known = replace(known, people={**known.people, **met}) if dry_run else known.meet(met)
    found, good = [], workspace.config.embedding.good
    with Catalog.open(workspace.catalog_place) as catalog:
        for one in wanted:
            pulled = known.batches[one] if not afresh else replace(known.batches[one], cursor="")
            names = {person_of(number): name for number, name in known.people.items()}
            people: People = {(one, pulled.project_id): names}
            summary, cursor = _pull(catalog, pulled, one, tool, people, good=good, dry_run=dry_run)
            if not dry_run and cursor != known.batches[one].cursor:
                known = known.keep(one, replace(pulled, cursor=cursor))
            found.append(summary)
    return found


def _pull(
    catalog: Catalog, pushed: Pushed, batch_id: str, tool: LabelStudio, people: People,
    *, good: str | None, dry_run: bool,
) -> tuple[PullSummary, str]:  # fmt: skip
    if tool.get_project(pushed.project_id) is None:
        raise DataError(f"the project {pushed.title!r} is gone", where=tool.url,
                        hint=f"push it again: activesel label-studio push {batch_id}")  # fmt: skip
    listed = list(tool.tasks(pushed.project_id))
    place = f"{tool.url} project {pushed.project_id}"
    before = catalog.annotations.keys_at(place)
    asked, changed, n_foreign = _choose(catalog, listed, before, _before(pushed.cursor))
    exported = [task for task in tool.export(pushed.project_id, list(asked)) if task["id"] in asked]
    sizes = catalog.sizes_of(asked.values())
    told = [one for task in exported for one in read_task(task, asked[task["id"]], sizes[asked[task["id"]]],
            where=f"{tool.url}, task {task['id']}")]  # fmt: skip
    said = [replace(one, batch=batch_id, project=pushed.project_id) for one in told]
    opinions = complete(catalog, said, SOURCE, Unsaid(), people)
    done = record(catalog, opinions, good=good, dry_run=dry_run, place=place)
    gone = _find_deleted(before, {one.key for one in opinions}, asked, {task["id"] for task in exported})
    if gone and not dry_run:
        catalog.annotations.withdraw(gone, functools.partial(settle_all, good=good), at=datetime.now(UTC).isoformat(),
                                     why=f"deleted in {place}")  # fmt: skip
    cursor = max([pushed.cursor, *(str(task["updated_at"]) for task in listed)])
    by_annotator = Counter(one.annotator for one in opinions)
    return PullSummary(batch_id, pushed.title, len(changed), done.n_new, done.n_changed, done.n_known, len(gone),
                       done.n_skipped, dict(by_annotator), n_foreign), cursor  # fmt: skip


def _choose(
    catalog: Catalog, listed: Sequence[Mapping[str, Any]], before: Mapping[str, str], since: datetime | None
) -> tuple[dict[int, str], list[int], int]:
    """Return the tasks to ask for, each with its image id; the tasks that changed, and how many of these are not ours.

    Asked are the tasks that changed, and those of images that had other numbers of annotations when they were read
    last: deleting one need not change its task. Of an image with two tasks both are asked, or none.
    """
    said_of = {task["id"]: task["data"][ID_KEY] for task in listed if _is_ours(task)}
    known = catalog.sizes_of(said_of.values()).keys()
    ours = {task_id: image_id for task_id, image_id in said_of.items() if image_id in known}
    changed = [task["id"] for task in listed if since is None or _moment(task["updated_at"]) > since]
    n_there: Counter[str] = Counter()
    for task in listed:
        if task["id"] in ours:
            n_there[ours[task["id"]]] += sum(task.get(key) or 0 for key in _COUNTS)
    n_here = Counter(before.values())
    wanted = {ours[task_id] for task_id in changed if task_id in ours}
    wanted |= {image_id for image_id in n_there if n_there[image_id] != n_here[image_id]}
    n_foreign = sum(task_id not in ours for task_id in changed)
    return {task_id: image_id for task_id, image_id in ours.items() if image_id in wanted}, changed, n_foreign


def _find_deleted(
    before: Mapping[str, str], there: Collection[str], asked: Mapping[int, str], came: Collection[int]
) -> list[str]:
    """Return the keys of opinions whose annotations are no longer there, of images of which every task came.

    A task that was removed takes nothing back: people clear projects away when their work is done.
    """
    whole = {*asked.values()} - {image_id for task_id, image_id in asked.items() if task_id not in came}
    return [key for key, image_id in before.items() if image_id in whole and key not in there]


def _before(cursor: str) -> datetime | None:
    """Return a moment a little before the cursor; None, which reads everything, where it is none."""
    try:
        return datetime.fromisoformat(cursor).astimezone(UTC) - _MARGIN
    except ValueError:
        return None


def _moment(value: object) -> datetime:
    """Return when a task changed; now, so that it is read, where nobody can tell."""
    try:
        return datetime.fromisoformat(str(value)).astimezone(UTC)
    except ValueError:
        return datetime.now(UTC)


def _is_ours(task: Mapping[str, Any]) -> bool:
    return isinstance(task["data"], dict) and isinstance(task["data"].get(ID_KEY), str)
