"""The story of `activesel label-studio pull`: what people said since the last time, into the catalog, once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from activesel.annotations import Annotation, Task
from activesel.catalog import Catalog
from activesel.errors import DataError, UsageError
from activesel.labels.label_studio_results import annotation_from
from activesel.pipelines.opinions import record
from activesel.pipelines.tool_projects import Pushed, read_projects
from activesel.pipelines.tool_push import ID_KEY
from activesel.tools.label_studio import LabelStudio
from activesel.workspace import Workspace

_MARGIN = timedelta(minutes=1)  # changes that were begun before the newest one was seen; what is read twice counts once


@dataclass(frozen=True)
class PullSummary:
    """What one batch's project brought. n_foreign: tasks there that are not about images of ours."""

    batch_id: str
    project: str
    n_tasks_changed: int
    n_new: int
    n_changed: int
    n_known: int
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
    users = tool.users()
    found, good = [], workspace.config.embedding.good
    with Catalog.open(workspace.catalog_place) as catalog:
        for one in wanted:
            pulled = known.batches[one] if not afresh else replace(known.batches[one], cursor="")
            summary, cursor = _pull(catalog, one, pulled, tool, users, good=good, dry_run=dry_run)
            if not dry_run and cursor != known.batches[one].cursor:
                known = known.keep(one, replace(pulled, cursor=cursor))
            found.append(summary)
    return found


def _pull(
    catalog: Catalog,
    batch_id: str,
    pushed: Pushed,
    tool: LabelStudio,
    users: Mapping[int, str],
    *,
    good: str | None,
    dry_run: bool,
) -> tuple[PullSummary, str]:
    if tool.get_project(pushed.project_id) is None:
        raise DataError(f"the project {pushed.title!r} is gone", where=tool.url,
                        hint=f"push it again: activesel label-studio push {batch_id}")  # fmt: skip
    changed = list(tool.tasks(pushed.project_id, _before(pushed.cursor)))
    cursor = max([pushed.cursor, *(str(task["updated_at"]) for task in changed)])
    said_of = {task["id"]: task["data"][ID_KEY] for task in changed if _is_ours(task)}
    sizes = catalog.sizes_of(said_of.values())
    ours = [task_id for task_id, image_id in said_of.items() if image_id in sizes]
    wanted = {task.image_id: task for task in catalog.annotations.tasks(batch_id)}
    exported = [task for task in tool.export(pushed.project_id, ours) if _is_ours(task) and task["id"] in said_of]
    said = [one for task in exported for one in _opinions(task, sizes, users, wanted, tool.url)]
    done = record(catalog, said, good=good, dry_run=dry_run)
    by_annotator: dict[str, int] = {}
    for one in said:
        by_annotator[one.annotator] = by_annotator.get(one.annotator, 0) + 1
    summary = PullSummary(batch_id, pushed.title, len(changed), done.n_new, done.n_changed, done.n_known,
                          done.n_skipped, by_annotator, len(changed) - len(ours))  # fmt: skip
    return summary, cursor


def _before(cursor: str) -> datetime | None:
    """Return a moment a little before the cursor; None, which reads everything, where it is none."""
    try:
        return datetime.fromisoformat(cursor).astimezone(UTC) - _MARGIN
    except ValueError:
        return None


def _is_ours(task: Mapping[str, Any]) -> bool:
    return isinstance(task["data"], dict) and isinstance(task["data"].get(ID_KEY), str)


def _opinions(
    task: Mapping[str, Any], sizes: Mapping[str, tuple[int, int]], users: Mapping[int, str],
    wanted: Mapping[str, Task], url: str,
) -> Iterable[Annotation]:  # fmt: skip
    image_id = task["data"][ID_KEY]
    given = task["annotations"]
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise DataError("not a task of Label Studio", where=f"{url}, task {task['id']}", expected="its annotations")
    for one in given:
        by = one.get("completed_by")
        by = by.get("id") if isinstance(by, dict) else by
        name = users.get(by, f"user-{by}") if isinstance(by, int) else "unknown"
        where = f"{url}, task {task['id']}, annotation {one.get('id')}"
        said = annotation_from(one, image_id, sizes[image_id], name, where=where)
        hidden = image_id in wanted and wanted[image_id].prelabel == "hidden"
        yield replace(said, prelabel="hidden") if hidden else said
