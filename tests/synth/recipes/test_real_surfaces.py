"""Recipes on photographs of good parts: visible, and kept by the rules that need no real defect."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from synth.gates import Limits, judge
from synth.recipes import load_recipes
from synth.records import Host, Plan, Variant

RECIPES = load_recipes()


@pytest.mark.parametrize("name", list(RECIPES))
def test_on_magnetic_tiles(real_data: Path, name: str) -> None:
    with (real_data / "magnetic_tile" / "labels.csv").open(encoding="utf8") as file:
        paths = [row["path"] for row in csv.DictReader(file) if row["label"] == "free"][::120]
    kept = []
    for number, path in enumerate(paths):
        picture = cv2.cvtColor(cv2.imread(str(real_data / "magnetic_tile" / path)), cv2.COLOR_BGR2RGB)
        shape = picture.shape[:2]
        host = Host("0" * 16, path, "g", "free", picture, np.ones(shape, bool), np.zeros(shape, bool))
        ground = picture.astype(np.float32)
        numbers = RECIPES[name].draw(np.random.default_rng(number), shape, ground)
        h, w = numbers["size"]
        y, x = (shape[0] - h) // 2, (shape[1] - w) // 2
        patch = RECIPES[name].render(np.ascontiguousarray(ground[y : y + h, x : x + w]), numbers)
        ground[y : y + h, x : x + w] = patch.picture
        mask = np.zeros(shape, bool)
        mask[y : y + h, x : x + w] = patch.mask
        plan = Plan(number, name, "recipe", name, host.host_id, (y, x), "residual", numbers=numbers)
        drawn = Variant(plan, np.rint(ground).astype(np.uint8), mask, mask, 0.0)
        kept.append(all(one.ok for one in judge(drawn, host, None, Limits())))
    assert np.mean(kept) >= 0.7
