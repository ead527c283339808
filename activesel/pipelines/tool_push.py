"""The story of `activesel label-studio push`: a batch becomes a project's tasks, each image once, however often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from activesel.annotations import Annotation, Role, Task
from activesel.catalog import Catalog
from activesel.errors import DataError, UnreachableError, UsageError
from activesel.ids import pack_ids
from activesel.labels.label_studio import ID_KEY
from activesel.labels.label_studio_results import check_prediction, labelling_config, prediction_of
from activesel.pipelines.tool_images import ServeLocal, ServeUpload
from activesel.pipelines.tool_projects import Pushed, ToolProjects, read_projects
from activesel.records import ImageRow
from activesel.tools.label_studio import LabelStudio, Project
from activesel.tools.rest import MaybeDoneError
from activesel.workspace import Workspace

_N_TRIES = 5
_TITLE_LENGTHS = (3, 50)  # theirs


@dataclass(frozen=True)
class PushRequest:
    """What to push. names: classes beside the catalog's. root: what the server serves files from, else upload."""

    batch_id: str
    title: str | None = None
    names: tuple[str, ...] = ()
    root: Path | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class PushSummary:
    """What a push did, or would do. n_known: tasks that were there. n_overlap: images that several people get."""

    batch_id: str
    project: str
    project_id: int | None
    classes: tuple[str, ...]
    n_new: int
    n_known: int
    n_predictions: int
    n_hidden: int
    n_overlap: int
    n_doubles_removed: int


@dataclass(frozen=True)
class _Plan:
    """Everything that is known before anything is sent. predictions: those that people are shown, checked."""

    images: dict[str, ImageRow]
    tasks: dict[str, Task]
    predictions: dict[str, Annotation]
    names: tuple[str, ...]
    title: str


def push_batch(workspace: Workspace, request: PushRequest, tool: LabelStudio) -> PushSummary:
    """Make the batch's project hold each of its images once; the caller holds the workspace's lock.

    Killed at any instant and run again it goes on: what is there is listed first, and told by its image id.

    Raises:
        DataError: a prediction that is wrong, an image that is gone. UsageError: no classes, a long title.
        UnreachableError: the server does not answer, or refuses the token.
    """
    known = read_projects(workspace, tool.url)
    plan = _make_plan(workspace, request, known.batches.get(request.batch_id))
    tool.whoami()
    project = _find_project(tool, known, request, plan)
    there = {} if project is None else _list_tasks(tool, project)[0]
    n_known = len(there.keys() & plan.images.keys())
    n_removed = 0
    if not request.dry_run:
        known = known.meet(tool.users())
        project = project or _create_project(tool, plan, workspace, request)
        _remember(known, request.batch_id, project, plan.names)
        if project.config.split() != labelling_config(plan.names).split():
            tool.set_config(project, labelling_config(plan.names))
        there, n_removed = _import(tool, project, plan, request)
        _set_overlaps(tool, there, plan.tasks)
    hidden = [one for one in plan.tasks.values() if one.prelabel == "hidden"]
    return PushSummary(
        request.batch_id, plan.title, None if project is None else project.project_id, plan.names,
        len(plan.images) - n_known, n_known, len(plan.predictions), len(hidden),
        sum(task.n_wanted > 1 for task in plan.tasks.values()), n_removed,
    )  # fmt: skip


def _make_plan(workspace: Workspace, request: PushRequest, before: Pushed | None) -> _Plan:
    with Catalog.open(workspace.catalog_place) as catalog:
        batch = next(one for one in catalog.batches.read() if one.batch_id == request.batch_id)
        pool = catalog.list_images()
        rows = pool.find(pack_ids(batch.image_ids))
        images = {row.image_id: row for row in pool.take(rows[rows >= 0])}
        tasks = {task.image_id: task for task in catalog.annotations.tasks(request.batch_id)}
        given = catalog.annotations.read(batch.image_ids)
        names = catalog.label_columns().names
    gone = [image_id for image_id in batch.image_ids if image_id not in images or not images[image_id].path]
    if gone:
        raise DataError(f"{len(gone)} images of batch {request.batch_id} are no longer in the catalog",
                        found=f"{gone[0]} and others", hint="run `activesel ingest` on them again")  # fmt: skip
    newest = {one.image_id: one for one in given if one.role is Role.model and not one.skipped}
    shown = {key: one for key, one in newest.items() if key not in tasks or tasks[key].prelabel != "hidden"}
    classes = _order_names(before.names if before else (), [*names, *request.names], shown.values())
    for image_id, one in shown.items():
        image = images[image_id]
        check_prediction(one, (image.width_px, image.height_px), classes, where=f"{one.annotator} on {image.path}")
    title = request.title or (before.title if before else f"{workspace.root.name[:40]} {request.batch_id}")
    if not _TITLE_LENGTHS[0] <= len(title) <= _TITLE_LENGTHS[1]:
        raise UsageError("a project's title has 3 to 50 characters", where="--project", found=repr(title))
    return _Plan(images, tasks, shown, classes, title)


