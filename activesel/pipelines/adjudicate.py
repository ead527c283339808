"""The story of `activesel adjudicate`: which images wait for an expert, and what the expert decides."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from activesel.adjudication import Case, QueueItem, QueueRules, rank_cases
from activesel.annotations import Annotation, LabelState, Resolution, Role, Shape
from activesel.catalog import Catalog
from activesel.errors import DataError, UsageError
from activesel.matching import match_shapes
from activesel.pipelines.batch_opinions import BatchOpinions, read_opinions, verdict_of
from activesel.pipelines.consensus import Agreed, agree
from activesel.pipelines.doubts import read_doubts
from activesel.pipelines.feedback import read_contradictions
from activesel.routing import EXPERT
from activesel.settling import ADJUDICATION, is_verdict
from activesel.workspace import Workspace

DECIDED = (LabelState.adjudicated, LabelState.rejected)


def queue(workspace: Workspace, batch: str) -> list[QueueItem]:
    """Return the images of a batch that an expert should decide, the most pressing first; what is decided is out.

    batch: its id, as `find_batch` gives it.

    Raises:
        DataError: no such batch.
    """
    opinions = read_opinions(workspace, batch)
    return rank_cases(
        list_cases(workspace, opinions, agree(opinions, workspace.config.quality.model_weight)),
        read_rules(workspace, opinions),
    )


def decide(
    workspace: Workspace, image_id: str, name: str | None, expert: str, shapes: Sequence[Shape] = (), reason: str = ""
) -> None:  # fmt: skip
    """Record an expert's verdict beside the opinions there are, and let it count from now on; None rejects the image.

    The same verdict again changes nothing; another one counts instead, and both are kept. Takes no lock: each of the
    two writes is a transaction, and a run killed between them is mended by deciding again.

    Raises:
        DataError: an unknown image. UsageError: no expert is named, or an empty class.
    """
    if not expert.strip():
        raise UsageError("no expert is named", expected="who decides")
    if name is not None and not name.strip():
        raise UsageError("the class is empty", expected="a class, or none to reject the image")
    skipped = (reason or "rejected") if name is None else ""
    said = Annotation(image_id, expert, Role.expert, name, tuple(shapes), skipped, source=ADJUDICATION, note=reason)
    state = LabelState.rejected if name is None else LabelState.adjudicated
    with Catalog.open(workspace.catalog_place) as catalog:
        if image_id not in catalog.sizes_of([image_id]):
            raise DataError("no such image", where=str(workspace.root), found=image_id)
        before = [one for one in catalog.annotations.read([image_id]) if is_verdict(one)]
        if not before or _content(before[-1]) != _content(said):
            now = datetime.now(UTC).isoformat(timespec="microseconds")
            catalog.annotations.add([Annotation(image_id, expert, Role.expert, name, said.shapes, skipped, created=now,
                                                source=ADJUDICATION, note=reason)])  # fmt: skip
        catalog.annotations.resolve([Resolution(image_id, name, state, None, expert)])


def find_image(workspace: Workspace, name: str) -> str:
    """Return the id of the image that ``name`` is the id or the path of.

    Raises:
        DataError: there is none.
    """
    with Catalog.open(workspace.catalog_place) as catalog:
        if catalog.sizes_of([name]):
            return name
        found = catalog.image_at(str(Path(name).absolute()))
    if found is None:
        raise DataError("no such image", where=str(workspace.root), found=name, expected="an image id or a known path")
    return found


def list_cases(workspace: Workspace, opinions: BatchOpinions, agreed: Agreed) -> list[Case]:
    """Put together what is known of every image that people spoke of and no expert decided; gold images too."""
    least_iou, doubts = workspace.config.quality.iou, _standing(read_doubts(workspace), opinions)
    told = {i: why for i, (label, why) in read_contradictions(workspace).items()
            if i in opinions.resolved and opinions.resolved[i].name == label}  # fmt: skip
    cases = [replace(_case(opinions, agreed, image_id, least_iou), doubt=doubts.get(image_id),
                     feedback=told.get(image_id, ""))
             for image_id in opinions.people
             if image_id not in opinions.resolved or opinions.resolved[image_id].state not in DECIDED]  # fmt: skip
    gold = [i for i in opinions.gold_said if i in opinions.tasks and opinions.tasks[i].gold]
    with Catalog.open(workspace.catalog_place) as catalog:
        decided = {i for i, one in catalog.annotations.resolutions().items() if one.state in DECIDED}
        paths = {i: next(iter(catalog.paths_of(i)), "") for i in gold}
    for image_id in gold:
        if image_id not in decided:
            said = list(opinions.gold_said[image_id].values())
            cases.append(Case(image_id, paths[image_id], _verdicts(said, opinions.good),
                              truth=opinions.known[image_id], answers=tuple(said)))  # fmt: skip
    return cases


def read_rules(workspace: Workspace, opinions: BatchOpinions) -> QueueRules:
    quality = workspace.config.quality
    return QueueRules(opinions.good, quality.posterior, quality.model, quality.audit, workspace.config.seed)


def _case(opinions: BatchOpinions, agreed: Agreed, image_id: str, least_iou: float) -> Case:
    said = list(opinions.people[image_id].values())
    verdicts = _verdicts(said, opinions.good)
    consensus = agreed.name_of(image_id) if verdicts else None
    pick = opinions.picks.get(image_id)
    skips = tuple((one.annotator, one.skipped) for one in said if one.skipped)
    return Case(
        image_id, pick.path if pick else "", verdicts, skips,
        _differ([one for one in said if not one.skipped], least_iou), consensus,
        None if consensus is None else agreed.confidence_in(image_id, consensus),
        pick.predicted if pick else None, pick.probability if pick else None, answers=tuple(said),
        asked=image_id in opinions.tasks and opinions.tasks[image_id].route == EXPERT,
    )  # fmt: skip


def _standing(doubts: dict[str, tuple[str, str, float]], opinions: BatchOpinions) -> dict[str, tuple[str, float]]:
    """Return the doubts about labels that still count."""
    return {i: (suggested, p) for i, (label, suggested, p) in doubts.items()
            if i in opinions.resolved and opinions.resolved[i].name == label}  # fmt: skip


def _verdicts(said: Sequence[Annotation], good: str) -> tuple[tuple[str, str], ...]:
    return tuple((one.annotator, verdict_of(one, good)) for one in said if not one.skipped)


def _differ(said: Sequence[Annotation], least_iou: float) -> bool:
    """Whether two people who called it the same drew other shapes; who drew none at all was not asked to."""
    drawn = [one.shapes for one in said if one.shapes]
    return any(not match_shapes(a, b, least_iou).is_same for a, b in itertools.combinations(drawn, 2))


def _content(one: Annotation) -> tuple[object, ...]:
    return one.annotator, one.source, one.name, one.shapes, one.skipped, one.note
