"""What a batch report shows, as frozen values; the pipeline fills them in, the renderer only reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from activesel.records import FloatArray, Quarantined
from activesel.training.outlook import Worth

Kind = Literal["strategy", "explore", "evaluation"]

# Roles of a point on the map.
COVERED, UNCOVERED, LABELLED, PICKED = 0, 1, 2, 3


@dataclass(frozen=True)
class Run:
    """Where the batch comes from: everything a reader needs to trust and to repeat it.

    strategy_summary: one sentence, as people read it. vectors: backbone and dimension, or the user's file.
    notes: sentences the reader must not miss ("150 of 200: near-duplicate cap").
    versions: package -> version. command: the shell command that makes this batch again.
    """

    title: str
    created: str
    source: str
    strategy: str
    strategy_summary: str
    budget: int
    seed: int
    pool_size: int
    labelled_count: int
    vectors: str
    command: str
    versions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PickEntry:
    """One picked image. rank: 1 = first. scores: name -> 0..1 (NaN is left out). probability: of ``predicted``, 0..1.

    stands_for: how many unlabelled images are nearest to this one. label: the known class, if it was labelled since.
    """

    rank: int
    image_id: str
    path: str
    reason: str
    kind: Kind = "strategy"
    scores: Mapping[str, float] = field(default_factory=dict)
    predicted: str | None = None
    probability: float | None = None
    meta: Mapping[str, str] = field(default_factory=dict)
    stands_for: int | None = None
    label: str | None = None


# Returns JPEG, PNG or WebP bytes, or None where the image cannot be read; called for the first picks only, once each.
Thumbnailer = Callable[[PickEntry], bytes | None]


def no_thumbnail(_pick: PickEntry) -> bytes | None:
    """Stand in for a thumbnailer where there are no pictures."""
    return None


@dataclass(frozen=True)
class MapPoints:
    """The points of the 2-D map, in any order.

    xy: (p, 2) 0..1. roles: (p,) COVERED, UNCOVERED, LABELLED or PICKED. ranks: (p,) the pick's rank, 0 for the others.
    classes: (p,) index into class_names of the label, -1 = none. names: p file names for tooltips, or none at all.
    """

    xy: npt.NDArray[np.float32]
    roles: npt.NDArray[np.integer]
    ranks: npt.NDArray[np.integer]
    classes: npt.NDArray[np.integer]
    class_names: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        p = len(self.xy)
        lengths = (len(self.roles), len(self.ranks), len(self.classes), len(self.names) or p)
        assert self.xy.shape == (p, 2), f"xy is {self.xy.shape}, expected ({p}, 2)"
        assert lengths == (p,) * 4, f"{p} points, but columns of lengths {lengths}"


@dataclass(frozen=True)
class Coverage:
    """How near the pool is to what is known. Cosine distances, 0..2, inf where nothing is known.

    before: (n,) to the nearest labelled image, None without labels. after: (n,) to the nearest labelled or picked one.
    radius: the distance up to which an image counts as covered.
    """

    radius: float
    after: FloatArray
    before: FloatArray | None = None


@dataclass(frozen=True)
class ScoreSample:
    """One score of the pool (n,) and of the picks (b,), 0..1; NaN where it is not known.

    meaning: a few words on its direction ("high: the two likeliest classes are close").
    """

    name: str
    pool: FloatArray
    picked: FloatArray
    meaning: str = ""


@dataclass(frozen=True)
class BreakdownRow:
    """How often one value occurs."""

    value: str
    pool: int
    labelled: int
    picked: int


@dataclass(frozen=True)
class Breakdown:
    """The values of one column (station, line, predicted class), most frequent first."""

    column: str
    rows: tuple[BreakdownRow, ...]


@dataclass(frozen=True)
class QuarantineList:
    """Files that could not be used. counts: reason -> files, all of them. files: as many as are worth listing."""

    counts: Mapping[str, int] = field(default_factory=dict)
    files: tuple[Quarantined, ...] = ()


@dataclass(frozen=True)
class ReportData:
    """The whole report. What is None or empty leaves no trace on the page.

    thumbnail: draws a pick. odd_place: draws the part of it that is least like the pool, enlarged.
    worth: what this batch is expected to bring. worth_text: that in a sentence, or why there is no estimate.
    """

    run: Run
    picks: tuple[PickEntry, ...]
    settings_yaml: str
    thumbnail: Thumbnailer = no_thumbnail
    map: MapPoints | None = None
    coverage: Coverage | None = None
    scores: tuple[ScoreSample, ...] = ()
    breakdowns: tuple[Breakdown, ...] = ()
    quarantine: QuarantineList = QuarantineList()
    odd_place: Thumbnailer = no_thumbnail
    worth: Worth | None = None
    worth_text: str = ""