def _order_names(before: Sequence[str], names: Sequence[str], shown: Any) -> tuple[str, ...]:
    """Classes keep their place from one push to the next; new ones come after, sorted."""
    predicted = {name for one in shown for name in (one.name, *(shape.name for shape in one.shapes)) if name}
    fresh = sorted({*names, *predicted} - {*before})
    if not (*before, *fresh):
        raise UsageError("there are no classes to choose from yet", hint="name them: --class good --class crack")
    return (*before, *fresh)


def _find_project(tool: LabelStudio, known: ToolProjects, request: PushRequest, plan: _Plan) -> Project | None:
    """By its number where we know it, else by its title, as after a crash between the two."""
    before = known.batches.get(request.batch_id)
    if before is not None and request.title in (None, before.title):
        found = tool.get_project(before.project_id)
        if found is not None:
            return found
    return tool.find_project(plan.title)


def _create_project(tool: LabelStudio, plan: _Plan, workspace: Workspace, request: PushRequest) -> Project:
    about = f"Batch {request.batch_id} of the activesel workspace {workspace.root.name}"
    try:
        return tool.create_project(plan.title, labelling_config(plan.names), about)
    except MaybeDoneError as error:
        found = tool.find_project(plan.title)
        if found is None:
            raise UnreachableError("the connection broke while the project was made", where=tool.url,
                                   found=str(error), hint="run the same command again") from None  # fmt: skip
        return found


def _remember(known: ToolProjects, batch_id: str, project: Project, names: tuple[str, ...]) -> None:
    before = known.batches.get(batch_id)
    if before is not None and before.project_id == project.project_id:
        wanted = replace(before, title=project.title, names=names)
    else:
        wanted = Pushed(project.project_id, project.title, names)
    if wanted != before:
        known.keep(batch_id, wanted)


def _list_tasks(tool: LabelStudio, project: Project) -> tuple[dict[str, dict[str, Any]], list[int]]:
    """Return our tasks by image id, and the numbers of those that stand twice and nobody has touched.

    A killed push may still be running on the server while the next one lists what is there.
    """
    by_image: dict[str, list[dict[str, Any]]] = {}
    for task in tool.tasks(project.project_id):
        image_id = task["data"].get(ID_KEY) if isinstance(task["data"], dict) else None
        if isinstance(image_id, str):
            by_image.setdefault(image_id, []).append(task)
    first, doubles = {}, []
    for image_id, tasks in by_image.items():
        tasks.sort(key=lambda task: (not _is_touched(task), task["id"]))
        first[image_id] = tasks[0]
        doubles += [task["id"] for task in tasks[1:] if not _is_touched(task)]
    return first, doubles


def _is_touched(task: Mapping[str, Any]) -> bool:
    return any(task.get(key) for key in ("total_annotations", "cancelled_annotations", "drafts"))


def _import(
    tool: LabelStudio, project: Project, plan: _Plan, request: PushRequest
) -> tuple[dict[str, dict[str, Any]], int]:
    """Add what is missing until nothing is, looking again whenever nobody knows whether a part arrived."""
    serve = ServeUpload(tool, project) if request.root is None else ServeLocal(tool, project, request.root)
    found = ""
    for _ in range(_N_TRIES):
        there, doubles = _list_tasks(tool, project)
        missing = [image_id for image_id in plan.images if image_id not in there]
        if not missing:
            for task_id in doubles:
                tool.delete_task(task_id)
            return there, len(doubles)
        try:
            for start in range(0, len(missing), serve.part):
                part = [plan.images[image_id] for image_id in missing[start : start + serve.part]]
                addresses = serve.prepare(part)
                tool.import_tasks(project.project_id, [_task(plan, request.batch_id, one, addresses) for one in part])
        except MaybeDoneError as error:
            found = str(error)
    raise UnreachableError("tasks do not arrive", where=tool.url, found=found or f"{len(missing)} missing",
                           hint="run the same command again")  # fmt: skip


def _task(plan: _Plan, batch_id: str, image: ImageRow, addresses: Mapping[str, str]) -> dict[str, Any]:
    """Whether a task overlaps, is gold or hides a pre-label is not said: annotators see a task's data."""
    data = {"image": addresses[image.image_id], ID_KEY: image.image_id, "batch": batch_id}
    one = plan.predictions.get(image.image_id)
    size = (image.width_px, image.height_px)
    return {"data": data, "predictions": [] if one is None else [prediction_of(one, size)]}


def _set_overlaps(tool: LabelStudio, there: Mapping[str, Mapping[str, Any]], tasks: Mapping[str, Task]) -> None:
    for image_id, task in tasks.items():
        if image_id in there and there[image_id].get("overlap", 1) != task.n_wanted:
            tool.set_overlap(int(there[image_id]["id"]), task.n_wanted)
