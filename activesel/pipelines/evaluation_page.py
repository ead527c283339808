"""What the page of `activesel evaluate` shows: figures, curves, and pictures of what the model gets wrong."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from activesel.errors import DataError
from activesel.evaluation import Answers, Worth
from activesel.images import thumbnail_jpeg
from activesel.models import ModelCard
from activesel.pipelines.tested import FROZEN, STREAM, Tested
from activesel.records import IntArray
from activesel.report.evaluation_page import Bar, EvaluationPage, Mistake, Picture, draw_curve, draw_reliability
from activesel.report.qc_page import Tile
from activesel.report.render import picture_url
from activesel.workspace import Workspace

_LOG = logging.getLogger(__name__)
MOST_KINDS = 12  # of mistakes; the rarest are left to evaluation.json
MOST_PICTURES = 8  # of one kind
MOST_SLICES = 60
RELIABILITY = {"defect": "probability of a defect, 1 - p(good)", "likeliest": "confidence in the likeliest class"}


def build_page(
    workspace: Workspace, card: ModelCard, classes: Sequence[str], images: Tested, answers: Answers, worth: Worth
) -> EvaluationPage:
    """Return the page, its pictures decoded."""
    has_good = worth.threshold is not None
    classes_shown = [one for one in worth.classes if one.code != answers.good]
    found = tuple(Bar(classes[one.code], one.n_groups, one.found, one.auprc) for one in classes_shown if one.found)
    named = tuple(Bar(classes[one.code], one.n_groups, one.f1, one.auprc) for one in worth.classes)
    slices = {name: one for name, one in worth.parts.items() if name not in (FROZEN, STREAM)}
    return EvaluationPage(
        f"{workspace.root.name}, model {card.model_id}", _lead(card, images), images.notes, _tiles(images, worth),
        found, named, tuple(Bar(_say_part(name), one.n_groups, one.recall, one.false_rejects)
                            for name, one in worth.parts.items() if name in (FROZEN, STREAM)),
        tuple(Bar(name, one.n_groups, one.recall, one.false_rejects)
              for name, one in list(slices.items())[:MOST_SLICES]),
        tuple(classes), tuple(tuple(row) for row in worth.confusion.tolist()),
        draw_curve(worth.curve, worth.false_rejects, worth.recall) if has_good else None, worth.rates,
        tuple(draw_reliability(title, worth.reliability[name]) for name, title in RELIABILITY.items()
              if name in worth.reliability),
        _mistakes(workspace, classes, images, answers, worth), images.digest,
    )  # fmt: skip


def _lead(card: ModelCard, images: Tested) -> str:
    return (f"Trainer {card.trainer}, dataset {card.dataset}; tested by dataset {images.dataset} on images that it was "
            "not trained on.")  # fmt: skip


def _tiles(images: Tested, worth: Worth) -> tuple[Tile, ...]:
    n_stream = int(images.is_stream.sum())
    tiles = [Tile("Test images", str(worth.n), f"{worth.n - n_stream} frozen, {n_stream} drawn at random; "
                  f"{worth.n_groups} parts")]  # fmt: skip
    shown = [("Recall", worth.recall, "of defects, at the threshold"),
             ("False rejects", worth.false_rejects, "of good parts, at the threshold"),
             ("AUPRC", worth.auprc, "defects against good"), ("Macro-F1", worth.macro_f1, "of the likeliest class"),
             ("Calibration error", worth.calibration, "0 = confidences mean what they say")]  # fmt: skip
    for name, one, note in shown:
        if one is not None:
            tiles.append(Tile(name, f"{one.value:.3f}", f"{one.low:.3f} to {one.high:.3f}; {note}"))
    return tuple(tiles)


def _say_part(name: str) -> str:
    return {FROZEN: "frozen test set", STREAM: "random stream"}[name]


def _mistakes(
    workspace: Workspace, classes: Sequence[str], images: Tested, answers: Answers, worth: Worth
) -> tuple[Mistake, ...]:
    """Return the kinds of mistake, the most frequent first, defects that pass as good before all others."""
    rows = np.flatnonzero(answers.is_test)
    said = answers.probs.argmax(axis=1)
    kinds: dict[str, IntArray] = {}
    if worth.threshold is not None:
        score = answers.score
        passed = rows[(score[rows] <= worth.threshold) & ~answers.is_good[rows]]
        rejected = rows[(score[rows] > worth.threshold) & answers.is_good[rows]]
        kinds["defects that are let pass"] = passed[np.argsort(score[passed], kind="stable")]
        kinds["good parts that are rejected"] = rejected[np.argsort(-score[rejected], kind="stable")]
    wrong = rows[said[rows] != answers.truth[rows]]
    pairs: dict[str, list[int]] = {}
    for row in wrong.tolist():
        pairs.setdefault(f"{classes[answers.truth[row]]} called {classes[said[row]]}", []).append(row)
    for name, members in sorted(pairs.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        sure = answers.probs[members, said[members]]
        kinds[name] = np.array(members)[np.argsort(-sure, kind="stable")]
    return tuple(
        Mistake(name, len(found), tuple(_picture(workspace, classes, images, answers, int(row))
                                        for row in found[:MOST_PICTURES]))
        for name, found in list(kinds.items())[:MOST_KINDS] if len(found)
    )  # fmt: skip


def _picture(workspace: Workspace, classes: Sequence[str], images: Tested, answers: Answers, row: int) -> Picture:
    example = images.entries[row].example
    likeliest = int(answers.probs[row].argmax())
    note = f"{example.label}; called {classes[likeliest]}, {answers.probs[row, likeliest]:.2f}"
    if answers.good is not None:
        note += f"; defect {answers.score[row]:.2f}"
    return Picture(_thumbnail(workspace, Path(example.path)), note, Path(example.path).name)


def _thumbnail(workspace: Workspace, path: Path) -> str | None:
    try:
        return picture_url(thumbnail_jpeg(path, longest_px=workspace.config.report.thumbnail_px,
                                          max_pixels=int(workspace.config.ingest.max_megapixels * 1e6)))  # fmt: skip
    except DataError as error:  # a file that went away spoils no report
        _LOG.warning("no picture: %s", error)
        return None
