"""What the monitors look at, what they answer, and from where on it matters; values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from activesel.anchoring import Anchoring
from activesel.drift import Drift
from activesel.proof import Interval
from activesel.records import BoolArray, FloatArray, IntArray


class State(StrEnum):
    """act: somebody should do something now. unknown: there is something to look at, and too little of it to tell.
    absent: nothing of the kind is recorded here, so nobody looks."""

    quiet = "quiet"
    act = "act"
    unknown = "unknown"
    absent = "absent"


@dataclass(frozen=True)
class Limits:
    """From where on it matters; configs/default.yaml has values and reasons. false_alarms: share of runs over which
    nothing has changed that may say act, all tests of a run together. budget: images of a command that is proposed."""

    false_alarms: float
    confidence: float
    least_explore: float
    least_labels: int
    most_by_model: float
    recall_drop: float
    surprise: float
    most_unseen: float
    anchoring: float
    override_ratio: float
    drift: float
    domain_auc: float
    stale_days: float
    budget: int = 100


@dataclass(frozen=True)
class Labelled:
    """Picks that have a label by now, images for evaluation left out: (n,) each.

    classes: index into names. predicted: what the model said of it when it was picked, -1 unknown. sure: how sure it
    was, 0..1, NaN unknown. explored: drawn at random. rounds: in which batch, 0..t-1. groups: near-duplicates.
    pool_sizes: (t,) images that each batch drew from, 0 unknown. before: classes of labels older than every batch.
    """

    names: tuple[str, ...]
    good: int
    classes: IntArray
    predicted: IntArray
    sure: FloatArray
    explored: BoolArray
    rounds: IntArray
    groups: IntArray
    pool_sizes: FloatArray
    before: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Regions:
    """Look-alikes of the pool, (g,) each. images: that they hold. picked: labelled or picked ones. covered: share 0..1
    of them near a labelled image. files: image ids to look at, by region, where they were written."""

    images: IntArray
    picked: IntArray
    covered: FloatArray
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Overrides:
    """What people at the line made of predictions, by a value of one column ("station"): value -> (overridden,
    predictions). Given without a value they are under ""."""

    column: str
    counts: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Signals:
    """Everything; what a workspace does not have is None or empty. by_model: labels that count and that only a model or
    rule gave, of how many. ages: days since, by what. n_evaluation: labels drawn for evaluation."""

    labelled: Labelled | None = None
    n_evaluation: int = 0
    by_model: tuple[int, int] | None = None
    anchoring: Anchoring | None = None
    regions: Regions | None = None
    overrides: tuple[Overrides, ...] = ()
    drifts: tuple[Drift, ...] = ()
    window: str = ""
    ages: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """What one monitor says. subject: the class, station, number looked at, "" for the whole. value: in a few words.
    p: chance of as much were all well, where there is a test; acting then takes that all tests together allow it.
    command: what to run next. span: value with its interval, 0..1, for the page; limit: from where on it matters."""

    monitor: str
    state: State
    value: str
    reason: str = ""
    subject: str = ""
    p: float | None = None
    command: str = ""
    span: Interval | None = None
    limit: float | None = None
