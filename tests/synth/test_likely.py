"""Recipes beside few real defects: chosen by their look, fewer the more there are, and made again from the record."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from synth.gates.limits import ENOUGH, Limits
from synth.generate import generate
from synth.likely import AUTO, likely_recipe, likely_recipes, likely_share
from synth.records import Donor, Image, Mask
from synth.replay import replay
from synth.stocking import GenerateRequest, stock_up
from tests.synth.made import blob, donor_of, stained, streak, surface
from tests.synth.sets import write_set

SIDE = (200, 220)
SHAPES: dict[str, tuple[Mask, float]] = {
    "crack_bold": (streak(SIDE, (40, 40), (150, 120)), -60),
    "scratch": (streak(SIDE, (40, 40), (150, 120)), 60),
    "pit_bold": (blob(SIDE, (90, 100), (6, 7)), -60),
    "stain_bold": (blob(SIDE, (90, 100), (35, 50)), -25),
    "missing": (blob(SIDE, (90, 100), (35, 50)), -80),
}


def donor(shape: str, group: str = "g1") -> Donor:
    mask, change = SHAPES[shape]
    return replace(donor_of(stained(surface(SIDE), mask, change), mask), group=group)


def read(_: Path) -> Image:
    return surface(SIDE)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_recipe_is_chosen_by_look(shape: str) -> None:
    assert likely_recipe(donor(shape), min(SIDE)) == shape


def test_a_pit_at_the_edge_is_a_piece_broken_off() -> None:
    mask = blob(SIDE, (2, 100), (6, 7))
    assert likely_recipe(donor_of(stained(surface(SIDE), mask, -60), mask), min(SIDE)) == "missing"


def test_an_odd_one_out_has_no_say() -> None:
    many = [donor("pit_bold"), donor("pit_bold"), donor("pit_bold"), donor("crack_bold")]
    assert likely_recipes(many, read) == ("pit_bold",)
    assert set(likely_recipes(many[2:], read)) == {"pit_bold", "crack_bold"}


@pytest.mark.parametrize(("n_groups", "share"), [(0, 0.5), (1, 0.5), (2, 0.3), (4, 0.3), (5, 0.0), (30, 0.0)])
def test_the_more_real_ones_the_fewer_recipes(n_groups: int, share: float) -> None:
    assert likely_share([donor("pit_bold", f"g{i}") for i in range(n_groups)]) == share


def test_enough_real_ones_need_no_recipe() -> None:
    assert likely_recipes([donor("pit_bold", f"g{i}") for i in range(5)], read) == ()
    assert likely_recipes([], read) == ()


def test_recipes_are_not_held_to_the_range_of_few() -> None:
    few = Limits(area=(30.0, 40.0), aspect=(1.0, 2.0), contrast=(20.0, 30.0), seam=(None, 0.2), realism=(None, 1.0),
                 n_real=ENOUGH - 1)  # fmt: skip
    assert (few.for_recipes().area, few.for_recipes().contrast) == (Limits().area, Limits().contrast)
    assert few.for_recipes().realism == (None, None)
    assert few.for_recipes().seam == few.seam
    enough = replace(few, n_real=ENOUGH)
    assert enough.for_recipes() == enough


def test_a_set_says_so_and_is_made_again(tmp_path: Path) -> None:
    labels = keep_one(write_set(tmp_path / "plates"))
    asked = GenerateRequest(labels, "scratch", tmp_path / "set", count=8, seed=7, most_proposals=96, recipes=(AUTO,))
    summary = generate(asked)
    records = [json.loads(line) for line in (asked.out / "records.jsonl").read_text().splitlines()]
    kinds = {one["source"]["kind"] for one in records}
    assert kinds == {"donor", "recipe"}
    assert any("of the proposals are drawn by recipes" in note for note in summary.notes)
    drawn = next(one for one in records if one["source"]["kind"] == "recipe")
    again = replay(asked.out, drawn["id"])
    assert again.is_equal
    assert again.image == (asked.out / drawn["image"]).read_bytes()


def test_a_share_of_its_own_overrules(tmp_path: Path) -> None:
    labels = keep_one(write_set(tmp_path / "plates"))
    asked = GenerateRequest(labels, "scratch", tmp_path / "set", recipes=(AUTO,))
    assert stock_up(asked).stock.recipe_share == 0.5
    assert stock_up(replace(asked, recipe_share=0.0)).stock.recipe_share == 0.0
    assert stock_up(replace(asked, recipes=())).stock.recipe_share == 0.0


def keep_one(labels: Path) -> Path:
    """Leave one scratch in the label file."""
    with labels.open(encoding="utf8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    own = [row for row in rows if row["label"] == "scratch"][1:]
    with labels.open("w", encoding="utf8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for row in rows if row not in own)
    return labels
