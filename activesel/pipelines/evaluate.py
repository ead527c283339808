"""The story of `activesel evaluate`: what a model is worth on images that it has not seen, for programs and people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from activesel.evaluation import Answers, Worth, evaluate, finite
from activesel.models import EVALUATION, ModelCard
from activesel.pipelines.evaluation_page import build_page
from activesel.pipelines.model_files import models_folder
from activesel.pipelines.tested import (
    FROZEN,
    STREAM,
    Tested,
    codes_of,
    gather_tested,
    good_of,
    join_classes,
    keep_test_set,
    read_columns,
    read_model,
    sit,
)
from activesel.proof import Interval
from activesel.records import BoolArray
from activesel.report.evaluation_page import render_evaluation
from activesel.seeds import derive_rng
from activesel.workspace import Workspace, write_atomic, write_json

SCHEMA_VERSION = 1
PAGE = "evaluation.html"
MOST_VALUES = 30  # of a metadata column that cuts slices; with more, a slice is too small to say anything


@dataclass(frozen=True)
class Evaluated:
    """What was found. slices: name of a part, such as "station=2", -> its column. page, file: None of a dry run."""

    card: ModelCard
    classes: tuple[str, ...]
    images: Tested
    answers: Answers
    worth: Worth
    document: dict[str, Any]
    page: Path | None
    file: Path | None


def evaluate_model(
    workspace: Workspace, name: str | None = None, dataset: str | None = None, *, dry_run: bool = False
) -> Evaluated:
    """Measure a model and write evaluation.json and evaluation.html into its folder; the caller holds the lock.

    name: id or alias, None = the newest. dataset: the version that tests, None = the newest. Again is the same files.

    Raises:
        DataError: no model, or nothing to test on.
    """
    card = read_model(workspace, name)
    images = gather_tested(workspace, [card], dataset)
    classes, good = join_classes([card], images), good_of([card], images)
    probs = sit(workspace, card, images, classes).probs
    code = None if good is None else classes.index(good)
    answers = Answers(probs, codes_of(images, classes), images.groups, images.is_test, code)
    parts = _parts(workspace, images)
    gate = workspace.config.gate
    rng = derive_rng(workspace.config.seed, "evaluate", card.model_id, images.basis)
    worth = evaluate(answers, gate.false_rejects, rng, parts=parts, n_resamples=gate.resamples)
    document = to_json(card, classes, images, worth, gate.false_rejects)
    if dry_run:
        return Evaluated(card, classes, images, answers, worth, document, None, None)
    keep_test_set(workspace, images)
    folder = models_folder(workspace) / card.model_id
    page = render_evaluation(build_page(workspace, card, classes, images, answers, worth))
    write_atomic(folder / PAGE, page.encode("utf8", "backslashreplace"))
    write_json(folder / EVALUATION, document)
    return Evaluated(card, classes, images, answers, worth, document, folder / PAGE, folder / EVALUATION)


def to_json(
    card: ModelCard, classes: tuple[str, ...], images: Tested, worth: Worth, false_rejects: float
) -> dict[str, Any]:
    """Return all of it as plain values (docs/evaluation.md)."""
    n_stream, n_test = int(images.is_stream.sum()), int(images.is_test.sum())
    return {
        "schema_version": SCHEMA_VERSION, "model": card.model_id, "dataset": images.dataset, "good": card.good,
        "classes": list(classes), "test_set": images.digest,
        "images": {"test": n_test, FROZEN: n_test - n_stream, STREAM: n_stream,
                   "calibration": int((~images.is_test).sum()), "groups": worth.n_groups},
        "false_reject_rate": false_rejects, "threshold": worth.threshold,
        **{name: _interval(getattr(worth, name)) for name in
           ("recall", "false_rejects", "auprc", "macro_f1", "accuracy", "calibration", "classwise")},
        "per_class": [
            {"name": classes[one.code], "n": one.n, "groups": one.n_groups,
             **{name: _interval(getattr(one, name)) for name in
                ("found", "precision", "recall", "f1", "auprc", "calibration")}} for one in worth.classes],
        "parts": [{"name": name, "n": one.n, "defects": one.n_defects, "groups": one.n_groups,
                   "recall": _interval(one.recall), "false_rejects": _interval(one.false_rejects)}
                  for name, one in worth.parts.items()],
        "rates": [{"false_reject_rate": one.rate, "recall": _interval(one.recall),
                   "false_rejects": _interval(one.false_rejects)} for one in worth.rates],
        "reliability": {name: {"error": _interval(one.error), "bins": [asdict(each) for each in one.bins]}
                        for name, one in worth.reliability.items()},
        "confusion": worth.confusion.tolist(), "notes": list(images.notes),
    }  # fmt: skip


def _parts(workspace: Workspace, images: Tested) -> Mapping[str, BoolArray]:
    """Return the parts of the test set and the slices of the metadata, by name: "frozen", "station=2"."""
    parts: dict[str, npt.NDArray[np.bool_]] = {FROZEN: images.is_test & ~images.is_stream, STREAM: images.is_stream}
    for name, values in read_columns(workspace, images, MOST_VALUES).items():
        for value in sorted({value for value in values if value is not None}):
            parts[f"{name}={value}"] = np.array([one == value for one in values], bool)
    return parts


def _interval(found: Interval | None) -> dict[str, float | None] | None:
    return None if found is None else {name: finite(value) for name, value in asdict(found).items()}
