"""The benchmark's page in a real browser, light and dark: it draws under its policy and fits its window."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from activesel.benchmark.dataset import split_by_group
from activesel.benchmark.kept import Trial
from activesel.benchmark.outcome import add_defects, summarise
from activesel.benchmark.page import render_chart, render_page
from activesel.benchmark.picture import draw_picture
from activesel.benchmark.story import BenchRequest, BenchResult
from activesel.benchmark.trial import Protocol
from tests.benchmark.test_curves import dataset
from tests.report.test_report_browser import CHROMIUM, browse

needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the PATH"
)
LONG = "default/bandwidth=0.3/" + "x" * 60


def make_result(n_strategies: int = 9, n_seeds: int = 4) -> BenchResult:
    """Curves that rise, those of later strategies less; no trial is run."""
    data, rng = dataset(), np.random.default_rng(0)
    names = [*(f"strategy-{i}" for i in range(n_strategies - 2)), LONG, "random"]
    trials = []
    for place, name in enumerate(names):
        for seed in range(n_seeds):
            rows = rng.permutation(split_by_group(data, seed).pool)[:18]
            rise = np.sort(rng.uniform(0.2, 0.9 - 0.05 * place, (7, 3)), axis=1)
            scores = ("macro_f1", "balanced_accuracy", "auprc", "classes_found", "recall:0", "recall:1", "recall:2")
            points = {score: tuple(values.tolist()) for score, values in zip(scores, rise, strict=True)}
            trials.append(add_defects(Trial(name, seed, (6, 12, 18), points, tuple(rows.tolist())), data, 0))
    request = BenchRequest("/data/parts & <b>more</b>.npz", tuple(names), Protocol(6, 3), n_seeds)
    return BenchResult(request, data, "good", tuple(trials), tuple(summarise(trials, data)), ("a note",), 0)


@needs_browser
@pytest.mark.browser
@pytest.mark.parametrize("width", [1400, 700])
def test_it_draws_and_fits(tmp_path: Path, width: int) -> None:
    shot = tmp_path / "shot.png"
    seen = browse(tmp_path, render_page(make_result()), width=width)
    assert seen.console == [], "the policy had nothing to stop"
    assert seen.dom.count('class="curve"') > 30
    browse(tmp_path, render_page(make_result()), f"--screenshot={shot}", width=width, height=3000)
    with Image.open(shot) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=np.int64)
    assert pixels.shape[1] == width
    bands = [float(band.std()) for band in np.array_split(pixels.mean(axis=2), 5)]
    assert min(bands) > 5, f"a fifth of the page is blank: {bands}"
    page_colour = pixels[1500, 2]
    assert (pixels[600:, -3:] == page_colour).all(), "something sticks out sideways"


@needs_browser
@pytest.mark.browser
def test_the_chart_is_an_image_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "curves.svg").write_text(render_chart(make_result()), encoding="utf8")
    shot = tmp_path / "shot.png"
    browse(tmp_path, '<!doctype html><img src="curves.svg" width="1200">', f"--screenshot={shot}", height=700)
    with Image.open(shot) as image:
        colours = image.convert("RGB").resize((300, 150)).getcolors(100_000)
    assert colours is not None
    assert len(colours) > 50, "the SVG is not drawn: broken XML?"


@pytest.mark.parametrize(("random_is_first", "said"), [(False, "comes first"), (True, "None of them beats random")])
def test_the_lead_says_who_won(random_is_first: bool, said: str) -> None:
    result = make_result(3, 2)
    ordered = sorted(result.standings, key=lambda one: (one.strategy == "random") != random_is_first)
    assert said in render_page(replace(result, standings=tuple(ordered)))


def test_the_picture_shows_the_curves(tmp_path: Path) -> None:
    path = tmp_path / "curves.png"
    path.write_bytes(draw_picture(make_result()))
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape[1] > pixels.shape[0] > 800
    for colour in ((11, 95, 165), (194, 74, 0), (118, 129, 142)):  # the first two strategies and random
        assert (np.abs(pixels.astype(int) - colour).max(axis=2) < 3).sum() > 500
    assert draw_picture(make_result()) == draw_picture(make_result())
