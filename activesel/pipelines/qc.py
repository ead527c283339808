"""The story of `activesel qc`: what people said of a batch, how far they agree, whether that is enough, what counts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.agreement import (
    Agreement,
    count_table,
    fleiss_kappa,
    krippendorff_alpha,
    measure_agreement,
    one_vs_rest,
)
from activesel.annotations import LabelState, Resolution
from activesel.catalog import Catalog
from activesel.pipelines.batch_opinions import BatchOpinions, encode, pair_up, read_opinions, shuffle_key, verdict_of
from activesel.pipelines.consensus import Agreed, agree
from activesel.proof import wilson
from activesel.qualitygate import Decision, GoldScore, Thresholds, decide
from activesel.seeds import derive_rng
from activesel.workspace import Workspace

CONFIDENCE = 0.95
EXPERT_STATES = (LabelState.adjudicated, LabelState.rejected)  # never overwritten


@dataclass(frozen=True)
class Row:
    """Agreement on a part of the batch. kind: class, annotator, station, pair."""

    kind: str
    name: str
    agreement: Agreement


@dataclass(frozen=True)
class Quality:
    """What was found. table: (c, c) counts behind the overall agreement, None without a pair. alpha: Krippendorff's,
    fleiss: Fleiss' kappa; of all opinions on the overlap, None where undefined. n_skipped: opinions that were skips.
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
    n_skipped: int
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
    consensus = agree(opinions)
    classes = _order_classes(opinions, consensus.classes)
    measure = _measurer(seed, batch_id, classes)
    table = _tabulate(said, pairs, classes)
    overall = measure("overall", table)
    rows = [*_by_class(table, classes, measure), *_by_annotator(said, opinions, seed, measure, classes),
            *_by_column(said, pairs, opinions, by, measure, classes)]  # fmt: skip
    gold = score_gold(opinions)
    alpha, fleiss = _of_many(said, classes)
    return Quality(opinions, classes, table if overall else None, overall, tuple(rows), alpha, fleiss, gold,
                   decide(overall, gold, read_thresholds(workspace)), consensus, _count_skipped(opinions),
                   _notes(opinions))  # fmt: skip


def read_thresholds(workspace: Workspace) -> Thresholds:
    quality = workspace.config.quality
    return Thresholds(quality.least_kappa, quality.least_low, quality.least_positive, quality.least_defects,
                      quality.least_gold)  # fmt: skip


def record_consensus(workspace: Workspace, quality: Quality) -> int:
    """Record what counts of the batch's images by what people said; return how many changed.

    agreed where two or more are of one mind, else raw. What an expert decided stays, and so does what is unchanged, so
    that a second run writes nothing.
    """
    opinions, consensus = quality.opinions, quality.consensus
    fresh = []
    for image_id in opinions.picks:
        if image_id not in opinions.people:
            continue
        one = resolve_image(image_id, list(_verdicts(opinions, image_id).values()), consensus)
        before = opinions.resolved.get(image_id)
        if before is not None and (before.state in (*EXPERT_STATES, LabelState.synthetic) or _is_same(before, one)):
            continue
        fresh.append(one)
    with Catalog.open(workspace.catalog_place) as catalog:
        catalog.annotations.resolve(fresh, keep=EXPERT_STATES)
    return len(fresh)


def resolve_image(image_id: str, verdicts: Sequence[str], consensus: Agreed) -> Resolution:
    """Return what counts for an image that people called so: a single opinion stands as it was given."""
    if not verdicts:
        return Resolution(image_id, None, LabelState.raw, None, "consensus")
    name = verdicts[0] if len(set(verdicts)) == 1 else consensus.name_of(image_id)
    state = LabelState.agreed if len(verdicts) > 1 and len(set(verdicts)) == 1 else LabelState.raw
    return Resolution(image_id, name, state, round(consensus.confidence_in(image_id, name), 6), "consensus")


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


Said = Mapping[str, Mapping[str, str]]
Measure = Callable[[str, npt.NDArray[np.int64]], Agreement | None]


