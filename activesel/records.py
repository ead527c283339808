"""The values that travel between layers: frozen, validated where they are made, arrays only where there are many."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from activesel.errors import hide_passwords
from activesel.journal import Journal, NoJournal

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class CatalogServer:
    """Where a catalog lies that a PostgreSQL server keeps; ``str`` of it never shows the password.

    url: as SQLAlchemy takes it. namespace: the schema its tables lie in, None = the database's default.
    """

    url: str = field(repr=False)
    namespace: str | None = None

    def __str__(self) -> str:
        return hide_passwords(self.url) + ("" if self.namespace is None else f" ({self.namespace})")


CatalogPlace = Path | CatalogServer


@dataclass(frozen=True)
class Event:
    """Something that happened on the line, known by its source and its id there (CloudEvents 1.0).

    type: as in activesel.events.schemas, "operator.override" say. image_id: the image as the line names it, by id or by
    path, empty where it names none. time: when it happened; received: when we were told, possibly much later; both UTC,
    ISO 8601 to the microsecond, so that they sort as text. data: checked by the type's schema.
    """

    source: str
    id: str
    type: str
    image_id: str
    prediction_id: str
    time: str
    received: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class DeadLetter:
    """What came as an event and is none. format: which reader refused it. payload: as it came, cut if it is long.

    letter_id: its number in the catalog, 0 before it is there.
    """

    format: str
    reason: str
    received: str
    payload: str
    letter_id: int = 0

    @property
    def digest(self) -> str:
        """64 hex digits: the same payload for the same reader has the same, however often it comes."""
        return hashlib.sha256(f"{self.format}\n{self.payload}".encode()).hexdigest()


@dataclass(frozen=True)
class ImageRow:
    """One distinct image: the same bytes under several names are one row with several paths."""

    image_id: str  # content hash, 32 hex digits
    path: str  # the first path it was seen under, absolute
    width_px: int
    height_px: int
    format: str  # PNG, JPEG, BMP, WEBP, TIFF
    meta: Mapping[str, str] = field(default_factory=dict)  # station, line, part, lot, time, ...


@dataclass(frozen=True)
class Label:
    """One opinion about one image."""

    image_id: str
    name: str  # the class, as the user writes it
    source: str  # the file it came from


@dataclass(frozen=True)
class Quarantined:
    """A file that cannot be used, and why."""

    path: str
    reason: str  # a short code: unreadable, empty, truncated, too-large, not-an-image
    detail: str


@dataclass(frozen=True)
class KnnGraph:
    """The k nearest neighbours of every row, itself excluded, nearest first.

    neighbours: (n, k) int32 row numbers, -1 where a row has fewer than k.
    similarity: (n, k) float32 cosine, -1..1; 0 where the neighbour is -1.
    """

    neighbours: npt.NDArray[np.int32]
    similarity: npt.NDArray[np.float32]

    @property
    def k(self) -> int:
        return int(self.neighbours.shape[1])


@dataclass(frozen=True)
class Quota:
    """Bounds on how many picks may, and must, carry each code of one column (station, line, predicted class, group).

    codes: (n,) int, -1 = not counted. high: (q,) int, at most. low: (q,) int, at least, as far as the pool has them.
    """

    name: str
    codes: IntArray
    high: IntArray
    low: IntArray


@dataclass(frozen=True)
class Pool:
    """Everything a strategy may look at: all rows of the pool, the labelled ones among them.

    vectors: (n, d) unit rows, float16 or float32, may be memory-mapped.
    labelled: (m,) row numbers. classes: (m,) class index of each, or None.
    candidates: (n,) bool, rows that may be picked; labelled rows never are. Rows that are neither are still covered.
    probs: (n, c) rows sum to 1, or None. mutual_information: (n,) BALD score 0..1, or None.
    uncertainty: (n,) 0..1, higher = more worth labelling, or None without a model.
    graph: kNN graph over all rows, or None where the strategy did not ask for one.
    exemplars: (q, d) unit rows of a rare class to look for, or None.
    quotas: caps on near-duplicate groups, stations, classes. cost: (n,) > 0 or None; budget is then in cost.
    device: where products over the vectors are computed, "cpu" or "cuda". journal: where a strategy leaves its state.
    counterexamples: (p,) labelled rows of other classes than the exemplars', or None where that is not known.
    reference: (r, d) unit rows that stand for the whole pool where these rows are a part of it, or None.
    """

    vectors: FloatArray
    labelled: IntArray
    candidates: BoolArray
    classes: IntArray | None = None
    probs: FloatArray | None = None
    mutual_information: FloatArray | None = None
    uncertainty: FloatArray | None = None
    graph: KnnGraph | None = None
    exemplars: FloatArray | None = None
    quotas: tuple[Quota, ...] = ()
    cost: FloatArray | None = None
    device: str = "cpu"
    journal: Journal = field(default_factory=NoJournal)
    counterexamples: IntArray | None = None
    reference: FloatArray | None = None

    @property
    def n(self) -> int:
        return int(self.vectors.shape[0])


@dataclass(frozen=True)
class Picks:
    """The chosen rows in the order of choosing.

    rows: (b,) row numbers of the pool, no row twice. gain: (b,) what each added to the strategy's own objective
    at the moment it was chosen (its score, its distance, its newly covered weight), higher = better.
    reasons: b sentences, filled in by the pipeline. propensity: (b,) chance that the row had of entering this batch
    at random, NaN where a strategy chose it. stands_for: (n,) int32 position in rows of the pick that each pool row is
    nearest to, -1 where a labelled row is nearer; None until the pipeline fills it in.
    notes: sentences for the user about the batch as a whole (fewer picks than asked for, and why).
    """

    rows: npt.NDArray[np.int64]
    gain: npt.NDArray[np.float64]
    reasons: tuple[str, ...] = ()
    propensity: npt.NDArray[np.float64] | None = None
    stands_for: npt.NDArray[np.int32] | None = None
    notes: tuple[str, ...] = ()
