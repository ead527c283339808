"""One version of the data to train and test on: what is in it, on which side, and what is left out and why.

Decides from records; where they come from and where versions lie is others' work.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from activesel.annotations import LabelState
from activesel.records import IntArray
from activesel.seeds import derive_seed
from activesel.splits import SIDES, TEST, TRAIN, UNKNOWN, commonest, deal_sides, merge_sides

SCHEMA_VERSION = 1
NEAR_EVALUATION = "shares a group with an evaluation image"
FROM_EVALUATION = "made from an evaluation image or its group"
WEAK_IN_TEST = "weak label in a group that tests or validates"


class Origin(StrEnum):
    """Where a label comes from: own people, a file, elsewhere (bought, public), a renderer, or rules and models."""

    first_party = "first_party"
    second_party = "second_party"
    third_party = "third_party"
    synthetic = "synthetic"
    weak = "weak"


@dataclass(frozen=True)
class Example:
    """One image that may be in the dataset.

    source: who decided, or the file. weight: of its loss, where a real image weighs 1. shapes: key of the annotation
    whose shapes count, "" for none. mask: path of a mask, "" for none. made_from: image ids of donor and host.
    evaluation: drawn at random to measure the model.
    """

    image_id: str
    path: str
    label: str
    state: LabelState
    origin: Origin
    source: str = ""
    confidence: float | None = None
    weight: float = 1.0
    shapes: str = ""
    mask: str = ""
    made_from: tuple[str, ...] = ()
    evaluation: bool = False


@dataclass(frozen=True)
class Entry:
    """An example on its side. group: the least image id of those that must stay together with it."""

    example: Example
    split: str
    group: str


@dataclass(frozen=True)
class Dataset:
    """head: what the version is besides its images, plain values. entries: by image id, ascending."""

    head: Mapping[str, Any]
    entries: tuple[Entry, ...]

    @property
    def version(self) -> str:
        """12 hex digits that follow from all of it."""
        return version_of(self.head)


@dataclass(frozen=True)
class Placed:
    """entries: by image id. left_out: image id -> why. n_moved: images that trained nobody before and do so now."""

    entries: tuple[Entry, ...]
    left_out: Mapping[str, str]
    n_moved: int


@dataclass(frozen=True)
class Shares:
    """Of the groups, 0..1, to validation and to test. With labelled evaluation images those alone are drawn to test."""

    validation: float
    test: float


def place(
    examples: Sequence[Example], groups: Mapping[str, str], shares: Shares, seed: int, earlier: Mapping[str, str]
) -> Placed:
    """Put every example on a side, or leave it out.

    groups: image id -> its group, of real images and of all that made ones were made from. earlier: image id -> its
    side in the version before. Rules, the first that applies: a group with an evaluation image tests, and its other
    images are left out, since nobody drew them at random; a group that something was made from trains; a group that
    had a side keeps it, train before the others where groups have joined; the rest is dealt. Made and weak images
    train or are left out.
    """
    tests = {groups[one.image_id] for one in examples if one.evaluation and not _is_made(one)}
    left_out = {one.image_id: why for one in examples if (why := _barred(one, groups, tests))}
    kept = sorted((one for one in examples if one.image_id not in left_out and one.label), key=lambda one: one.image_id)
    side_of = _deal(kept, groups, tests, shares, seed, earlier)
    entries = []
    for one in kept:
        group = _group_of(one, groups)
        side = TRAIN if _is_made(one) else side_of[group]
        if one.origin is Origin.weak and side != TRAIN:
            left_out[one.image_id] = WEAK_IN_TEST
        else:
            entries.append(Entry(one, SIDES[side], group))
    moved = sum(one.split == "train" and earlier.get(one.example.image_id, "train") != "train" for one in entries)
    return Placed(tuple(entries), dict(sorted(left_out.items())), moved)


def _is_made(one: Example) -> bool:
    return one.origin is Origin.synthetic


def _group_of(one: Example, groups: Mapping[str, str]) -> str:
    """A variant goes by its donor's group, its host's where there is no donor; one of unknown making by itself."""
    if not _is_made(one):
        return groups[one.image_id]
    return next((groups[source] for source in one.made_from if source in groups), one.image_id)


def _barred(one: Example, groups: Mapping[str, str], tests: set[str]) -> str:
    """Return why an example is left out whatever the deal; "" where it is not. Unlabelled ones are not told of."""
    if _is_made(one):
        return FROM_EVALUATION if any(groups.get(source) in tests for source in one.made_from) else ""
    if one.origin is Origin.weak and groups[one.image_id] in tests:
        return WEAK_IN_TEST
    return NEAR_EVALUATION if groups[one.image_id] in tests and not one.evaluation and one.label else ""


def _deal(
    kept: Sequence[Example], groups: Mapping[str, str], tests: set[str], shares: Shares, seed: int,
    earlier: Mapping[str, str],
) -> dict[str, int]:  # fmt: skip
    """Return the side of each group of the real images."""
    real = [one for one in kept if not _is_made(one)]
    names = sorted({groups[one.image_id] for one in real})
    number = {name: i for i, name in enumerate(names)}
    made_from = {groups[source] for one in kept if _is_made(one) for source in one.made_from if source in groups}
    known = np.full(len(names), UNKNOWN, np.int64)
    members: dict[str, list[Example]] = {name: [] for name in names}
    for one in real:
        members[groups[one.image_id]].append(one)
    for name, i in number.items():
        known[i] = _known_side(name, members[name], tests, made_from, earlier)
    drawn_test = any(one.evaluation for one in real)
    sides = deal_sides(_classes(real, groups, number), _order(members, seed), known,
                       (shares.validation, 0.0 if drawn_test else shares.test))  # fmt: skip
    return {name: int(sides[i]) for name, i in number.items()}


def _known_side(
    name: str, members: Sequence[Example], tests: set[str], made_from: set[str], earlier: Mapping[str, str]
) -> int:
    if name in tests:
        return TEST
    if name in made_from or all(one.origin is Origin.weak for one in members):
        return TRAIN
    return merge_sides([SIDES.index(earlier[one.image_id]) for one in members if one.image_id in earlier])


def _classes(real: Sequence[Example], groups: Mapping[str, str], number: Mapping[str, int]) -> IntArray:
    """Return each group's class (g,), by its labels that may test."""
    labels = sorted({one.label for one in real})
    code = {label: i for i, label in enumerate(labels)}
    told = [one for one in real if one.origin is not Origin.weak]
    return commonest(np.array([code[one.label] for one in told], np.int64),
                     np.array([number[groups[one.image_id]] for one in told], np.int64), len(number))  # fmt: skip


