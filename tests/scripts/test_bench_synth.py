"""The rivals of bench_synth.py by hand, and its page from made-up cells: losses shown as plainly as gains."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
from bench.synth_page import difference, render_page
from bench.synth_rivals import cut_and_paste, perlin_anomaly, perlin_mask, perlin_noise, shuffle_cells

from tests.synth.made import blob, donor_of, stained, surface


def test_cut_and_paste_copies_the_defects_pixels_and_no_more(rng: np.random.Generator) -> None:
    mask = blob((80, 80), (40, 40), (6, 6))
    donor = donor_of(stained(surface((80, 80)), mask, -60), mask)
    host = surface((90, 100), level=200, seed=1)
    pasted = cut_and_paste(donor, host, rng)
    changed = (pasted != host).any(axis=2)
    assert 0.9 * donor.mask.sum() <= changed.sum() <= donor.mask.sum()
    assert pasted[changed].mean() < 120


def test_perlin_is_noise_with_nothing_at_its_lattice(rng: np.random.Generator) -> None:
    noise = perlin_noise((64, 64), [8, 8], rng)
    assert np.abs(noise[::8, ::8]).max() < 1e-6
    assert 0.05 < noise.std() < 0.6


def test_perlin_changes_inside_its_mask_alone() -> None:
    host, texture = surface((64, 64), level=100), surface((64, 64), level=220, seed=1)
    mask = perlin_mask((64, 64), np.random.default_rng(4))
    changed = (perlin_anomaly(host, texture, np.random.default_rng(4)) != host).any(axis=2)
    assert mask.any()
    assert changed.any()
    assert not (changed & ~mask).any()


def test_shuffled_cells_are_the_same_pixels(rng: np.random.Generator) -> None:
    picture = surface((40, 48))
    shuffled = shuffle_cells(picture, rng)
    assert (np.sort(shuffled, axis=None) == np.sort(picture, axis=None)).all()
    assert (shuffled != picture).any()


def cell(label: str, draw: int, ours: float) -> dict[str, object]:
    scores = {
        arm: {"ap": ap, "recall": 0.5, "f1": 0.5} for arm, ap in (("k real", 0.5), ("copies", 0.4), ("ours", ours))
    }
    return {"name": "tiles", "label": label, "k": 3, "draw": draw, "count": 60, "arms": scores, "proof": "too few",
            "images_per_s": {"ours": 10.0}}  # fmt: skip


def test_the_page_says_what_was_lost() -> None:
    cells = [cell("crack", 0, 0.3), cell("crack", 1, 0.3), cell("pit", 0, 0.8)]
    args = argparse.Namespace(data=Path("d"), work=Path("w"), out=Path("o"), k=[3], draws=2, count=60)
    page = render_page(cells, args)
    assert "| crack | 2 | **0.50** | 0.40 | 0.30 |" in page
    assert "| pit | 1 | 0.50 | 0.40 | **0.80** |" in page
    assert "2 of 3 |" in page
    assert "too few: 3" in page
    assert "Draws for each class and k: 1 to 2" in page


def test_intervals_are_paired_over_cells() -> None:
    cells = [cell("crack", draw, ours) for draw, ours in enumerate((0.6, 0.6, 0.6))]
    assert difference(cells, "ours", ["k real"]) == "+0.100 (+0.100 to +0.100)"
    assert difference(cells, "k real", ["k real"]) == ""
    low, high = (
        float(one) for one in difference([*cells, cell("pit", 0, 0.2)], "ours", ["k real"])[8:-1].split(" to ")
    )
    assert low == pytest.approx(-0.2)  # three of four drawn are the loser in 5 % of resamples, all four in 0.4 %
    assert high == pytest.approx(0.1)


def test_an_arm_that_older_cells_lack_is_left_out_and_the_gap_is_told() -> None:
    new = cell("crack", 1, 0.3)
    new["arms"]["new arm"] = {"ap": 0.4, "recall": 0.5, "f1": 0.5}  # type: ignore[index]
    args = argparse.Namespace(data=Path("d"), work=Path("w"), out=Path("o"), k=[3], draws=2, count=60)
    assert "new arm" not in render_page([new, cell("crack", 0, 0.3)], args)
    page = render_page([{**new, "gap": "narrowed", "aimed": 7}], args)
    assert "The gap: narrowed: 1; kept for it were 7 images" in page
