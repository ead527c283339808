"""The story of `activesel feedback`: events to images, rules over them, and what they become.

Weak labels, which train and never measure; labels that the line contradicts, for an expert; images to look at next.
"""

from __future__ import annotations

import contextlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from activesel.annotations import Annotation, LabelState, Resolution, Role
from activesel.catalog import Catalog
from activesel.catalog.annotations import RESOLVED
from activesel.errors import DataError
from activesel.feedback import (
    RULES,
    TYPES,
    UNNAMED,
    Findings,
    Reading,
    RuleReport,
    Setting,
    Story,
    Trust,
    Votes,
    find,
    report,
    vote,
)
from activesel.ids import unpack_ids
from activesel.labelmodel import fit_label_model
from activesel.labels import ImageLookup
from activesel.pipelines.batch_opinions import GOOD
from activesel.pipelines.events import drain_leftovers
from activesel.pipelines.tables import write_csv
from activesel.records import Event, IntArray
from activesel.workspace import Workspace, write_atomic, write_json

SOURCE = "activesel feedback"
BY = "line feedback"  # who decided, by which a later run knows its own
_UNFIT = (LabelState.weak, LabelState.rejected, LabelState.synthetic)  # no label of people
USES = ("weak", "adjudicate", "positives")


@dataclass(frozen=True)
class FeedbackTable:
    """n_events: of the types that rules read. n_joined: those about an image that is here. n_images: with any. n_known:
    those that people labelled. strangers: verdicts that are no class -> how often (`feedback.names` can say what they
    mean). rules: one each, in the order of RULES."""

    good: str
    classes: tuple[str, ...]
    n_events: int
    n_joined: int
    n_images: int
    n_known: int
    strangers: dict[str, int]
    rules: tuple[RuleReport, ...]


@dataclass(frozen=True)
class FeedbackRun:
    """n_weak: images with a weak label of the line now; counts: class -> images. n_dropped: earlier ones taken back.

    n_unsure: images that rules speak of, and not surely enough. n_doubted: labels that the line contradicts.
    n_look: images to look at next; examples: class -> images, in files below ``folder``.
    """

    table: FeedbackTable
    n_weak: int
    counts: dict[str, int]
    n_dropped: int
    n_unsure: int
    n_doubted: int
    n_look: int
    examples: dict[str, int]
    folder: Path


@dataclass(frozen=True)
class _Read:
    """stories: of images that are here and were not drawn to measure. known: (n,) class that people gave, -1 = none.

    taken: images whose label is someone else's weak one, or that are rejected. earlier: images of an earlier run.
    """

    stories: tuple[Story, ...]
    paths: Mapping[str, str]
    classes: tuple[str, ...]
    good: str
    known: IntArray
    taken: frozenset[str]
    earlier: frozenset[str]
    n_events: int
    n_joined: int


@dataclass(frozen=True)
class _Asked:
    read: _Read
    votes: Votes
    posterior: npt.NDArray[np.float64]
    table: FeedbackTable


def table_feedback(workspace: Workspace) -> FeedbackTable:
    """Ask the rules and describe each; writes nothing.

    Raises:
        DataError: fewer than two classes are known, or the settings name a rule that does not exist.
    """
    return _ask(workspace).table


def run_feedback(workspace: Workspace, *, dry_run: bool = False) -> FeedbackRun:
    """Ask the rules and let their words become what the settings say; the caller holds the workspace's lock.

    Only an image for which nothing better counts gets a weak label, and never one that was drawn to evaluate. Run
    again, it replaces what an earlier run left, and takes back what no longer holds.

    Raises:
        DataError: as table_feedback.
    """
    if not dry_run:
        drain_leftovers(workspace)
    asked = _ask(workspace)
    read, config = asked.read, workspace.config.feedback
    setting = Setting(read.classes, read.good, config.least_confidence)
    found = find(read.stories, asked.votes, asked.table.rules, read.known, asked.posterior, setting)
    weak = [Resolution(read.stories[row].image_id, read.classes[code], LabelState.weak, chance, BY)
            for row, code, chance in found.weak if read.stories[row].image_id not in read.taken]  # fmt: skip
    dropped = sorted(read.earlier - {one.image_id for one in weak})
    folder = workspace.state / "feedback"
    if not dry_run:
        _store(workspace, asked, weak, dropped)
        _write(folder, read, found)
    names = [str(one.name) for one in weak]
    return FeedbackRun(
        asked.table, len(weak), {name: names.count(name) for name in read.classes if name in names}, len(dropped),
        found.n_unsure, len(found.doubted), len(found.look), {k: len(v) for k, v in found.examples.items()}, folder,
    )  # fmt: skip


def read_contradictions(workspace: Workspace) -> dict[str, tuple[str, str]]:
    """Return image id -> its label when the line contradicted it, and the sentence; {} without a run."""
    with contextlib.suppress(FileNotFoundError):
        kept = json.loads((workspace.state / "feedback" / "contradictions.json").read_text(encoding="utf8"))
        return {image_id: (str(label), str(why)) for image_id, (label, why) in kept["contradictions"].items()}
    return {}


def _ask(workspace: Workspace) -> _Asked:
    config = workspace.config.feedback
    uses = _check_rules({use: getattr(config, use) for use in USES})
    read = _read(workspace)
    votes = vote(read.stories, Reading(read.good, config.considered_s, config.names), read.classes)
    n_classes = len(read.classes)
    balance = np.bincount(read.known[read.known >= 0], minlength=n_classes) + 1.0
    accuracy = workspace.config.weak.rule_accuracy
    posterior = fit_label_model(votes.codes, n_classes, balance, known=read.known, accuracy=accuracy).posterior
    rules = report(votes.codes, read.known, posterior, Trust(config.least_accuracy, config.least_known, uses))
    table = FeedbackTable(read.good, read.classes, read.n_events, read.n_joined, len(read.stories),
                          int((read.known >= 0).sum()), votes.strangers, rules)  # fmt: skip
    return _Asked(read, votes, posterior, table)


