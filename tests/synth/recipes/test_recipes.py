"""One contract for every recipe, and what each must show."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from synth.errors import SynthError
from synth.ground import LEAST_LEVELS, draw_contrast, measure
from synth.recipes import load_recipes, recipe_kinds, shipped_folder
from synth.records import Levels, Patch
from tests.synth.surfaces import brushed, leather, smooth

RECIPES = load_recipes()
GROUNDS = {"smooth": smooth(), "brushed": brushed(), "leather": leather(), "dark": smooth(22), "white": smooth(246)}


def drawn(name: str, seed: int, ground: Levels) -> tuple[Levels, dict[str, object], Patch]:
    numbers = RECIPES[name].draw(np.random.default_rng([seed, 5]), ground.shape[:2], ground)
    h, w = numbers["size"]
    own = np.ascontiguousarray(ground[:h, :w])
    return own, numbers, RECIPES[name].render(own, numbers)


@pytest.mark.parametrize("surface", list(GROUNDS))
@pytest.mark.parametrize("name", list(RECIPES))
def test_contract(name: str, surface: str) -> None:
    for seed in range(6):
        own, numbers, patch = drawn(name, seed, GROUNDS[surface])
        before = own.copy()
        again = RECIPES[name].render(own, json.loads(json.dumps(numbers)))
        assert again.picture.tobytes() == patch.picture.tobytes(), "a record's JSON renders the same bytes"
        assert np.array_equal(own, before), "the host's surface is not written to"
        assert patch.picture.shape == own.shape
        assert patch.picture.dtype == np.float32
        assert patch.mask.dtype == bool
        assert 0 <= patch.picture.min() <= patch.picture.max() <= 255
        assert np.array_equal(patch.background, own)
        edge = np.ones(own.shape[:2], bool)
        edge[1:-1, 1:-1] = False
        assert not patch.mask[edge].any()
        assert np.abs(patch.picture - own)[edge].max() <= 0.02, "no seam at the patch's edge"
        assert patch.mask.sum() >= 2, f"seed {seed}: nothing to see"


@pytest.mark.parametrize("name", list(RECIPES))
def test_it_shows_and_only_under_its_mask(name: str) -> None:
    inside, outside = [], []
    for seed in range(12):
        own, _, patch = drawn(name, seed, GROUNDS["brushed"])
        change = np.abs(patch.picture - own).mean(axis=2)
        inside.append(float(np.median(change[patch.mask])))
        outside.append(float(change[~cv2.dilate(patch.mask.astype(np.uint8), np.ones((5, 5))).astype(bool)].mean()))
    assert np.median(inside) >= LEAST_LEVELS * 0.7
    assert np.median(outside) <= 1.0


@pytest.mark.parametrize("name", list(RECIPES))
def test_draws_differ(name: str) -> None:
    sizes = {json.dumps(drawn(name, seed, GROUNDS["smooth"])[1]) for seed in range(5)}
    assert len(sizes) == 5


def test_crack_is_thin_and_long_and_dark() -> None:
    for seed in range(8):
        own, _, patch = drawn("crack", seed, GROUNDS["smooth"])
        depth = cv2.distanceTransform(patch.mask.astype(np.uint8), cv2.DIST_L2, 3)
        assert depth.max() <= 4.5
        assert (patch.picture - own)[patch.mask].mean() < 0


def test_dent_has_a_bright_and_a_dark_side() -> None:
    own, _, patch = drawn("dent", 1, GROUNDS["smooth"])
    change = (patch.picture - own).mean(axis=2)
    assert change.min() < -5
    assert change.max() > 5


def test_cluster_has_several_pits() -> None:
    parts = [cv2.connectedComponents(drawn("pit_cluster", seed, GROUNDS["smooth"])[2].mask.astype(np.uint8))[0] - 1
             for seed in range(8)]  # fmt: skip
    assert np.median(parts) >= 3


def test_grey_stays_grey() -> None:
    for name in RECIPES:
        _, _, patch = drawn(name, 2, GROUNDS["smooth"])
        assert np.abs(patch.picture - patch.picture[:, :, :1]).max() < 0.01, name


def test_contrast_flips_where_there_is_no_room() -> None:
    rng = np.random.default_rng(0)
    black = measure(smooth(8))
    assert draw_contrast(rng, black, (0.3, 0.5), (2, 3), bright=0.0) > 0
    white = measure(smooth(250))
    assert draw_contrast(rng, white, (0.3, 0.5), (2, 3), bright=1.0) < 0


def test_contrast_rises_with_texture() -> None:
    rough, even = measure(brushed()), measure(smooth(120))
    assert rough.grain > 3 * even.grain
    assert abs(draw_contrast(np.random.default_rng(0), rough, (0, 0), (4, 4), bright=0)) > 4 * even.grain


def test_every_kind_is_shipped() -> None:
    assert set(recipe_kinds()) == {"crack", "dent", "fibre", "missing", "particle", "pit", "print", "scratch", "stain"}
    kinds = {type(recipe).__name__ for recipe in RECIPES.values()}
    assert len(kinds) == len(recipe_kinds())


def test_too_small_an_image_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(SynthError, match="too small"):
        RECIPES["scratch"].draw(rng, (16, 200), smooth()[:16])


def test_a_folder_changes_single_keys_and_adds_recipes(tmp_path: Path) -> None:
    (tmp_path / "crack.yaml").write_text("branches: [2, 2]\n")
    whole = (shipped_folder() / "scratch.yaml").read_text(encoding="utf8").replace("strokes: [1, 3]", "strokes: [4, 4]")
    (tmp_path / "brush_marks.yaml").write_text("kind: scratch\n" + whole)
    mine = load_recipes(tmp_path)
    assert mine["crack"].branches == (2, 2)  # type: ignore[attr-defined]
    assert mine["crack"].depth == RECIPES["crack"].depth  # type: ignore[attr-defined]
    assert mine["brush_marks"].name == "brush_marks"
    numbers = mine["brush_marks"].draw(np.random.default_rng(0), (160, 160), smooth())
    assert len(numbers["lines"]) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("branchs: [0, 1]", "unknown key.*branches"),
        ("branches: [0, 1.5]", "not a whole number"),
        ("branches: 3", r"not of this form.*\[low, high\]"),
        ("depth: [0.5, 0.2]", "out of bounds"),
        ("depth: [0.5, 3]", "out of bounds.*within 0..1"),
        ("depth: [a, b]", "not a number"),
        ("kind: crak", "unknown kind.*crack"),
        ("kind: dent", "a key is missing"),
        ("[", "cannot be read as YAML"),
        ("- 1", "not a file of keys"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "crack.yaml").write_text(text + "\n")
    with pytest.raises(SynthError, match=message):
        load_recipes(tmp_path)


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(SynthError, match="no such folder"):
        load_recipes(tmp_path / "none")


def test_words_of_a_choice_are_checked(tmp_path: Path) -> None:
    (tmp_path / "print.yaml").write_text("forms: [blot, drip]\n")
    with pytest.raises(SynthError, match="blot, smear, void"):
        load_recipes(tmp_path)
