"""How far people agree on parts of a batch: classes, annotators, stations, shapes; each from independent pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

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
from activesel.matching import ShapeAgreement, summarise
from activesel.pipelines.batch_opinions import BatchOpinions, encode
from activesel.seeds import derive_rng

CONFIDENCE = 0.95

Pair = tuple[str, str, str]  # image, first annotator, second annotator
Said = Mapping[str, Mapping[str, str]]


class Measure(Protocol):
    def __call__(
        self, name: str, table: npt.NDArray[np.int64], /, *, bound: float | None = None
    ) -> Agreement | None: ...


@dataclass(frozen=True)
class Row:
    """Agreement on a part of the batch. kind: class, annotator, station, pair."""

    kind: str
    name: str
    agreement: Agreement


def make_measure(seed: int, batch_id: str, classes: Sequence[str]) -> Measure:
    def measure(name: str, table: npt.NDArray[np.int64], *, bound: float | None = None) -> Agreement | None:
        if not table.sum():
            return None
        negative = 0 if len(table) == len(classes) else None
        rng = derive_rng(seed, "qc", batch_id, name)
        return measure_agreement(table, rng, confidence=CONFIDENCE, negative=negative, bound=bound)

    return measure


def tabulate(said: Said, pairs: Sequence[Pair], classes: Sequence[str]) -> npt.NDArray[np.int64]:
    first = encode((said[i][a] for i, a, _ in pairs), classes)
    second = encode((said[i][b] for i, _, b in pairs), classes)
    return count_table(first, second, max(2, len(classes)))


def split_by_class(table: npt.NDArray[np.int64], classes: Sequence[str], measure: Measure) -> list[Row]:
    """Each class but the good one against the rest."""
    return _rows("class", {name: one_vs_rest(table, k) for k, name in enumerate(classes) if k}, measure)


def split_by_annotator(
    said: Said, opinions: BatchOpinions, seed: int, measure: Measure, classes: Sequence[str]
) -> list[Row]:  # fmt: skip
    """Each annotator against another of every image, and each two annotators; with two, that is the overall table."""
    annotators = opinions.annotators
    if len(annotators) < 3:
        return []
    place = {name: number for number, name in enumerate(annotators)}
    codes = np.full((len(said), len(annotators)), -1, np.int64)  # (images, annotators), -1 = no opinion
    for row, of_image in enumerate(said.values()):
        codes[row, [place[name] for name in of_image]] = encode(of_image.values(), classes)
    lots = np.where(codes >= 0, derive_rng(seed, "against").random(codes.shape), 2.0)
    n_classes, rows = max(2, len(classes)), np.arange(len(said))
    against: dict[str, npt.NDArray[np.int64]] = {}
    both: dict[str, npt.NDArray[np.int64]] = {}
    for i, name in enumerate(annotators):
        others = lots.copy()
        others[:, i] = 2.0
        chosen = np.where(others.min(axis=1, initial=2.0) < 2.0, codes[rows, others.argmin(axis=1)], -1)
        against[name] = count_table(codes[:, i], chosen, n_classes)
        for j in range(i + 1, len(annotators)):
            both[f"{name} / {annotators[j]}"] = count_table(codes[:, i], codes[:, j], n_classes)
    return _rows("annotator", against, measure) + _rows("pair", both, measure)


def split_by_column(
    said: Said, pairs: Sequence[Pair], opinions: BatchOpinions, by: str, measure: Measure,
    classes: Sequence[str],
) -> list[Row]:  # fmt: skip
    of_value: dict[str, list[Pair]] = {}
    for pair in pairs:
        value = opinions.picks[pair[0]].meta.get(by, "") if pair[0] in opinions.picks else ""
        if value:
            of_value.setdefault(value, []).append(pair)
    return _rows(by, {value: tabulate(said, found, classes) for value, found in sorted(of_value.items())}, measure)


def _rows(kind: str, tables: Mapping[str, npt.NDArray[np.int64]], measure: Measure) -> list[Row]:
    measured = ((name, measure(f"{kind} {name}", table)) for name, table in tables.items())
    return [Row(kind, name, agreement) for name, agreement in measured if agreement is not None]


def measure_many(said: Said, classes: Sequence[str]) -> tuple[float | None, float | None]:
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


def compare_shapes(
    opinions: BatchOpinions, pairs: Sequence[Pair], least_iou: float, measure: Measure
) -> tuple[ShapeAgreement | None, list[Row]]:
    """Return how far the two of each pair drew the same, and whether they call it the same; None where nobody drew."""
    drawn = [(opinions.people[i][a].shapes, opinions.people[i][b].shapes) for i, a, b in pairs]
    if not any(first or second for first, second in drawn):
        return None, []
    found = summarise(drawn, least_iou)
    names = sorted({name for pair in found.names for name in pair})
    if len(names) < 2:
        return found, []
    first, second = (encode(column, names) for column in zip(*found.names, strict=True))
    return found, _rows("matched shapes", {"their class": count_table(first, second, len(names))}, measure)
