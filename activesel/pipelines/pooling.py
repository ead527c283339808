"""Overlaps of earlier batches that are judged together with a batch's own: which, and why not the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.catalog import Catalog
from activesel.errors import DataError
from activesel.pipelines.batch_opinions import BatchOpinions, pair_up, read_opinions, verdicts_of
from activesel.pipelines.breakdown import Pair, Row, make_measure, tabulate
from activesel.pooling import Likeness, compare_rounds
from activesel.seeds import derive_rng
from activesel.workspace import Workspace


@dataclass(frozen=True)
class Pooled:
    """What is judged. table: (c, c) pairs of all.

    batches: the earlier ones in it, none where the batch is judged alone. alike: None where there were none to compare.
    notes: what was pooled, and what was not and why.
    """

    batches: tuple[str, ...]
    classes: tuple[str, ...]
    table: npt.NDArray[np.int64]
    alike: Likeness | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Round:
    batch_id: str
    said: Mapping[str, Mapping[str, str]]
    pairs: Sequence[Pair]

    @property
    def names(self) -> set[str]:
        return {self.said[i][who] for i, *two in self.pairs for who in two}


def pool_batch(
    workspace: Workspace, opinions: BatchOpinions, said: Mapping[str, Mapping[str, str]], pairs: Sequence[Pair]
) -> Pooled:
    """Return what is judged of a batch: its own pairs, and those of earlier batches where quality.pool_rounds asks so.

    Only of batches whose overlap was drawn, by the same people and the same version of the guideline; none at all where
    the kappas surely differ.
    """
    own = _Round(opinions.batch_id, said, pairs)
    earlier, notes = _find_earlier(workspace, opinions) if workspace.config.quality.pool_rounds and pairs else ([], [])
    classes = order_classes(opinions.good, set().union(*(one.names for one in (own, *earlier))))
    tables = [tabulate(one.said, one.pairs, classes) for one in (own, *earlier)]
    if not earlier:
        return Pooled((), classes, tables[0], None, tuple(notes))
    alike = compare_rounds(tables[0], tables[1:], derive_rng(workspace.config.seed, "pool", opinions.batch_id))
    ids = tuple(one.batch_id for one in earlier)
    if not alike.may_pool:
        notes.append(f"batches {', '.join(ids)} are not pooled: their kappas and this one's differ surely "
                     f"(p = {alike.chance:.3f}) or this one's is worse (no worse to {alike.no_worse:.0%})")  # fmt: skip
        return Pooled((), classes, tables[0], alike, tuple(notes))
    together = np.sum(tables, axis=0)
    share = f"{tables[0].sum()} of {together.sum()} pairs are its own"
    notes.append(f"judged together with {', '.join(ids)}: the same people, the same guideline, kappas that do not "
                 f"surely differ (p = {alike.chance:.2f}); {share}")  # fmt: skip
    return Pooled(ids, classes, together, alike, tuple(notes))


def measure_pooled(workspace: Workspace, batch_id: str, pooled: Pooled, bound: float | None) -> list[Row]:
    """Return one row of the agreement of all together; none where the batch is judged alone."""
    if not pooled.batches:
        return []
    measure = make_measure(workspace.config.seed, batch_id, pooled.classes)
    found = measure("pooled", pooled.table, bound=bound)
    return [] if found is None else [Row("pooled", ", ".join((*pooled.batches, batch_id)), found)]


def order_classes(good: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return the good class first, so that tables read alike, then the others by name."""
    return (good, *sorted(set(names) - {good}))


def _find_earlier(workspace: Workspace, opinions: BatchOpinions) -> tuple[list[_Round], list[str]]:
    if not opinions.assigned or len(opinions.guidelines) != 1 or opinions.guidelines == {""}:
        return [], ["earlier batches are not pooled: it takes an overlap drawn by `activesel assign`, labelled by one "
                    "version of the guideline that is recorded (review.guideline)"]  # fmt: skip
    with Catalog.open(workspace.catalog_place) as catalog:
        ids = [one for one in catalog.batches.ids() if one < opinions.batch_id]
    found, others = [], []
    for batch_id in ids[-workspace.config.quality.pool_rounds :]:
        try:
            one = read_opinions(workspace, batch_id)
        except DataError:  # its folder was taken away: no reason not to judge this one
            others.append(batch_id)
            continue
        alike = one.assigned and _raters(one) == _raters(opinions) and one.guidelines == opinions.guidelines
        said = {i: verdicts_of(one.people[i], opinions.good) for i in one.blind} if alike else {}
        pairs = pair_up(said, workspace.config.seed, one.annotators)
        if pairs:
            found.append(_Round(batch_id, said, pairs))
        else:
            others.append(batch_id)
    notes = [f"batches {', '.join(others)} are not pooled: other people, another guideline, or no drawn overlap"]
    return found, notes if others else []


def _raters(opinions: BatchOpinions) -> set[str]:
    return {who for i in opinions.blind for who in opinions.people[i]}
