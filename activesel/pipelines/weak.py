"""The story of `activesel weak`: rules over every image without a label, weighed against each other, stored as weak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activesel.annotations import Annotation, LabelState, Resolution, Role
from activesel.catalog import Catalog
from activesel.catalog.annotations import RESOLVED
from activesel.errors import DataError
from activesel.ids import unpack_ids
from activesel.labelmodel import RuleSummary, fit_label_model, summarise
from activesel.pipelines.gather import read_paths
from activesel.pipelines.tables import write_csv
from activesel.predictions import read_predictions
from activesel.records import FloatArray, ImageRow, IntArray
from activesel.weak import Item, LabellingFunction, apply_rules, load_rules
from activesel.workspace import Workspace, write_atomic

SOURCE = "activesel weak"
BY = "weak rules"  # who decided, by which a later run knows its own


@dataclass(frozen=True)
class WeakRequest:
    """classes: what rules may say, () = the labels at hand. predictions: what rules may read, None = nothing."""

    rules: Path
    classes: tuple[str, ...] = ()
    predictions: Path | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class WeakTable:
    """rules: one each. accuracy: rule -> share right on labelled images, None where it says nothing of any."""

    classes: tuple[str, ...]
    n_images: int
    n_known: int
    n_covered: int
    rules: tuple[RuleSummary, ...]


@dataclass(frozen=True)
class WeakRun:
    """n_weak: images with a weak label now; n_unsure: covered, and not sure enough. counts: class -> images. n_dropped:
    images whose earlier weak label no longer holds. accuracy: share of the labelled images that the rules, without
    being told those labels, name right, None without any."""

    table: WeakTable
    n_weak: int
    n_unsure: int
    n_dropped: int
    counts: dict[str, int]
    accuracy: float | None
    n_checked: int


@dataclass(frozen=True)
class _Voted:
    """votes: (n, r). known: (n,) classes that people gave, -1 = none. drawn to measure: not there at all."""

    rules: tuple[LabellingFunction, ...]
    classes: tuple[str, ...]
    rows: tuple[ImageRow, ...]
    votes: IntArray
    known: IntArray
    earlier: frozenset[str]


def table_rules(workspace: Workspace, request: WeakRequest) -> WeakTable:
    """Apply the rules and describe each; writes nothing.

    Raises:
        DataError: rules that fail, classes that nobody knows.
    """
    return _describe(_vote(workspace, request))


def run_rules(workspace: Workspace, request: WeakRequest) -> WeakRun:
    """Apply the rules, weigh them, and store what they say and what follows; the caller holds the workspace's lock.

    Only images for which nothing better counts get a weak label, and never one that was drawn to evaluate. Run again,
    it replaces its own weak labels and takes back those that no longer hold.

    Raises:
        DataError: rules that fail, classes that nobody knows.
    """
    voted, settings = _vote(workspace, request), workspace.config.weak
    n_classes = len(voted.classes)
    balance = np.bincount(voted.known[voted.known >= 0], minlength=n_classes) + 1.0
    model = fit_label_model(voted.votes, n_classes, balance, known=voted.known, accuracy=settings.rule_accuracy)
    blind = fit_label_model(voted.votes, n_classes, balance, accuracy=settings.rule_accuracy).posterior
    checked = (voted.known >= 0) & np.isfinite(blind[:, 0])
    right = blind[checked].argmax(axis=1) == voted.known[checked]
    resolutions, n_unsure = _resolve(voted, model.posterior, settings.least_confidence)
    dropped = voted.earlier - {one.image_id for one in resolutions}
    if not request.dry_run:
        _store(workspace, voted, resolutions, sorted(dropped), model.posterior)
    names = [one.name for one in resolutions]
    counts = {name: names.count(name) for name in voted.classes if name in names}
    return WeakRun(_describe(voted), len(resolutions), n_unsure, len(dropped), counts,
                   float(right.mean()) if len(right) else None, len(right))  # fmt: skip


def _vote(workspace: Workspace, request: WeakRequest) -> _Voted:
    rules = load_rules(request.rules)
    with Catalog.open(workspace.catalog_place) as catalog:
        rows, labels = catalog.images(), catalog.labels()
        drawn = set(unpack_ids(catalog.batches.picked_ids("evaluation")))
        resolutions = catalog.annotations.resolutions()
    weak = {image_id for image_id, one in resolutions.items() if one.state is LabelState.weak}
    taken = {image_id for image_id, one in resolutions.items() if one.by != BY}
    known = {image_id: one.name for image_id, one in labels.items() if image_id not in weak | drawn
             and not (one.source == RESOLVED and image_id not in resolutions)}  # fmt: skip
    # Of others' weak labels and rejected images nobody asks a rule; people's labels say how good it is.
    rows = [one for one in rows if one.image_id not in drawn and (one.image_id in known or one.image_id not in taken)]
    classes = request.classes or tuple(sorted(set(known.values())))
    if len(classes) < 2:
        raise DataError("rules choose between two classes or more", where=str(request.rules),
                        found=", ".join(classes) or "no label", hint="name them: --classes good,crack")  # fmt: skip
    items = _items(workspace, request, rows)
    index = {name: code for code, name in enumerate(classes)}
    truth = np.array([index.get(known.get(one.image_id, ""), -1) for one in rows], np.int64)
    earlier = frozenset(image_id for image_id, one in resolutions.items() if one.by == BY and one.name is not None)
    return _Voted(rules, classes, tuple(rows), apply_rules(rules, items, classes), truth, earlier)


def _items(workspace: Workspace, request: WeakRequest, rows: Sequence[ImageRow]) -> list[Item]:
    probs: FloatArray | None = None
    names: tuple[str, ...] = ()
    if request.predictions is not None:
        ids = [one.image_id for one in rows]
        found = read_predictions(request.predictions, read_paths(workspace), ids, max_missing=1.0)
        probs, names = found.probs, found.classes or ()
    max_pixels = round(workspace.config.ingest.max_megapixels * 1e6)
    items = []
    for i, row in enumerate(rows):
        said = {} if probs is None or np.isnan(probs[i]).any() else dict(zip(names, probs[i].tolist(), strict=False))
        items.append(Item(row.image_id, Path(row.path), dict(row.meta), said, max_pixels))
    return items


def _describe(voted: _Voted) -> WeakTable:
    names = tuple(one.name for one in voted.rules)
    covered = (voted.votes >= 0).any(axis=1)
    return WeakTable(voted.classes, len(voted.rows), int((voted.known >= 0).sum()), int(covered.sum()),
                     summarise(voted.votes, names, voted.known))  # fmt: skip


def _resolve(voted: _Voted, posterior: npt.NDArray[np.float64], least: float) -> tuple[list[Resolution], int]:
    found, n_unsure = [], 0
    for row, known, chances in zip(voted.rows, voted.known.tolist(), posterior, strict=True):
        if known >= 0 or np.isnan(chances[0]):
            continue
        best = int(chances.argmax())
        if chances[best] < least:
            n_unsure += 1
        else:
            found.append(Resolution(row.image_id, voted.classes[best], LabelState.weak, float(chances[best]), BY))
    return found, n_unsure


def _store(
    workspace: Workspace, voted: _Voted, resolutions: list[Resolution], dropped: list[str],
    posterior: npt.NDArray[np.float64],
) -> None:  # fmt: skip
    """Write what each rule says and what counts now; labels.csv last, from the same numbers."""
    opinions = [
        Annotation(row.image_id, f"rule {rule.name}", Role.rule, voted.classes[code], source=SOURCE,
                   external_id=f"{rule.name} {row.image_id}")
        for row, codes in zip(voted.rows, voted.votes.tolist(), strict=True)
        for rule, code in zip(voted.rules, codes, strict=True) if code >= 0
    ]  # fmt: skip
    gone = [Resolution(image_id, None, LabelState.raw, by=BY) for image_id in dropped]
    with Catalog.open(workspace.catalog_place) as catalog:
        catalog.annotations.add(opinions)
        catalog.annotations.resolve([*resolutions, *gone])
    table: list[list[object]] = [["image_id", "path", *(f"p_{name}" for name in voted.classes)]]
    for row, chances in zip(voted.rows, posterior, strict=True):
        if np.isfinite(chances[0]):
            table.append([row.image_id, row.path, *(f"{chance:.6f}" for chance in chances)])
    write_atomic(workspace.state / "weak" / "labels.csv", write_csv(table).encode("utf8", "backslashreplace"))
