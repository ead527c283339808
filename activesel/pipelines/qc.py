"""The story of `activesel qc`: what people said of a batch, how far they agree, whether that is enough, what counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.agreement import Agreement
from activesel.annotations import LabelState, Resolution
from activesel.catalog import Catalog
from activesel.looks import Look, take_look
from activesel.matching import ShapeAgreement
from activesel.pipelines.batch_opinions import BatchOpinions, pair_up, read_opinions, verdict_of, verdicts_of
from activesel.pipelines.breakdown import (
    CONFIDENCE,
    Row,
    compare_shapes,
    make_measure,
    measure_many,
    split_by_annotator,
    split_by_class,
    split_by_column,
    tabulate,
)
from activesel.pipelines.consensus import Agreed, agree
from activesel.pipelines.looks import keep_look, read_looks
from activesel.pipelines.pooling import Pooled, measure_pooled, order_classes, pool_batch
from activesel.proof import wilson
from activesel.qualitygate import Decision, GoldScore, Thresholds, decide
from activesel.workspace import Workspace

NO_LOOK = Look(0, "", (), 0)  # where nothing can be compared yet
EXPERT_STATES = (LabelState.adjudicated, LabelState.rejected)  # never overwritten


@dataclass(frozen=True)
class Quality:
    """What was found. table: (c, c) counts behind the overall agreement, None without a pair. alpha: Krippendorff's,
    fleiss: Fleiss' kappa; of all opinions on the overlap, None where undefined. shapes: of the same pairs, None where
    nobody drew any. experts: of two experts each, before either saw an answer, None without such an image.
    n_skipped: opinions that were skips. pooled: what is judged, with the overlaps of earlier batches where wanted.
    look: the one at that, by whose number the bounds are as sure as they are; to be kept (activesel.pipelines.looks)
    before the decision is told.
    """

    opinions: BatchOpinions
    classes: tuple[str, ...]
    table: npt.NDArray[np.int64] | None
    overall: Agreement | None
    rows: tuple[Row, ...]
    alpha: float | None
    fleiss: float | None
    gold: tuple[GoldScore, ...]
    decision: Decision
    consensus: Agreed
    shapes: ShapeAgreement | None
    experts: Agreement | None
    n_skipped: int
    look: Look | None
    pooled: Pooled
    notes: tuple[str, ...]

    def rows_of(self, kind: str) -> list[Row]:
        return [row for row in self.rows if row.kind == kind]


def check_quality(workspace: Workspace, batch_id: str, *, by: str = "station") -> Quality:
    """Measure the labels of a batch; writes nothing. by: column of the images' metadata to look at apart.

    Raises:
        DataError: no such batch.
    """
    opinions = read_opinions(workspace, batch_id)
    said = {i: _verdicts(opinions, i) for i in opinions.blind}
    seed = workspace.config.seed
    pairs = pair_up(said, seed, opinions.annotators)
    consensus = agree(opinions, workspace.config.quality.model_weight)
    classes = order_classes(opinions.good, consensus.classes)
    measure = make_measure(seed, batch_id, classes)
    table = tabulate(said, pairs, classes)
    pooled = pool_batch(workspace, opinions, said, pairs)
    look = look_at(workspace, opinions, pooled) if pairs else None
    bound = look.bound if look else None
    overall, together = measure("overall", table, bound=bound), measure_pooled(workspace, batch_id, pooled, bound)
    rows = [*together, *split_by_class(table, classes, measure),
            *split_by_annotator(said, opinions, seed, measure, classes),
            *split_by_column(said, pairs, opinions, by, measure, classes)]  # fmt: skip
    gold = score_gold(opinions)
    alpha, fleiss = measure_many(said, classes)
    shapes, shape_rows = compare_shapes(opinions, pairs, workspace.config.quality.iou, measure)
    judged, own = (together[0].agreement, overall) if together else (overall, None)
    decision = decide(judged, gold, read_thresholds(workspace), next_bound=(look or NO_LOOK).next_bound, own=own)
    return Quality(
        opinions, classes, table if overall else None, overall, (*rows, *shape_rows), alpha, fleiss, gold, decision,
        consensus, shapes, compare_experts(opinions, seed), _count_skipped(opinions), look, pooled,
        (*_notes(opinions), *pooled.notes),
    )  # fmt: skip


def compare_experts(opinions: BatchOpinions, seed: int) -> Agreement | None:
    """Return how far two experts agree who each spoke before seeing any answer; None where there is no such image.

    They are asked where people disagree: on harder images than the overlap's, so that it is no bound for people's.
    """
    said = {i: verdicts_of(of_image, opinions.good) for i, of_image in opinions.experts.items()}
    pairs = pair_up(said, seed, sorted({who for of_image in said.values() for who in of_image}))
    names = {said[i][who] for i, *two in pairs for who in two}
    classes = order_classes(opinions.good, names)
    return make_measure(seed, opinions.batch_id, classes)("experts", tabulate(said, pairs, classes))


def look_at(workspace: Workspace, opinions: BatchOpinions, judged: Pooled) -> Look:
    """Return which look at the batch's overlap this is.

    Raises:
        DataError: the record of earlier looks is damaged.
    """
    earlier = read_looks(workspace, opinions.batch_id)
    return take_look(earlier, judged.table, judged.classes, sorted(opinions.guidelines))


def read_thresholds(workspace: Workspace) -> Thresholds:
    quality = workspace.config.quality
    return Thresholds(quality.least_kappa, quality.least_low, quality.least_positive, quality.least_defects,
                      quality.least_gold)  # fmt: skip


def record_consensus(workspace: Workspace, quality: Quality) -> int:
    """Record the look, then what counts of the batch's images by what people said; return how many changed.

    agreed where two or more are of one mind, else raw; where they differ the consensus counts if it is as sure as
    quality.posterior, and nothing does otherwise. What an expert decided stays, and so does what is unchanged, so
    that a second run writes nothing.
    """
    opinions, consensus, least = quality.opinions, quality.consensus, workspace.config.quality.posterior
    keep_look(workspace, opinions.batch_id, quality.look)
    fresh = []
    for image_id in opinions.picks:
        if image_id not in opinions.people:
            continue
        one = resolve_image(image_id, list(_verdicts(opinions, image_id).values()), consensus, least)
        before = opinions.resolved.get(image_id)
        if before is not None and (before.state in (*EXPERT_STATES, LabelState.synthetic) or _is_same(before, one)):
            continue
        fresh.append(one)
    with Catalog.open(workspace.catalog_place) as catalog:
        catalog.annotations.resolve(fresh, keep=EXPERT_STATES)
    return len(fresh)


def resolve_image(image_id: str, verdicts: Sequence[str], consensus: Agreed, least: float) -> Resolution:
    """Return what counts for an image that people called so: a single opinion stands as it was given.

    least: posterior from which the consensus of people who differ counts, 0..1.
    """
    if not verdicts:
        return Resolution(image_id, None, LabelState.raw, None, "consensus")
    same = len(set(verdicts)) == 1
    name = verdicts[0] if same else consensus.name_of(image_id)
    confidence = round(consensus.confidence_in(image_id, name), 6)
    state = LabelState.agreed if len(verdicts) > 1 and same else LabelState.raw
    return Resolution(image_id, name if same or confidence >= least else None, state, confidence, "consensus")


def score_gold(opinions: BatchOpinions) -> tuple[GoldScore, ...]:
    """Return how often each annotator gave the known answer; a skip is no answer."""
    right: dict[str, list[bool]] = {}
    for image_id, said in opinions.gold_said.items():
        for annotator, one in said.items():
            if not one.skipped:
                right.setdefault(annotator, []).append(verdict_of(one, opinions.good) == opinions.known[image_id])
    scores = []
    for annotator, answers in sorted(right.items()):
        share = wilson(sum(answers), len(answers), CONFIDENCE)
        scores.append(GoldScore(annotator, len(answers), sum(answers), share.value, share.low, share.high))
    return tuple(scores)


def _verdicts(opinions: BatchOpinions, image_id: str) -> dict[str, str]:
    return verdicts_of(opinions.people[image_id], opinions.good)


def _count_skipped(opinions: BatchOpinions) -> int:
    return sum(bool(one.skipped) for said in opinions.people.values() for one in said.values())


def _is_same(before: Resolution, after: Resolution) -> bool:
    near = before.confidence == after.confidence or (
        before.confidence is not None
        and after.confidence is not None
        and abs(before.confidence - after.confidence) < 1e-4
    )
    return (before.name, before.state, before.by) == (after.name, after.state, after.by) and near


def _notes(opinions: BatchOpinions) -> tuple[str, ...]:
    notes = list(opinions.notes)
    if not opinions.assigned:
        notes.append("no overlap was drawn before labelling (activesel assign): the images with two opinions may be no "
                     "random sample")  # fmt: skip
    lost = [i for i in opinions.blind if any(one.skipped for one in opinions.people[i].values())]
    if lost:
        notes.append(f"{len(lost)} of {len(opinions.blind)} images of the overlap have a skip, which counts as no "
                     "opinion: agreement may look better than it is")  # fmt: skip
    return tuple(notes)
