"""The images that models are tested on: which they are, how they are known again, what a model says of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activesel.catalog import Catalog
from activesel.dataset import Dataset, Entry, Origin
from activesel.errors import DataError
from activesel.models import PREDICTIONS, ModelCard
from activesel.pipelines.dataset_files import find_version, read_dataset
from activesel.pipelines.model_files import find_model, models_folder
from activesel.predictions.columns import read_names, read_probs, read_table
from activesel.records import BoolArray
from activesel.trainers.folder import check_files, read_card
from activesel.workspace import Workspace, write_json

FROZEN, STREAM = "frozen", "stream"
SCHEMA_VERSION = 1
_MOST_MISSING = 0.5  # of the test images; a comparison on fewer is about other images than the line's


@dataclass(frozen=True)
class Tested:
    """Labelled images that none of the models was trained on, by id, ascending.

    groups: (n,) 0..g-1. is_test: (n,), the others calibrate. is_stream: (n,) drawn at random to test; the rest of the
    test images is the frozen set. digest: of ids and labels of the test images, 16 hex digits; basis: of all.
    """

    dataset: str
    entries: tuple[Entry, ...]
    groups: npt.NDArray[np.int64]
    is_test: BoolArray
    notes: tuple[str, ...] = field(default=())

    @property
    def ids(self) -> list[str]:
        return [one.example.image_id for one in self.entries]

    @property
    def labels(self) -> list[str]:
        return [one.example.label for one in self.entries]

    @property
    def is_stream(self) -> BoolArray:
        return np.array([one.example.evaluation for one in self.entries], bool) & self.is_test

    @property
    def digest(self) -> str:
        return _digest([one for one, tests in zip(self.entries, self.is_test.tolist(), strict=True) if tests])

    @property
    def basis(self) -> str:
        return _digest(self.entries)


@dataclass(frozen=True)
class Sat:
    """One model before the test. probs: (n, c) over ``classes``, those the model does not know 0."""

    card: ModelCard
    probs: npt.NDArray[np.float32]


def read_model(workspace: Workspace, name: str | None) -> ModelCard:
    """Return the card of a model by id or alias; None = the newest. Its files are held against their hashes."""
    folder = models_folder(workspace) / find_model(workspace, name)
    card = read_card(folder)
    check_files(folder, card.files)
    return card


def gather_tested(workspace: Workspace, cards: Sequence[ModelCard], version: str | None = None) -> Tested:
    """Return the validation and test sides of a dataset version, less what one of the models was trained on.

    version: None = the newest, which may hold labels that came after a model. Groups that share an image with the
    training side of a model's own version are left out whole, and images that validated it do not test.

    Raises:
        DataError: no dataset, a group on two sides, or nothing left that tests.
    """
    dataset = read_dataset(workspace, find_version(workspace, version))
    _check_groups(dataset)
    trained, chosen = _seen(workspace, cards, dataset)
    kept, notes = _leave_out(dataset, trained, chosen)
    missing = _unpredicted(workspace, cards, [one.example.image_id for one in kept])
    n_tests = sum(one.split == "test" for one in kept)
    lost = sum(one.split == "test" and one.example.image_id in missing for one in kept)
    if not n_tests or lost > _MOST_MISSING * n_tests:
        raise DataError("too few images test", where=f"dataset {dataset.version}",
                        found=f"{n_tests} not trained on, of which {lost} have no prediction of every model",
                        hint="train again (activesel train --pool predicts every image), or label evaluation images"
                        )  # fmt: skip
    if lost:
        notes = (*notes, f"{lost} test images are left out: a model has no prediction of them")
    kept = [one for one in kept if one.example.image_id not in missing]
    number = {name: i for i, name in enumerate(sorted({one.group for one in kept}))}
    groups = np.array([number[one.group] for one in kept], np.int64)
    return Tested(dataset.version, tuple(kept), groups, np.array([one.split == "test" for one in kept]), notes)


def sit(workspace: Workspace, card: ModelCard, images: Tested, classes: Sequence[str]) -> Sat:
    """Return what a model says of the images, in the order of ``classes``."""
    said = _read_answers(workspace, card)
    probs = np.zeros((len(images.ids), len(classes)), np.float32)
    rows = [said.rows[one] for one in images.ids]
    for code, name in enumerate(card.classes):
        probs[:, list(classes).index(name)] = said.probs[rows, code]
    return Sat(card, probs)


def join_classes(cards: Sequence[ModelCard], images: Tested) -> tuple[str, ...]:
    """Return the first model's classes in its order, then what else the others or the labels have."""
    rest = {name for card in cards for name in card.classes} | set(images.labels)
    return (*cards[0].classes, *sorted(rest - set(cards[0].classes)))


def codes_of(images: Tested, classes: Sequence[str]) -> npt.NDArray[np.int64]:
    number = {name: code for code, name in enumerate(classes)}
    return np.array([number[label] for label in images.labels], np.int64)


