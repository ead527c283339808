"""Packages' generators as arms of bench_synth.py: where they fit, on the same hosts, added to finished cells once."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from bench.synth_arms import PLAIN, Cell, change_rgb, find_absent, fits, grey_as, make_by_package
from bench.synth_cells import MIXED, REAL, add_arms, list_lacking, measure, put_before, split_cell
from bench.synth_page import render_page
from bench.synth_peers import load_peers
from bench_synth import bring_up_to_date

from activesel.errors import DataError
from activesel.pipelines.foldsets import Workroom
from activesel.pipelines.realset import RealSet
from activesel.training.mixture import Labelled, score_with
from synth.files import read_image
from synth.records import Image
from tests.synth.made import surface

CELL = Cell("magnetic_tile", "crack", 3, 0)
ANOMALIB, CRACKS = "anomalib 2.7.0, Perlin", "defect-synthesis 0.1.0, crack"
FIGURES = {"ap": 0.5, "recall": 0.5, "f1": 0.5}


def darken(picture: Image) -> Image:
    """A generator that draws from the global generator, as both packages do."""
    changed = picture.copy()
    changed[: int(np.random.randint(5, 20))] //= 2  # noqa: NPY002
    return changed


class Levels:
    """Stands in for the embedder: unit rows of the mean level in eight bands."""

    seconds = 0.0

    def __call__(self, paths: Sequence[Path], kept: Path) -> np.ndarray:  # noqa: ARG002
        return embed([read_image(path) for path in paths])


def embed(pictures: Sequence[Image]) -> np.ndarray:
    rows = np.array([[band.mean() for band in np.array_split(one, 8)] for one in pictures], np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


@pytest.fixture
def real(tmp_path: Path) -> RealSet:
    """12 cracked and 24 good grey images, each a group of its own."""
    pictures, paths = [surface((40, 40), seed=i) for i in range(36)], []
    for i, picture in enumerate(pictures):
        if i < 12:
            picture[:10] //= 2
        paths.append(str(tmp_path / f"{i}.png"))
        cv2.imwrite(paths[-1], picture)
    labelled = Labelled(embed(pictures), (np.arange(36) >= 12).astype(np.int64), np.arange(36), 2)
    return RealSet(SimpleNamespace(examples=[]), tuple(paths), ("crack", "free"), labelled, ())  # type: ignore[arg-type]


@pytest.fixture
def room(tmp_path: Path) -> Workroom:
    return Workroom(tmp_path / "room", None, Levels())  # type: ignore[arg-type]


@pytest.fixture
def finished(real: RealSet) -> dict[str, Any]:
    """A cell as one without packages is: its real images alone have their true figures."""
    split = split_cell(CELL, real)
    train, test = real.labelled.take(split.side), real.labelled.take(split.test)
    alone = measure(score_with(train, None, 0.0, test.vectors), test, 0, 1)
    return {**vars(CELL), "count": 6, "arms": {REAL: alone, "+ cut-paste": FIGURES, "ours, unfiltered": FIGURES},
            "images_per_s": {"+ cut-paste": 9.0, "ours, unfiltered": 1.0}}  # fmt: skip


def test_a_class_gets_the_recipes_that_show_it_and_every_class_what_is_of_none() -> None:
    assert fits(CRACKS, CELL)
    assert fits("defect-synthesis 0.1.0, scratch", CELL)
    assert not fits("defect-synthesis 0.1.0, pit", CELL)
    assert not fits(CRACKS, Cell("magnetic_tile", "break", 3, 0))
    assert fits(ANOMALIB, Cell("magnetic_tile", "break", 3, 0))


def test_what_is_not_installed_is_no_arm_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.synth_peers.distributions", list)
    peers = load_peers(tmp_path)
    cells = [{"name": "magnetic_tile", "label": label, "arms": {REAL: FIGURES}} for label in ("crack", "break")]
    assert set(peers.values()) == {None}
    assert not list_lacking(CELL, cells[0], peers)
    said = find_absent(cells, peers)
    assert said[0].startswith("anomalib, not installed")
    assert "break of magnetic_tile" in said[-1]
    cells[0]["arms"] = {f"+ {ANOMALIB}": FIGURES}
    assert not any(one.startswith("anomalib") for one in find_absent(cells, peers))


def test_arms_are_added_in_their_place_and_what_is_known_stays(
    finished: dict[str, Any], real: RealSet, room: Workroom
) -> None:
    lacking = list_lacking(CELL, finished, {ANOMALIB: darken, CRACKS: darken, "defect-synthesis 0.1.0, pit": darken})
    assert list(lacking) == [f"+ {ANOMALIB}", f"+ {CRACKS}"]
    more = add_arms(finished, lacking, CELL, real, room)
    names = [f"+ {ANOMALIB}", f"+ {ANOMALIB}{MIXED}", f"+ {CRACKS}", f"+ {CRACKS}{MIXED}"]
    assert list(more["arms"]) == [REAL, "+ cut-paste", *names, "ours, unfiltered"]
    assert {arm: more["arms"][arm] for arm in finished["arms"]} == finished["arms"]
    assert list(more["images_per_s"]) == ["+ cut-paste", f"+ {ANOMALIB}", f"+ {CRACKS}", "ours, unfiltered"]
    assert not list_lacking(CELL, more, {ANOMALIB: darken, CRACKS: darken})
    again = add_arms(finished, dict(reversed(lacking.items())), CELL, real, room)
    assert {arm: again["arms"][arm] for arm in names} == {arm: more["arms"][arm] for arm in names}


def test_packages_get_the_same_good_images_and_the_same_numbers_again(real: RealSet, room: Workroom) -> None:
    side = split_cell(CELL, real).side

    def make(arm: str) -> Any:
        return make_by_package(arm, darken, CELL, real, room, side, 6)

    first, other = make("+ one"), make("+ other")
    assert (make("+ one").vectors == first.vectors).all()
    assert (other.hosts == first.hosts).all()
    assert (other.vectors != first.vectors).any()
    assert set(first.sources[:, 0]) <= set(side[side >= 12])


def test_a_cell_of_other_vectors_is_not_added_to(finished: dict[str, Any], real: RealSet, room: Workroom) -> None:
    finished["arms"][REAL]["ap"] -= 0.01
    with pytest.raises(DataError, match="measured otherwise"):
        add_arms(finished, {f"+ {CRACKS}": darken}, CELL, real, room)


def test_nothing_is_measured_twice_and_no_cell_begun_unasked(
    tmp_path: Path, finished: dict[str, Any], real: RealSet, room: Workroom
) -> None:
    calls: list[int] = []

    def count(picture: Image) -> Image:
        calls.append(1)
        return darken(picture)

    path, args = tmp_path / "cell.json", argparse.Namespace(no_new_cells=True, count=6)
    peers: dict[str, Callable[[Image], Image] | None] = {CRACKS: count, ANOMALIB: None}
    assert not bring_up_to_date(path, CELL, real, room, args, peers)
    assert not path.exists()
    path.write_text(json.dumps(finished), encoding="utf8")
    assert bring_up_to_date(path, CELL, real, room, args, peers)
    assert not bring_up_to_date(path, CELL, real, room, args, peers)
    assert len(calls) == 6
    assert f"+ {CRACKS}" in json.loads(path.read_text(encoding="utf8"))["arms"]


def test_a_grey_host_stays_grey_and_a_coloured_one_is_left_alone() -> None:
    host = np.full((4, 4, 3), 90, np.uint8)
    stained = host.copy()
    stained[0] = (45, 35, 20)
    grey = grey_as(host, stained)
    assert (grey == grey[:, :, :1]).all()
    assert (grey[1:] == 90).all()
    assert grey[0, 0, 0] < 45
    assert grey_as(stained, stained) is stained


def test_defect_synthesis_sees_blue_first() -> None:
    picture = np.zeros((2, 2, 3), np.uint8)
    picture[:, :, 0] = 200
    seen: list[Image] = []

    def keep(one: Image) -> Image:
        seen.append(one)
        return one

    assert (change_rgb(f"+ {CRACKS}", keep, picture) == picture).all()
    assert (change_rgb(f"+ {ANOMALIB}", keep, picture) == picture).all()
    assert seen[0][0, 0].tolist() == [0, 0, 200]
    assert seen[1][0, 0].tolist() == [200, 0, 0]


def test_new_keys_go_before_the_mark() -> None:
    assert list(put_before({"a": 1, "c": 3}, "c", {"b": 2, "a": 9}).items()) == [("a", 1), ("b", 2), ("c", 3)]


def page_cell(label: str, draw: int, package: float | None) -> dict[str, Any]:
    arms = {REAL: FIGURES, "+ standard augmentation": FIGURES, "ours, filtered": {**FIGURES, "ap": 0.7},
            PLAIN: {**FIGURES, "ap": 0.1}}  # fmt: skip
    if package is not None:
        arms |= {f"+ {CRACKS}{end}": {**FIGURES, "ap": ap} for end, ap in (("", package), (MIXED, 0.6))}
    return {"name": "magnetic_tile", "label": label, "k": 3, "draw": draw, "count": 30, "arms": arms,
            "proof": "too few", "images_per_s": {"ours": 1.0, **({f"+ {CRACKS}": 9.0} if package else {})}}  # fmt: skip


def test_the_page_holds_ours_against_a_package_in_its_own_classes() -> None:
    cells = [page_cell("crack", 0, 0.4), page_cell("crack", 1, 0.2), page_cell("break", 0, None)]
    args = argparse.Namespace(k=[3], draws=2, count=30)
    page = render_page(cells, args, ["defect-synthesis for break"])
    as_it_is, mixed = "0.300 | 0.100 | -0.200 (-0.300 to -0.100)", "0.600 | 0.700 | +0.100 (+0.100 to +0.100)"
    assert f"| {CRACKS} | crack | {as_it_is} | {mixed} | +0.400 (+0.300 to +0.500) |" in page
    assert f"| defect-synthesis 0.1.0 | all 1 | {as_it_is} | {mixed} | +0.400" in page
    assert f"+ {CRACKS} |" not in page.partition("Packages' own")[0]  # not in all cells: in no table of all
    assert "- No arm: defect-synthesis for break." in page
    assert "--count 30 --peers build/peers\n" in page
    assert "--peers" not in render_page([page_cell("break", 0, None)], args)
    assert f"| + {CRACKS} | 9.0 |\n| ours | 1.0 |" in page
    assert "Packages' own" not in render_page([cells[0], page_cell("crack", 1, None)], args)
