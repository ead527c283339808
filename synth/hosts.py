"""Choose the images to draw defects into and open them when needed: picture, part, what is labelled already."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synth.errors import SynthError
from synth.files import file_id, read_mask
from synth.labels_file import LabelTable
from synth.part import GOLDEN_LEAST, find_golden_part, find_part, is_like
from synth.records import Example, Host, Image, Mask

Read = Callable[[Path], Image]  # raises SynthError for what it cannot decode; must survive pickling
GOOD_NAMES = ("good", "ok", "normal", "free", "clean", "no defect", "no_defect", "none")
_ENOUGH_GOOD = 5  # good images from which those with other defects are left alone
_GOLDEN_MOST = 25


@dataclass(frozen=True)
class HostCard:
    """A host that is not open yet. marks: its rows of the label file, whose masks and boxes stay clear."""

    path: str
    label: str
    group: str
    marks: tuple[Example, ...] = ()
    part: str | None = None


@dataclass(frozen=True)
class HostChoice:
    """good: the class without a defect, None if there is none. left_out: reason -> images."""

    cards: tuple[HostCard, ...]
    good: str | None
    left_out: Mapping[str, int]


def choose_hosts(table: LabelTable, label: str, good: str | None = None, part_mask: Path | None = None) -> HostChoice:
    """Return the images without a defect of class ``label``, the good ones alone if there are enough of them.

    good: the class without a defect; else the first of ``GOOD_NAMES`` that occurs, else the other class that half of
    the other rows or more are of, else there is none.
    Where good images are fewer than five, images of other classes are hosts too, as far as it is known where their
    defects are. part_mask: a picture of where the part is, for all rows that name none.

    Raises:
        SynthError: the good class has no row, or no host is left.
    """
    counts = {name: n for name, n in table.n_by_class.items() if name != label}
    if good is not None and good not in counts:
        raise SynthError("no image of this class", where=f"{table.source}: --good {good}",
                         found=", ".join(counts) or f"only {label}")  # fmt: skip
    good = good or _guess_good(counts)
    rows: dict[str, list[Example]] = defaultdict(list)
    for example in table.examples:
        rows[example.path].append(example)
    parts = {**dict.fromkeys(rows, str(part_mask)), **table.parts} if part_mask is not None else table.parts
    found, left_out = _sort_images(rows, label, good, parts)
    cards = [card for card in found if card.label == good]
    cards = cards if len(cards) >= _ENOUGH_GOOD else found
    if not cards:
        raise SynthError("no image to draw a defect into", where=table.source, found=_say(left_out),
                         expected=f"images of a class other than {label}, the good ones best")  # fmt: skip
    return HostChoice(tuple(cards), good, left_out)


def _guess_good(counts: Mapping[str, int]) -> str | None:
    """counts: rows of each other class, the most frequent first."""
    known = {name.lower(): name for name in counts}
    most = next((name for name, n in counts.items() if 2 * n >= sum(counts.values())), None)
    return next((known[name] for name in GOOD_NAMES if name in known), most)


def open_host(card: HostCard, read: Read, golden: tuple[Mask, Image] | None = None) -> Host:
    """Read a host. Its part: the mask that its row names, else a threshold, else the golden image's, else everywhere.

    Raises:
        SynthError: the picture or a mask cannot be read, or a mask has another size.
    """
    picture = read(Path(card.path))
    size = (picture.shape[0], picture.shape[1])
    part = read_mask(Path(card.part), size) if card.part is not None else find_part(picture)
    if part is None and golden is not None and is_like(picture, golden[1]):
        part = golden[0]
    if part is None:
        part = np.ones(size, np.bool_)
    taken = mark_taken(card.marks, size)
    return Host(file_id(Path(card.path)), card.path, card.group, card.label, picture, part, taken)


def mark_taken(marks: tuple[Example, ...], size: tuple[int, int]) -> Mask:
    """Return (h, w) where the image's own labels lie: masks, else the boxes."""
    taken = np.zeros(size, np.bool_)
    for mark in marks:
        if mark.mask is not None:
            taken |= read_mask(Path(mark.mask), size)
        elif mark.box is not None:
            x0, y0, x1, y1 = (max(0, round(side)) for side in mark.box)
            taken[y0:y1, x0:x1] = True
    return taken


def find_golden(cards: tuple[HostCard, ...], read: Read) -> tuple[Mask, Image] | None:
    """Return the part in the median of up to 25 hosts spread over the list, for hosts without a part mask.

    None where there are too few, their sizes differ, or the median shows no part. A host that is broken is skipped
    here; opening it later says so.
    """
    plain = [card for card in cards if card.part is None]
    if len(plain) < GOLDEN_LEAST:
        return None
    chosen = np.unique(np.linspace(0, len(plain) - 1, _GOLDEN_MOST).round().astype(int))
    pictures: list[Image] = []
    for i in chosen:
        try:
            pictures.append(read(Path(plain[i].path)))
        except SynthError:
            continue
        if pictures[-1].shape != pictures[0].shape:
            return None
    return find_golden_part(pictures)


def _sort_images(
    rows: Mapping[str, list[Example]], label: str, good: str | None, parts: Mapping[str, str]
) -> tuple[list[HostCard], dict[str, int]]:
    """Make a card of every image that may be a host, the good ones first; count the others by reason."""
    good_ones: list[HostCard] = []
    others: list[HostCard] = []
    left_out: Counter[str] = Counter()
    for path, marks in rows.items():
        labels = {mark.label for mark in marks}
        if label in labels:
            left_out[f"shows {label} itself"] += 1
        elif labels == {good}:
            located = tuple(mark for mark in marks if mark.mask or mark.box)
            good_ones.append(HostCard(path, str(good), marks[0].group, located, parts.get(path)))
        elif any(mark.mask is None and mark.box is None for mark in marks if mark.label != good):
            left_out["shows a defect, unknown where"] += 1
        else:
            other = next(mark.label for mark in marks if mark.label != good)
            others.append(HostCard(path, other, marks[0].group, tuple(marks), parts.get(path)))
    return [*good_ones, *others], dict(left_out)


def _say(left_out: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {reason}" for reason, n in left_out.items()) or "none"
