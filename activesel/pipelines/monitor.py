"""The story of `activesel monitor`: read the signals, hold them against the limits, say what to do. Judges nothing."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from activesel.drift import Drift, compare_classes, compare_numbers, compare_vectors, stability_index
from activesel.exploration import LineEstimate, estimate_line, round_weights
from activesel.monitoring import Labelled, Limits, Reading, Regions, Signals, State, judge, watch
from activesel.pipelines.anchoring import read_anchoring
from activesel.pipelines.gather import Gathered, SelectRequest, gather
from activesel.pipelines.monitor_sources import (
    Word,
    count_by_model,
    find_good,
    find_regions,
    group_alike,
    look_at_images,
    read_ages,
    read_labelled,
    read_overrides,
    read_word,
)
from activesel.pipelines.windows import Sides, read_sides
from activesel.records import BoolArray, FloatArray
from activesel.seeds import derive_rng
from activesel.workspace import Workspace, write_atomic

MOST_ROWS = 2000  # of a side, whose near-duplicates are looked for before a classifier compares
MOST_NAMED = 64  # images of a region in its file


@dataclass(frozen=True)
class MonitorRequest:
    """window, reference: as of read_sides; None = by time, if an image has one. embeddings, ids: the user's vectors."""

    window: str | None = None
    reference: str | None = None
    embeddings: Path | None = None
    ids: Path | None = None


@dataclass(frozen=True)
class Watched:
    """All that was found. state: act, unknown or quiet. samples: name -> numbers before and recent, for plots.
    shares: class -> share before and recent, by the model's word. stability: index of those, None without."""

    state: State
    readings: tuple[Reading, ...]
    signals: Signals
    line: LineEstimate | None
    sides: Sides | None
    samples: Mapping[str, tuple[FloatArray, FloatArray]] = field(default_factory=dict)
    shares: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    stability: float | None = None
    notes: tuple[str, ...] = ()


def watch_workspace(workspace: Workspace, request: MonitorRequest, folder: Path | None) -> Watched:
    """Look at everything; the caller holds the workspace's lock, for images may be embedded.

    folder: where lists of regions' images are written for the next command; None = nowhere.

    Raises:
        DataError: no images, or a window that cannot be read.
    """
    gathered = gather(workspace, SelectRequest(1.0, embeddings=request.embeddings, ids=request.ids))
    sides = read_sides(workspace, gathered.images, gathered.labelled, request.window, request.reference)
    good = find_good(workspace, gathered.class_names, gathered.classes)
    labelled, n_evaluation = read_labelled(workspace, good)
    limits = read_limits(workspace)
    compared = _compare(workspace, gathered, sides, good) if sides is not None else _Compared()
    signals = Signals(
        labelled, n_evaluation, count_by_model(workspace), read_anchoring(workspace),
        _regions(workspace, gathered, folder), read_overrides(workspace, gathered.images), compared.drifts,
        sides.told if sides is not None else "", read_ages(workspace, datetime.now(UTC)),
    )  # fmt: skip
    readings = watch(signals, limits)
    notes = [] if sides is not None else ["no image has a time: name recent ones with --window to see drift"]
    return Watched(judge(readings), readings, signals, estimate_arms(labelled, limits.confidence), sides,
                   compared.samples, compared.shares, compared.stability, (*notes, *compared.notes))  # fmt: skip


def read_limits(workspace: Workspace) -> Limits:
    """Return the limits of the settings."""
    settings = workspace.config.monitoring.model_dump(exclude={"good", "batches", "images"})
    return Limits(**settings)


def estimate_arms(labelled: Labelled | None, confidence: float) -> LineEstimate | None:
    """Return what the random images, and those chosen for sure, say about the line; None without random ones."""
    if labelled is None or not (labelled.explored & (labelled.predicted >= 0)).any():
        return None
    known = (labelled.predicted >= 0) & (labelled.pool_sizes[labelled.rounds] > 0)
    if not (known & labelled.explored).any():
        return None
    weights, certain = round_weights(labelled.rounds[known], labelled.explored[known], labelled.pool_sizes)
    classes, predicted = labelled.classes[known], labelled.predicted[known]
    return estimate_line(
        classes != labelled.good, predicted != labelled.good, predicted != classes, weights, confidence, certain=certain
    )


def _regions(workspace: Workspace, gathered: Gathered, folder: Path | None) -> Regions:
    """Find the regions, and write the images of those that nothing was picked from where a command finds them."""
    regions, typical = find_regions(gathered, workspace.config.seed)
    files = []
    for number, rows in enumerate(typical):
        path = folder / f"region_{number + 1}.txt" if folder is not None and not regions.picked[number] else None
        if path is not None:
            write_atomic(path, "".join(f"{name}\n" for name in gathered.images.names(rows[:MOST_NAMED])))
        files.append("" if path is None else shlex.quote(str(path)))
    return replace(regions, files=tuple(files))


@dataclass(frozen=True)
class _Compared:
    drifts: tuple[Drift, ...] = ()
    samples: Mapping[str, tuple[FloatArray, FloatArray]] = field(default_factory=dict)
    shares: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    stability: float | None = None
    notes: tuple[str, ...] = ()


def _compare(workspace: Workspace, gathered: Gathered, sides: Sides, good: str) -> _Compared:
    """Compare images, vectors, scores and classes of both sides."""
    seed, samples = workspace.config.seed, dict[str, tuple[FloatArray, FloatArray]]()
    found: list[Drift | None] = [_compare_vectors(workspace, gathered, sides)]
    if workspace.config.monitoring.images:
        before = look_at_images(workspace, gathered.images, sides.reference, "reference")
        recent = look_at_images(workspace, gathered.images, sides.recent, "recent")
        for name in before:
            samples[name] = (before[name], recent[name])
            found.append(compare_numbers(name, "image", *samples[name]))
    word = read_word(workspace, gathered)
    notes = ("no model says anything yet: scores and classes are not compared",)
    shares: dict[str, tuple[float, float]] = {}
    stability = None
    if word is not None:
        notes = (f"scores and classes are those of {word.by}",)
        one, other = _split(word, sides)
        if good in word.classes:
            column = word.classes.index(good)
            samples["defect score"] = (1 - word.probs[one, column], 1 - word.probs[other, column])
            found.append(compare_numbers("defect score", "score", *samples["defect score"]))
        classes = word.probs.argmax(axis=1)
        found.append(compare_classes("predicted", classes[one], classes[other], derive_rng(seed, "drift-classes")))
        n = len(word.classes)
        counts = [np.bincount(classes[side], minlength=n) for side in (one, other)]
        stability = stability_index(*counts) if one.any() and other.any() else None
        shares = {name: (float(counts[0][c] / max(1, one.sum())), float(counts[1][c] / max(1, other.sum())))
                  for c, name in enumerate(word.classes)}  # fmt: skip
    return _Compared(tuple(one for one in found if one is not None), samples, shares, stability, notes)


def _split(word: Word, sides: Sides) -> tuple[BoolArray, BoolArray]:
    return sides.reference[word.rows], sides.recent[word.rows]


def _compare_vectors(workspace: Workspace, gathered: Gathered, sides: Sides) -> Drift | None:
    rng = derive_rng(workspace.config.seed, "drift-vectors")
    rows = [np.sort(rng.permutation(np.flatnonzero(side))[:MOST_ROWS]) for side in (sides.reference, sides.recent)]
    both = np.asarray(gathered.vectors[np.concatenate(rows)], np.float32)
    groups = group_alike(workspace, both)
    n = len(rows[0])
    return compare_vectors("all", both[:n], both[n:], rng, groups=(groups[:n], groups[n:]))
