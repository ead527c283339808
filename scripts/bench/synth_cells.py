"""The cells of bench_synth.py: how the real images are split, how an arm is measured, and cells that lack arms."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from activesel.errors import DataError
from activesel.pipelines.foldsets import Workroom
from activesel.pipelines.realset import RealSet
from activesel.promotion import average_precision
from activesel.seeds import derive_rng
from activesel.training.mixture import UNTESTED_SHARE, Labelled, Made, deal_folds, score_with
from bench.synth_arms import MIXED, REAL, UNFILTERED, Cell, fits, good_number, make_by_package
from bench.synth_peers import Generate


@dataclass(frozen=True)
class Split:
    """Rows of the real images of a cell: known, with 2k of the class, not labelled, and the test."""

    side: np.ndarray
    twice: np.ndarray
    unlabelled: np.ndarray
    test: np.ndarray


def split_cell(cell: Cell, real: RealSet) -> Split:
    """Halve the groups, and leave k images of the class on the side that may be trained on."""
    rng = derive_rng(cell.draw, "bench-synth", cell.name, cell.label)
    truth, number = real.labelled, real.number_of(cell.label)
    halves = deal_folds(truth.classes, truth.groups, 2, rng)
    side = np.flatnonzero(halves == 0)
    twice, known = (keep_k(truth, side, number, k, copy.deepcopy(rng)) for k in (2 * cell.k, cell.k))
    return Split(known, twice, np.setdiff1d(side, known), np.flatnonzero(halves == 1))


def keep_k(truth: Labelled, side: np.ndarray, number: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """Return the side's rows with k of the class left, of different groups as far as there are so many."""
    own = rng.permutation(side[truth.classes[side] == number])
    first = np.sort(np.unique(truth.groups[own], return_index=True)[1])
    order = np.concatenate([own[first], np.delete(own, first)])
    return np.sort(np.concatenate([side[truth.classes[side] != number], order[:k]]))


def list_lacking(cell: Cell, found: dict[str, Any], peers: dict[str, Generate | None]) -> dict[str, Generate]:
    """Return the arms of packages that are there, fit the class, and are not in the finished cell."""
    return {f"+ {peer}": generate for peer, generate in peers.items()
            if generate is not None and fits(peer, cell) and f"+ {peer}" not in found["arms"]}  # fmt: skip


def add_arms(
    found: dict[str, Any], lacking: dict[str, Generate], cell: Cell, real: RealSet, room: Workroom
) -> dict[str, Any]:
    """Return a finished cell with more arms, paired with those that it has.

    Raises:
        DataError: the real images alone score other than they did: other vectors, images or code, so no pair.
    """
    split, number, good = split_cell(cell, real), real.number_of(cell.label), good_number(cell, real)
    train, test = real.labelled.take(split.side), real.labelled.take(split.test)
    arms, speeds = {}, {}

    def note(arm: str, made: Made | None) -> None:
        arms[arm] = measure(score_with(train, made, UNTESTED_SHARE, test.vectors), test, number, good)

    note(REAL, None)
    if abs(arms[REAL]["ap"] - found["arms"][REAL]["ap"]) > 1e-6:
        raise DataError("a finished cell was measured otherwise", where=" ".join(map(str, vars(cell).values())),
                        found=f"{found['arms'][REAL]['ap']:.6f} of real images alone",
                        expected=f"{arms[REAL]['ap']:.6f}", hint="begin with an empty --work")  # fmt: skip
    for arm, generate in lacking.items():
        made, speeds[arm] = time_making(
            room, lambda arm=arm, generate=generate: make_by_package(
                arm, generate, cell, real, room, split.side, found["count"]))  # fmt: skip
        note(arm, replace(made, hosts=None))
        note(arm + MIXED, made)
    return {**found, "arms": put_before(found["arms"], UNFILTERED, arms),
            "images_per_s": put_before(found["images_per_s"], UNFILTERED, speeds)}  # fmt: skip


def put_before(known: dict[str, Any], mark: str, new: dict[str, Any]) -> dict[str, Any]:
    """Return both, what is new just before the key ``mark``; what is known stays as it is."""
    at = list(known).index(mark)
    items = list(known.items())
    return dict([*items[:at], *((key, value) for key, value in new.items() if key not in known), *items[at:]])


def time_making(room: Workroom, make: Callable[[], Made]) -> tuple[Made, float]:
    """Return what was made, and how many images a second of processor, embedding left out."""
    spent, started = room.embed_files.seconds, time.process_time()
    made = make()
    seconds = time.process_time() - started - (room.embed_files.seconds - spent)
    return made, len(made.vectors) / max(seconds, 1e-9)


def measure(scores: np.ndarray, test: Labelled, number: int, good: int | None) -> dict[str, float]:
    """Return the class's average precision, its recall where 1 % of good images are rejected (of all others, where
    none are good), and macro-F1."""
    from sklearn.metrics import f1_score

    own = test.classes == number
    threshold = np.quantile(scores[~own if good is None else test.classes == good, number], 0.99)
    return {"ap": float(average_precision(scores[:, number], own)[0]),
            "recall": float((scores[own, number] > threshold).mean()),
            "f1": float(f1_score(test.classes, scores.argmax(axis=1), average="macro"))}  # fmt: skip
