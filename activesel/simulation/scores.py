"""How good an arm's models are on images that no round has seen, and what the arm has spent by then."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from activesel.catalog import Catalog
from activesel.models import PREDICTIONS, Alias
from activesel.pipelines.gather import read_paths
from activesel.pipelines.model_files import models_folder
from activesel.predictions import read_predictions
from activesel.rounds.record import Round
from activesel.simulation.labelling import count_spent
from activesel.simulation.people import Crowd
from activesel.workspace import Workspace, write_json

FALSE_REJECTS = 0.01


@dataclass(frozen=True)
class Point:
    """An arm after a round; round 0 = the first labels. n_labels: that count, the first included. n_defects: of them,
    by truth. wrong: share of labels that count and are not the truth. newest, champion: measure -> 0..1 on the test
    images, of the round's model and of the one that answers then. gate: what became of the round's model.
    """

    round: int
    n_labels: int
    n_defects: int
    wrong: float
    n_opinions: int
    minutes: float
    money: float
    newest: Mapping[str, float]
    champion: Mapping[str, float]
    gate: str
    n_variants: int


@dataclass(frozen=True)
class Exam:
    """The test images with their truth, and the class without a defect."""

    test: Sequence[str]
    crowd: Crowd
    good: str

    def mark(self, workspace: Workspace, model_id: str) -> dict[str, float]:
        """Return the measures of a model on the test images."""
        path = models_folder(workspace) / model_id / PREDICTIONS
        found = read_predictions(path, read_paths(workspace), list(self.test))
        assert found.probs is not None, path
        assert found.classes is not None, path
        names = self.crowd.classes
        probs = np.zeros((len(self.test), len(names)), np.float64)
        for column, name in enumerate(found.classes):
            probs[:, names.index(name)] = found.probs[:, column]
        truth = np.array([names.index(self.crowd.truth[i]) for i in self.test])
        return mark_probabilities(probs, truth, names.index(self.good))


def mark_probabilities(probs: np.ndarray[Any, Any], truth: np.ndarray[Any, Any], good: int) -> dict[str, float]:
    """Return macro_f1, auprc (mean over classes) and recall of defects where FALSE_REJECTS of the good are rejected.

    probs: (t, c). truth: (t,). good: index of the class without a defect. The threshold is the test images' own: it
    compares models, and is no promise.
    """
    from sklearn.metrics import average_precision_score, f1_score

    labels = np.unique(truth)
    precision = [average_precision_score(truth == number, probs[:, number]) for number in labels]
    score = 1 - probs[:, good]
    rejects = np.sort(score[truth == good])[::-1]
    threshold = rejects[min(int(FALSE_REJECTS * len(rejects)), len(rejects) - 1)] if len(rejects) else 0.0
    defects = truth != good
    return {
        "macro_f1": float(f1_score(truth, probs.argmax(axis=1), labels=labels, average="macro", zero_division=0)),
        "auprc": float(np.mean(precision)),
        "recall": float(np.mean(score[defects] > threshold)) if defects.any() else float("nan"),
    }


def measure(workspace: Workspace, current: Round, exam: Exam) -> Point:
    """Score what an arm has after a round."""
    crowd = exam.crowd
    spent = count_spent(workspace, crowd)
    with Catalog.open(workspace.catalog_place) as catalog:
        labels, aliases = catalog.labels(), catalog.models.aliases()
    known = {i: one.name for i, one in labels.items() if i in crowd.truth}
    model_id = str(current.result("train")["model"])
    newest = exam.mark(workspace, model_id)
    champion = aliases.get(Alias.champion)
    return Point(
        current.number, len(known), sum(crowd.truth[i] != exam.good for i in known),
        float(np.mean([crowd.truth[i] != name for i, name in known.items()])) if known else 0.0,
        spent.n_opinions, spent.minutes, spent.money, newest,
        newest if champion in (None, model_id) else exam.mark(workspace, champion),
        str(current.result("gate").get("outcome", "")), int(current.result("train").get("n_variants", 0)),
    )  # fmt: skip


def keep_point(path: Path, point: Point) -> None:
    """Write a point, atomically."""
    write_json(path, asdict(point))


def read_point(path: Path) -> Point | None:
    """Return what keep_point wrote, None where there is nothing."""
    return Point(**json.loads(path.read_text(encoding="utf8"))) if path.exists() else None