def good_of(cards: Sequence[ModelCard], images: Tested) -> str | None:
    """Return the class without a defect, which all must share.

    Raises:
        DataError: they do not, or no image of it calibrates or tests, so that there is no threshold.
    """
    names = {card.good for card in cards}
    if len(names) > 1:
        raise DataError("the models do not agree on which class is good", found=", ".join(map(repr, sorted(
            names, key=str))), hint="train one of them again")  # fmt: skip
    good = names.pop()
    sides = {bool(tests) for label, tests in zip(images.labels, images.is_test, strict=True) if label == good}
    if good is not None and len(sides) < 2:
        side = "tests" if False in sides else "validates"
        raise DataError(f"no image of the good class {side}", where=f"dataset {images.dataset}", found=repr(good),
                        hint="see dataset.validation and dataset.test")  # fmt: skip
    return good


def place_of(workspace: Workspace, digest: str) -> Path:
    return workspace.state / "testsets" / f"{digest}.json"


def keep_test_set(workspace: Workspace, images: Tested) -> Path:
    """Write down which images test, with labels and the part they are of; the file is named by its content."""
    path = place_of(workspace, images.digest)
    if not path.exists():
        streams = images.is_stream.tolist()
        rows = [[one.example.image_id, one.example.label, STREAM if streams[i] else FROZEN]
                for i, one in enumerate(images.entries) if images.is_test[i]]  # fmt: skip
        write_json(path, {"schema_version": SCHEMA_VERSION, "images": rows})
    return path


def overlap_with(workspace: Workspace, images: Tested, digest: str) -> float:
    """Return the share of the test images that were in an earlier test set too, 0..1; 1 where nobody knows any more."""
    if digest == images.digest:
        return 1.0
    try:
        rows = json.loads(place_of(workspace, digest).read_bytes())["images"]
        earlier = {str(row[0]) for row in rows}
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return 1.0
    own = [one for one, tests in zip(images.ids, images.is_test.tolist(), strict=True) if tests]
    return sum(one in earlier for one in own) / max(1, len(own))


def read_columns(workspace: Workspace, images: Tested, most_values: int) -> dict[str, list[str | None]]:
    """Return the metadata columns with 2 to ``most_values`` values among the images: name -> a value per image."""
    from activesel.ids import pack_ids

    with Catalog.open(workspace.catalog_place) as catalog:
        known = catalog.list_images()
    at = known.find(pack_ids(images.ids))
    rows = known.take(at[at >= 0])
    meta = {row.image_id: row.meta for row in rows}
    names = sorted({name for one in meta.values() for name in one})
    columns = {name: [meta.get(one, {}).get(name) or None for one in images.ids] for name in names}
    return {name: values for name, values in columns.items() if 2 <= len(set(values) - {None}) <= most_values}


def _check_groups(dataset: Dataset) -> None:
    side: dict[str, str] = {}
    for one in dataset.entries:
        if one.example.origin is not Origin.synthetic and side.setdefault(one.group, one.split) != one.split:
            raise DataError("a group is on two sides", where=f"dataset {dataset.version}",
                            found=one.group, hint="run `activesel dataset build` again")  # fmt: skip


def _seen(workspace: Workspace, cards: Sequence[ModelCard], dataset: Dataset) -> tuple[set[str], set[str]]:
    """Return the ids that some model was trained on, and those that chose something for it."""
    trained: set[str] = set()
    chosen: set[str] = set()
    for version in {card.dataset for card in cards}:
        known = dataset if version == dataset.version else read_dataset(workspace, version)
        trained |= {one.example.image_id for one in known.entries if one.split == "train"}
        trained |= {source for one in known.entries for source in one.example.made_from}
        chosen |= {one.example.image_id for one in known.entries if one.split == "validation"}
    return trained, chosen


def _leave_out(
    dataset: Dataset, trained: Collection[str], chosen: Collection[str]
) -> tuple[list[Entry], tuple[str, ...]]:
    real = [one for one in dataset.entries if one.example.origin is not Origin.synthetic]
    tainted = {one.group for one in real if one.example.image_id in trained}
    held = [one for one in real if one.split != "train"]
    kept = [one for one in held if one.group not in tainted
            and not (one.split == "test" and one.example.image_id in chosen)]  # fmt: skip
    n_out = sum(one.split == "test" for one in held) - sum(one.split == "test" for one in kept)
    if not n_out:
        return kept, ()
    return kept, (f"{n_out} test images are left out: a model was trained on them, or on images of their group",)


def _unpredicted(workspace: Workspace, cards: Sequence[ModelCard], ids: Sequence[str]) -> set[str]:
    known = [_read_answers(workspace, card).rows for card in cards]
    return {one for one in ids if not all(one in rows for rows in known)}


@dataclass(frozen=True)
class _Said:
    """probs: (rows, c). rows: image id -> its row; images that left the catalog since are among them."""

    probs: npt.NDArray[np.float32]
    rows: Mapping[str, int]


def _read_answers(workspace: Workspace, card: ModelCard) -> _Said:
    path = models_folder(workspace) / card.model_id / PREDICTIONS
    table = read_table(path)
    probs, classes = read_probs(table, str(path))
    if probs is None or classes is None or tuple(classes) != card.classes:
        raise DataError("the predictions are not of the card's classes", where=str(path), found=str(classes),
                        expected=", ".join(card.classes), hint="train again")  # fmt: skip
    rows = {name: row for row, name in enumerate(read_names(table, str(path))) if name is not None}
    return _Said(probs, rows)


def _digest(entries: Sequence[Entry]) -> str:
    rows: Mapping[str, list[str]] = {one.example.image_id: [one.example.label, one.split] for one in entries}
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()[:16]
