"""The story of `activesel assign`: what is wanted of people about a batch, drawn before any of them has labelled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from activesel.annotations import LabelState, Role, Task
from activesel.catalog import Catalog, make_column
from activesel.config import Config
from activesel.errors import RefusedError
from activesel.overlap import choose_gold, count_overlap, draw_stratified, hide_prelabels, mix_in
from activesel.pipelines.batch_file import PickRecord, read_batch
from activesel.pipelines.batch_opinions import GOOD, verdict_of
from activesel.pipelines.routes import plan_routes
from activesel.records import BoolArray
from activesel.routing import CROWD, EXPERT, NOBODY
from activesel.seeds import derive_rng
from activesel.settling import PEOPLE, name_wholes
from activesel.workspace import Workspace

# Image id -> "crowd", "expert", or "" for a pick that nobody labels, as the budget ends before it; absent = crowd.
Router = Callable[[Sequence[PickRecord]], Mapping[str, str]]


@dataclass(frozen=True)
class AssignRequest:
    """Shares of the batch, 0..1; None = the settings'. blind_arm: of pre-labels hidden; 0 = there are none to hide.

    route: who labels each pick; None = the crowd labels all.
    """

    overlap: float | None = None
    gold: float | None = None
    blind_arm: float | None = None
    route: Router | None = None


@dataclass(frozen=True)
class Assigned:
    """tasks: in the order in which people shall see them. prevalence: of defects, as expected; None = not known.

    is_new: they differ from what is recorded.
    """

    batch_id: str
    tasks: tuple[Task, ...]
    prevalence: float | None
    is_new: bool
    notes: tuple[str, ...]

    @property
    def n_opinions(self) -> int:
        return sum(task.n_wanted for task in self.tasks)


def plan_tasks(workspace: Workspace, batch_id: str, request: AssignRequest) -> Assigned:
    """Draw the tasks of a batch by the workspace's seed: the same every time. Writes nothing.

    Raises:
        RefusedError: the batch is labelled already, and this draw is not the one that it was labelled by.
    """
    quality, seed = workspace.config.quality, workspace.config.seed
    drawn = read_batch(workspace, batch_id).picks
    routes = {} if request.route is None else request.route(drawn)
    picks = [pick for pick in drawn if routes.get(pick.image_id, CROWD) != NOBODY]
    known = _read(workspace, batch_id, [pick.image_id for pick in picks])
    good = workspace.config.embedding.good or known.good
    prevalence = expect_prevalence(picks, good)
    share = quality.overlap if request.overlap is None else request.overlap
    n_overlap = count_overlap(len(picks), share, quality.half_width, prevalence)
    overlap = np.zeros(len(picks), bool)
    strata = make_column([pick.predicted for pick in picks]).codes
    overlap[draw_stratified(strata, n_overlap, derive_rng(seed, "overlap", batch_id))] = True
    gold = _draw_gold(
        known, batch_id, round(len(picks) * (quality.gold if request.gold is None else request.gold)), seed
    )
    blind_arm = quality.blind_arm if request.blind_arm is None else request.blind_arm
    tasks = _build(batch_id, picks, overlap, gold, blind_arm, routes, workspace.config)
    is_new = tasks != known.tasks
    if known.labelled and known.tasks and _overlap(tasks) == _overlap(known.tasks):
        tasks, is_new = known.tasks, False  # gold that came since is for the next batch
    if is_new and known.labelled:
        what = "the batch is labelled already: an overlap drawn now would not be blind"
        raise RefusedError(what, where=f"batch {batch_id}", found=f"labels of {known.labelled} images",
                           hint="assign the next batch before it is labelled")  # fmt: skip
    notes = _notes(len(picks), n_overlap, share, prevalence, len(gold), known)
    if len(picks) < len(drawn):
        notes = (*notes, f"{len(drawn) - len(picks)} picks are nobody's: the budget below routing ends before them")
    return Assigned(batch_id, tasks, prevalence, is_new, notes)


def route_by_settings(workspace: Workspace) -> Router:
    """Return the router that the settings below `routing` make."""
    settings = workspace.config.routing
    return lambda picks: dict(zip((pick.image_id for pick in picks), plan_routes(picks, settings).routes, strict=True))


def expect_spend(workspace: Workspace, tasks: Sequence[Task]) -> tuple[float, float]:
    """Return money and minutes that the opinions wanted are expected to take, second and gold ones included."""
    rates = workspace.config.routing
    crowd, expert = (sum(one.n_wanted for one in tasks if (one.route == EXPERT) is asked) for asked in (False, True))
    return (crowd * rates.crowd_cost + expert * rates.expert_cost,
            crowd * rates.crowd_minutes + expert * rates.expert_minutes)  # fmt: skip


def assign_batch(workspace: Workspace, batch_id: str, request: AssignRequest) -> Assigned:
    """Draw the tasks of a batch and record them; again, and nothing changes.

    Raises:
        RefusedError: as plan_tasks.
    """
    assigned = plan_tasks(workspace, batch_id, request)
    if assigned.is_new:
        with Catalog.open(workspace.catalog_place) as catalog:
            catalog.annotations.assign(batch_id, assigned.tasks)
    return assigned


def _overlap(tasks: Sequence[Task]) -> set[str]:
    return {task.image_id for task in tasks if task.overlap}


def expect_prevalence(picks: Sequence[PickRecord], good: str | None) -> float | None:
    """Return the share of defects that the model expects among the picks; None without a model or a good class."""
    sure = [(pick.predicted, pick.probability) for pick in picks if pick.probability is not None]
    if not sure or good is None or not any(name == good for name, _ in sure):
        return None
    return float(np.mean([1 - chance if name == good else chance for name, chance in sure]))


@dataclass(frozen=True)
class _Known:
    """What the catalog says. gold: image id -> its answer. times: image id -> earlier batches it was gold in."""

    tasks: tuple[Task, ...]
    labelled: int
    gold: dict[str, str]
    times: Counter[str]
    good: str | None


def _read(workspace: Workspace, batch_id: str, picks: Sequence[str]) -> _Known:
    with Catalog.open(workspace.catalog_place) as catalog:
        tasks = catalog.annotations.tasks()
        opinions, gold_said = catalog.annotations.read(picks), catalog.annotations.read(role=Role.gold)
        resolved, labels, columns = catalog.annotations.resolutions(), catalog.labels_of(picks), catalog.label_columns()
    people = {one.image_id for one in opinions if one.role in PEOPLE}
    weak = {i for i, one in resolved.items() if one.state in (LabelState.weak, LabelState.synthetic)}
    seen = Counter(dict(zip(columns.names, np.bincount(columns.codes).tolist(), strict=False)))
    good = min(seen, key=lambda name: (-seen[name], name)) if seen else None
    known = name_wholes([one for one in gold_said if not one.skipped], good)
    gold = {one.image_id: verdict_of(one, good or GOOD) for one in known}
    times = Counter(task.image_id for task in tasks if task.gold and task.batch_id < batch_id)
    mine = tuple(task for task in tasks if task.batch_id == batch_id)
    return _Known(mine, len(people | (set(labels) - weak)), gold, times, good)


def _draw_gold(known: _Known, batch_id: str, n_wanted: int, seed: int) -> list[str]:
    ids = sorted(known.gold)
    classes = make_column([known.gold[i] for i in ids]).codes
    times = np.array([known.times[i] for i in ids], np.int64)
    return [ids[row] for row in choose_gold(classes, times, n_wanted, derive_rng(seed, "gold", batch_id))]


def _build(
    batch_id: str, picks: Sequence[PickRecord], overlap: BoolArray, gold: Sequence[str], blind_arm: float,
    routes: Mapping[str, str], config: Config,
) -> tuple[Task, ...]:  # fmt: skip
    """The picks in their order, gold among them at random: wanted twice and without pre-label, as the overlap is."""
    seed, answers = config.seed, set(gold)
    hidden = hide_prelabels(overlap, blind_arm, derive_rng(seed, "blind", batch_id)) if blind_arm else None
    own = []
    for row, pick in enumerate(picks):
        to = routes.get(pick.image_id, CROWD)
        least = config.routing.crowd_opinions if routes and to == CROWD else 1
        own.append(Task(batch_id, pick.image_id, to, max(least, 1 + bool(overlap[row])), bool(overlap[row]),
                        pick.image_id in answers, _say_hidden(hidden, row)))  # fmt: skip
    added = [Task(batch_id, image_id, n_wanted=2, gold=True, prelabel="hidden" if blind_arm else "")
             for image_id in gold if image_id not in {pick.image_id for pick in picks}]  # fmt: skip
    ours, theirs = iter(own), iter(added)
    places = mix_in(len(own), len(added), derive_rng(seed, "mix", batch_id))
    return tuple(next(theirs) if is_added else next(ours) for is_added in places)


def _say_hidden(hidden: BoolArray | None, row: int) -> str:
    if hidden is None:
        return ""
    return "hidden" if hidden[row] else "shown"


def _notes(
    n: int, n_overlap: int, share: float, prevalence: float | None, n_gold: int, known: _Known
) -> tuple[str, ...]:  # fmt: skip
    notes = []
    if share and prevalence is None:
        notes.append("no model says how frequent defects are: the overlap is the share alone, which may be too few")
    elif n_overlap == n > 1 and share < 1:
        notes.append(f"at {prevalence:.1%} defects even all {n} images twice make a wide interval: quality.half_width "
                     "says how wide, and larger batches help")  # fmt: skip
    if not known.gold:
        notes.append("no image has a known answer (role gold): nobody is measured by any")
    elif not n_gold:
        notes.append("no gold image is mixed in: the share is too small for this batch")
    return tuple(notes)