def _order(members: Mapping[str, Sequence[Example]], seed: int) -> IntArray:
    """Return a rank (g,) that depends on the seed and the images' ids alone."""
    drawn = [min(derive_seed(seed, "dataset", one.image_id) for one in some) for some in members.values()]
    return np.argsort(np.argsort(np.array(drawn, np.int64), kind="stable"))


def to_lines(entries: Sequence[Entry]) -> str:
    """Return JSON Lines, an image each, keys in a fixed order."""
    rows = []
    for one in entries:
        fields = asdict(one.example) | {"split": one.split, "group": one.group}
        rows.append(json.dumps(fields, separators=(",", ":")) + "\n")
    return "".join(rows)


def from_lines(text: str) -> tuple[Entry, ...]:
    """Return what to_lines wrote. Raises ValueError, KeyError or TypeError for anything else."""
    found = []
    for line in text.split("\n")[:-1]:
        fields = json.loads(line)
        split, group = str(fields.pop("split")), str(fields.pop("group"))
        fields |= {"state": LabelState(fields["state"]), "origin": Origin(fields["origin"]),
                   "made_from": tuple(fields["made_from"])}  # fmt: skip
        if split not in SIDES:
            raise ValueError(f"no side {split}")
        found.append(Entry(Example(**fields), split, group))
    return tuple(found)


def version_of(head: Mapping[str, Any]) -> str:
    """Return 12 hex digits of the SHA-256 of a head, which names its images' lines by their own."""
    text = json.dumps(head, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Difference:
    """Of two versions: image ids that came and went; image id -> (before, after) of those whose label, state or side
    is another; and those that trained in the first and test or validate in the second, which should be none."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    labels: Mapping[str, tuple[str, str]]
    states: Mapping[str, tuple[str, str]]
    splits: Mapping[str, tuple[str, str]]
    leaked: tuple[str, ...]


def compare(before: Sequence[Entry], after: Sequence[Entry]) -> Difference:
    """Say what changed from one version to another; all by image id, ascending."""
    old, new = ({one.example.image_id: one for one in some} for some in (before, after))
    both = sorted(old.keys() & new.keys())
    labels = {i: (old[i].example.label, new[i].example.label) for i in both}
    states = {i: (old[i].example.state.value, new[i].example.state.value) for i in both}
    splits = {i: (old[i].split, new[i].split) for i in both}
    leaked = [i for i, (was, now) in splits.items() if was == "train" != now]
    return Difference(tuple(sorted(new.keys() - old.keys())), tuple(sorted(old.keys() - new.keys())),
                      _changed(labels), _changed(states), _changed(splits), tuple(leaked))  # fmt: skip


def _changed(pairs: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    return {image_id: pair for image_id, pair in pairs.items() if pair[0] != pair[1]}