def _check_rules(by_use: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    uses: dict[str, tuple[str, ...]] = {}
    for use, names in by_use.items():
        for name in names:
            if name not in RULES:
                raise DataError("no such rule", where=f"feedback.{use}", found=name,
                                expected="one of " + ", ".join(RULES))  # fmt: skip
            uses[name] = (*uses.get(name, ()), use)
    return uses


def _read(workspace: Workspace) -> _Read:
    with Catalog.open(workspace.catalog_place) as catalog:
        ids_by_path, labels = catalog.resolve(), catalog.labels()
        drawn = set(unpack_ids(catalog.batches.picked_ids("evaluation")))
        resolutions = catalog.annotations.resolutions()
        events = list(catalog.events.read(TYPES))
        lost = {one.prediction_id for one in events if not one.image_id and one.prediction_id}
        predicted = catalog.events.images_of_predictions(lost)
    of_image = _join(events, predicted, ImageLookup(ids_by_path))
    unfit = {image_id for image_id, one in resolutions.items() if one.state in _UNFIT}
    known = {image_id: one.name for image_id, one in labels.items() if image_id not in unfit | drawn
             and not (one.source == RESOLVED and image_id not in resolutions)}  # fmt: skip
    good = workspace.config.embedding.good or _most_frequent(known)
    classes = tuple(sorted({*known.values(), good}))
    if len(classes) < 2:
        raise DataError("feedback chooses between two classes or more", where=str(workspace.root),
                        found=", ".join(classes), hint="label some images first")  # fmt: skip
    stories = tuple(Story(image_id, tuple(sorted(some, key=lambda one: one.time)))
                    for image_id, some in sorted(of_image.items()) if image_id not in drawn)  # fmt: skip
    index = {name: code for code, name in enumerate(classes)}
    truth = np.array([index.get(known.get(one.image_id, ""), -1) for one in stories], np.int64)
    paths: dict[str, str] = {}
    for path, image_id in sorted(ids_by_path.items()):
        paths.setdefault(image_id, path)
    taken = frozenset(image_id for image_id, one in resolutions.items() if one.by != BY)
    earlier = frozenset(image_id for image_id, one in resolutions.items() if one.by == BY and one.name is not None)
    return _Read(stories, paths, classes, good, truth, taken, earlier, len(events), sum(map(len, of_image.values())))


def _join(events: Iterable[Event], predicted: Mapping[str, str], lookup: ImageLookup) -> dict[str, list[Event]]:
    """Return the events of each image that is here; the others wait until theirs is."""
    found: dict[str, list[Event]] = defaultdict(list)
    known: dict[str, str | None] = {}
    for one in events:
        name = one.image_id or predicted.get(one.prediction_id, "")
        if name not in known:
            known[name] = _find_image(name, lookup)
        if (image_id := known[name]) is not None:
            found[image_id].append(one)
    return found


def _find_image(name: str, lookup: ImageLookup) -> str | None:
    if not name:
        return None
    try:
        return lookup.by_id(name) or lookup.by_path(name, Path("/"), where="an event")
    except DataError:
        return None  # an ending that several images have names none


def _most_frequent(known: Mapping[str, str]) -> str:
    names = list(known.values())
    return min(set(names), key=lambda name: (-names.count(name), name), default=GOOD)


def _store(workspace: Workspace, asked: _Asked, weak: list[Resolution], dropped: list[str]) -> None:
    """Record what each rule says, and what counts now."""
    read, names = asked.read, list(RULES)
    opinions = [
        Annotation(story.image_id, f"rule {names[column]}", Role.rule, read.classes[code], source=SOURCE,
                   external_id=f"{names[column]} {story.image_id}")
        for story, codes in zip(read.stories, asked.votes.codes.tolist(), strict=True)
        for column, code in enumerate(codes) if code >= 0
    ]  # fmt: skip
    gone = [Resolution(image_id, None, LabelState.raw, by=BY) for image_id in dropped]
    with Catalog.open(workspace.catalog_place) as catalog:
        catalog.annotations.add(opinions)
        catalog.annotations.resolve([*weak, *gone])


def _write(folder: Path, read: _Read, found: Findings) -> None:
    """Leave the files that `adjudicate` and `select` read, instead of those of an earlier run."""
    contradictions = {read.stories[row].image_id: [read.classes[read.known[row]], why] for row, why in found.doubted}
    (folder / "examples").mkdir(parents=True, exist_ok=True)
    write_json(folder / "contradictions.json", {"schema_version": 1, "contradictions": contradictions})
    head: list[object] = ["image_id", "path", "class", "reason"]
    rows: list[list[object]] = [[read.stories[row].image_id, read.paths[read.stories[row].image_id], name, why]
            for row, name, why in found.look]  # fmt: skip
    write_atomic(folder / "look.csv", write_csv([head, *rows]).encode("utf8", "backslashreplace"))
    files = {_file_name(name): rows for name, rows in found.examples.items()}
    for path in (folder / "examples").glob("*.txt"):
        if path.name not in files:
            path.unlink()
    for name, some in files.items():
        write_atomic(folder / "examples" / name, "".join(f"{read.stories[row].image_id}\n" for row in some))


def _file_name(name: str) -> str:
    return "unnamed.txt" if name == UNNAMED else f"{quote(name, safe='')[:200]}.txt"