def _verdicts(opinions: BatchOpinions, image_id: str) -> dict[str, str]:
    """Annotator -> what they called it; a skip is no verdict."""
    said = opinions.people[image_id]
    return {name: verdict_of(one, opinions.good) for name, one in said.items() if not one.skipped}


def _order_classes(opinions: BatchOpinions, found: Sequence[str]) -> tuple[str, ...]:
    """Return the good class first, so that tables read alike, then the others by name."""
    return (opinions.good, *sorted(set(found) - {opinions.good}))


def _measurer(seed: int, batch_id: str, classes: Sequence[str]) -> Measure:
    def measure(name: str, table: npt.NDArray[np.int64]) -> Agreement | None:
        if not table.sum():
            return None
        negative = 0 if len(table) == len(classes) else None
        return measure_agreement(
            table, derive_rng(seed, "qc", batch_id, name), confidence=CONFIDENCE, negative=negative
        )

    return measure


def _tabulate(said: Said, pairs: Sequence[tuple[str, str, str]], classes: Sequence[str]) -> npt.NDArray[np.int64]:
    first = encode((said[i][a] for i, a, _ in pairs), classes)
    second = encode((said[i][b] for i, _, b in pairs), classes)
    return count_table(first, second, max(2, len(classes)))


def _by_class(table: npt.NDArray[np.int64], classes: Sequence[str], measure: Measure) -> list[Row]:
    """Each class but the good one against the rest."""
    return _rows("class", {name: one_vs_rest(table, k) for k, name in enumerate(classes) if k}, measure)


def _by_annotator(
    said: Said, opinions: BatchOpinions, seed: int, measure: Measure, classes: Sequence[str]
) -> list[Row]:  # fmt: skip
    """Each annotator against another of every image, and each two annotators; with two, that is the overall table."""
    annotators = opinions.annotators
    if len(annotators) < 3:
        return []
    against: dict[str, list[tuple[str, str, str]]] = {name: [] for name in annotators}
    both: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    for image_id, of_image in said.items():
        names = sorted(of_image) if len(of_image) > 1 else []
        for i, name in enumerate(names):
            others = [other for other in names if other != name]
            other = min(others, key=lambda other: shuffle_key(seed, "against", image_id, name, other))
            against[name].append((image_id, name, other))
            for later in names[i + 1 :]:
                both.setdefault((name, later), []).append((image_id, name, later))
    rows = _rows("annotator", {name: _tabulate(said, found, classes) for name, found in against.items()}, measure)
    tables = {" / ".join(pair): _tabulate(said, found, classes) for pair, found in sorted(both.items())}
    return rows + _rows("pair", tables, measure)


def _by_column(
    said: Said, pairs: Sequence[tuple[str, str, str]], opinions: BatchOpinions, by: str, measure: Measure,
    classes: Sequence[str],
) -> list[Row]:  # fmt: skip
    of_value: dict[str, list[tuple[str, str, str]]] = {}
    for pair in pairs:
        value = opinions.picks[pair[0]].meta.get(by, "") if pair[0] in opinions.picks else ""
        if value:
            of_value.setdefault(value, []).append(pair)
    return _rows(by, {value: _tabulate(said, found, classes) for value, found in sorted(of_value.items())}, measure)


def _rows(kind: str, tables: Mapping[str, npt.NDArray[np.int64]], measure: Measure) -> list[Row]:
    measured = ((name, measure(f"{kind} {name}", table)) for name, table in tables.items())
    return [Row(kind, name, agreement) for name, agreement in measured if agreement is not None]


def _of_many(said: Said, classes: Sequence[str]) -> tuple[float | None, float | None]:
    """Return Krippendorff's alpha, and Fleiss' kappa where every image has as many opinions."""
    counts = np.zeros((len(said), len(classes)), np.int64)
    for row, of_image in enumerate(said.values()):
        np.add.at(counts[row], encode(of_image.values(), classes), 1)
    counts = counts[counts.sum(axis=1) > 1]
    if not len(counts):
        return None, None
    alpha = krippendorff_alpha(counts)
    fleiss = fleiss_kappa(counts) if len(np.unique(counts.sum(axis=1))) == 1 else math.nan
    return (None if math.isnan(alpha) else alpha), (None if math.isnan(fleiss) else fleiss)


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
