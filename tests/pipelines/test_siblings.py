"""A class of two images: judged by its siblings, cut to as many, on images that none of their variants saw."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from activesel.pipelines import siblings
from activesel.pipelines.prove import COPIES, REAL, ProveRequest, prove
from activesel.pipelines.siblings import find_siblings, keep_groups, measure_siblings
from activesel.pipelines.synthesise import GenerateRequest
from tests.pipelines.test_prove import TINY, open_room
from tests.synth.sets import write_set

CLASSES = ("dent", "pit", "stain")


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Scratches of four names: two of the rare one, ten of each sibling; the good ones have (empty) masks, too."""
    table = write_set(tmp_path / "data", n_good=20, n_bad=32)
    with table.open(encoding="utf8", newline="") as stream:
        reader = csv.DictReader(stream)
        names, rows = list(reader.fieldnames or ()), list(reader)
    bad = [row for row in rows if row["label"] == "scratch"]
    for row in rows:
        row["mask"] = row["mask"] or bad[0]["mask"]
    for number, row in enumerate(bad[2:]):
        row["label"] = CLASSES[number % len(CLASSES)]
    with table.open("w", encoding="utf8", newline="") as stream:
        writer = csv.DictWriter(stream, names)
        writer.writeheader()
        writer.writerows(rows)
    return table


def ask(labels: Path, out: Path) -> GenerateRequest:
    return GenerateRequest(labels, "scratch", out, count=4, seed=3, good="good", formats=(), gated=False)


def test_siblings_are_classes_with_masks_and_images_enough(labels: Path, tmp_path: Path) -> None:
    _, real = open_room(labels, tmp_path / "work")
    assert find_siblings(real, "scratch", 2) == CLASSES
    assert find_siblings(real, "dent", 2) == ("pit", "stain")  # never itself, never the good ones
    assert find_siblings(real, "scratch", 6) == ()  # ten cannot keep six and hold as many out


def test_a_side_keeps_as_many_groups_as_the_rare_class_has(labels: Path, tmp_path: Path) -> None:
    _, real = open_room(labels, tmp_path / "work")
    side, number = np.arange(0, len(real.paths), 2), real.number_of("pit")
    kept = keep_groups(real.labelled, side, number, 2, np.random.default_rng(0))
    classes = real.labelled.classes
    assert (classes[kept] == number).sum() == 2
    assert (classes[kept] != number).sum() == (classes[side] != number).sum()


def test_each_sibling_is_measured_in_every_draw(labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(siblings, "DRAWS", 2)
    room, real = open_room(labels, tmp_path / "work")
    gains = measure_siblings(ask(labels, tmp_path / "out"), room, real, 2, (REAL, COPIES))
    assert {rival: sorted(found) for rival, found in gains.items()} == {REAL: sorted(CLASSES), COPIES: sorted(CLASSES)}
    assert all(len(values) == 2 for found in gains.values() for values in found.values())
    again = measure_siblings(ask(labels, tmp_path / "out"), room, real, 2, (REAL, COPIES))
    assert again == gains


@pytest.mark.parametrize(("gain", "promoted"), [(0.2, True), (-0.2, False)])
def test_the_siblings_verdict_ships_or_does_not(
    labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gain: float, promoted: bool
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(siblings, "_measure", lambda *_: (gain, gain))
    proof = prove(ProveRequest(ask(labels, out), embed=False), None, TINY)
    assert proof.worth.is_promoted is promoted
    assert proof.worth.outcome == ("promoted by siblings" if promoted else "too few")
    assert (out / "weights.csv").exists() is promoted
    assert proof.siblings[REAL]["pit"] == [gain] * siblings.DRAWS
