"""Variants in a trained network: what is drawn how often, equal fits, figures by hand, the page."""

from __future__ import annotations

import numpy as np
import pytest
import run_synth_fine_tuning as script
import torch
from fine_tuning.graphed import Plan, Trainer, balance, scale, vary
from fine_tuning.synth_page import gather, render


def test_classes_are_drawn_alike_and_made_images_have_their_share() -> None:
    classes = np.array([0, 0, 0, 1, 1, 1])
    made = np.array([False, False, False, False, True, True])
    np.testing.assert_allclose(balance(classes, made, 0.25), [1 / 6, 1 / 6, 1 / 6, 3 / 8, 1 / 16, 1 / 16])
    np.testing.assert_allclose(balance(classes[:4], made[:4], 0.25), [1 / 6, 1 / 6, 1 / 6, 1 / 2])


def test_the_rate_rises_then_falls() -> None:
    rates = [scale(step, 20) for step in range(20)]
    assert max(rates) == rates[1] == 1.0
    assert rates[-1] < 0.02
    assert rates[2:] == sorted(rates[2:], reverse=True)


def test_views_are_the_image_mirrored_turned_or_relit() -> None:
    pixels = torch.arange(16.0).view(1, 1, 4, 4) * 10 + 50
    same = torch.tensor([[0.0, 0.0, 0.5, 0.5]])
    torch.testing.assert_close(vary(pixels, same), pixels)
    torch.testing.assert_close(vary(pixels, torch.tensor([[0.9, 0.9, 0.5, 0.5]])), pixels.flip(2, 3))
    assert vary(pixels, torch.tensor([[0.0, 0.0, 0.5, 1.0]])).mean() > pixels.mean() + 20


def test_a_fit_forgets_the_one_before() -> None:
    pixels = torch.randint(0, 256, (8, 1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    trainer = Trainer(pixels, 2, steps=2, batch=4, rate=1e-3, head_rate=1e-2)
    classes = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    plans = [Plan(np.arange(8), classes, balance(classes, np.zeros(8, bool), 0.0), seed) for seed in (0, 1)]
    found = []
    for plan in (plans[0], plans[1], plans[0]):
        trainer.fit(plan)
        found.append(trainer.predict(np.arange(8)))
    np.testing.assert_array_equal(found[0], found[2])
    assert np.abs(found[0] - found[1]).max() > 1e-4
    np.testing.assert_allclose(found[0].sum(axis=1), 1, atol=1e-6)


def test_figures_by_hand() -> None:
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.95, 0.05]])
    found = script.measure(scores, np.array([0, 0, 1, 1]), number=1, good=0)
    assert found["ap"] == pytest.approx((1 + 2 / 4) / 2)
    assert found["recall"] == 0.5
    assert found["f1"] == pytest.approx((0.8 + 2 / 3) / 2)


def test_the_page_averages_seeds_and_leaves_out_cells_without_an_arm() -> None:
    arms = list(script.ARMS)
    fits = [{"label": "crack", "k": 3, "draw": draw, "seed": seed, "arm": arm, "ap": 0.5 + 0.1 * i + 0.1 * seed,
             "recall": 0.5, "f1": 0.5} for i, arm in enumerate(arms) for draw in (0, 1) for seed in (0, 1)
            if (draw, arm) != (1, arms[-1])]  # fmt: skip
    cells = gather(fits, arms)
    assert list(cells) == [("crack", 3, 0)]
    assert cells["crack", 3, 0][arms[0]]["ap"] == pytest.approx(0.55)
    results = {"fits": dict(enumerate(fits)), "side": 192, "count": 30, "device": "CPU",
               "recipe": {"steps": 300, "batch": 32, "rate": 3e-4, "head_rate": 3e-3}}  # fmt: skip
    assert "+0.100 (+0.100 to +0.100)" in render(results, arms)
