"""The fine-tuning check: it learns, repeats itself, sees only what is labelled, and counts its wins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import run_fine_tuning
import torch
from fine_tuning.page import Run, gain_of, tabulate, tell_cell
from fine_tuning.training import (
    Classifier,
    Recipe,
    cut_pretrained,
    draw_batches,
    fine_tune,
    open_pretrained,
    scale_rate,
    weigh_classes,
)
from fine_tuning.views import keep_views, read_views, run_stages
from PIL import Image
from run_fine_tuning import Job, run_job, run_kept
from torch import nn

from activesel.embedding.registry import find_recipe
from activesel.tensors import one_thread

RECIPE = Recipe(side_px=16, steps=30, batch=8, learning_rate=1e-2, probe_steps=5, frozen=0)


def open_tiny(n_classes: int, frozen: int) -> Classifier:
    """A fake of the pretrained network, the same on each call: two layers that learn in a second."""
    torch.manual_seed(0)
    assert frozen == RECIPE.frozen
    features = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
                             nn.Flatten())  # fmt: skip
    return Classifier(features, 8, n_classes)


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture
def job(tmp_path: Path, rng: np.random.Generator) -> Job:
    """Grey noise, and noise with bright stripes; the mirror image is a second view."""
    classes = np.arange(60) % 2
    pixels = rng.integers(80, 120, (60, 3, 16, 16)).astype(np.uint8)
    pixels[classes == 1, :, ::2] += 80
    np.save(tmp_path / "toy.npy", np.stack([pixels, pixels[..., ::-1]], axis=1))
    return Job("toy", "random", 3, tuple(range(20)), tuple(range(30, 60)), tmp_path / "toy.npy",
               tuple(classes.tolist()), {"macro_f1": 0.5, "balanced_accuracy": 0.5}, RECIPE)  # fmt: skip


def test_it_learns_and_repeats_itself(job: Job) -> None:
    first = run_job(job, "cpu", open_tiny)
    assert first["macro_f1"] > 0.9
    assert run_job(job, "cpu", open_tiny) == first
    untrained = Job(**{**vars(job), "recipe": Recipe(**{**vars(RECIPE), "learning_rate": 0.0, "probe_steps": 0})})
    assert run_job(untrained, "cpu", open_tiny)["macro_f1"] < 0.5


def trained_weights(job: Job) -> torch.Tensor:
    network = open_tiny(2, 0)
    run_job(job, "cpu", lambda *_: network)
    return torch.cat([weights.detach().flatten() for weights in network.state_dict().values()])


def test_only_the_labelled_images_are_trained_on(job: Job) -> None:
    before = trained_weights(job)
    views = np.load(job.views)
    views[20:] = 255 - views[20:]
    np.save(job.views, views)
    assert torch.equal(trained_weights(job), before)
    views[19] = 255 - views[19]
    np.save(job.views, views)
    assert not torch.equal(trained_weights(job), before)


def test_batch_norms_keep_their_statistics_and_all_else_learns(job: Job) -> None:
    network, fresh = open_tiny(2, 0), open_tiny(2, 0).state_dict()
    views = torch.from_numpy(np.load(job.views)[:20])
    fine_tune(network, views, torch.tensor(job.classes[:20]), RECIPE, seed=0)
    moved = {name for name, weights in network.state_dict().items() if not torch.equal(weights, fresh[name])}
    assert moved == {name for name, _ in network.named_parameters()}


def test_a_finished_run_is_not_done_again(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_fine_tuning, "run_job", lambda *_: {"macro_f1": 0.25, "balanced_accuracy": 0.5})
    run_kept(job, tmp_path, "cpu")
    monkeypatch.setattr(run_fine_tuning, "run_job", None)
    assert run_kept(job, tmp_path, "cpu") == Run("toy", "random", 3, 20, job.linear,
                                                 {"macro_f1": 0.25, "balanced_accuracy": 0.5})  # fmt: skip
    other = Job(**{**vars(job), "rows": job.rows[::-1]})
    with pytest.raises(TypeError):
        run_kept(other, tmp_path, "cpu")


def test_every_image_comes_once_before_any_comes_again() -> None:
    rows = draw_batches(12, Recipe(steps=5, batch=4), torch.Generator().manual_seed(0)).flatten()
    assert sorted(rows[:12].tolist()) == list(range(12))
    assert len(set(rows[12:].tolist())) == 8


def test_weights_and_rates_by_hand() -> None:
    assert weigh_classes(torch.tensor([0, 0, 0, 2]), 3).tolist() == pytest.approx([4 / 6, 0, 4 / 2])
    recipe = Recipe(steps=20, warmup=0.1)
    assert [scale_rate(step, recipe) for step in (0, 1, 2, 11)] == pytest.approx([0.5, 1.0, 1.0, 0.5])
    assert scale_rate(19, recipe) < 0.01


def write_images(folder: Path) -> list[str]:
    paths = [str(folder / f"{number}.png") for number in range(2)]
    for path, greys in zip(paths, ((10, 200), (90, 90)), strict=True):
        Image.fromarray(np.repeat(np.repeat(np.uint8([greys]), 64, axis=0), 32, axis=1)).save(path)
    return paths


def test_views_are_made_once(tmp_path: Path) -> None:
    first, second = write_images(tmp_path)
    kept = keep_views([second, first], 64, 0, tmp_path / "kept", "cpu")
    views = np.load(kept)
    assert (views.shape, views.dtype) == ((2, 2, 3, 64, 64), np.uint8)
    assert (views[0] == 90).all()
    assert (views[1, 0, 0, 5, 0], views[1, 0, 0, 5, -1]) == (10, 200)
    assert (views[1, 1] == views[1, 0, ..., ::-1]).all()
    Path(first).unlink()
    assert keep_views([second, first], 64, 0, tmp_path / "kept", "cpu") == kept


def test_the_two_parts_are_the_whole_network(tmp_path: Path) -> None:
    pixels = read_views(write_images(tmp_path), 64, find_recipe("efficientnet_lite0", None).build()[1])
    whole = open_pretrained(2, 0).embed(pixels[:, 0])
    views = run_stages(cut_pretrained(5)[0], pixels)
    assert views.shape == (2, 2, 112, 4, 4)
    parts = open_pretrained(2, 5).embed(torch.from_numpy(views[:, 0]))
    assert torch.cosine_similarity(whole, parts).min() > 0.999


def make_runs(strategy: str, linear: tuple[float, ...], tuned: tuple[float, ...]) -> list[Run]:
    return [Run("toy", strategy, seed, 20, {"macro_f1": a}, {"macro_f1": b, "balanced_accuracy": b})
            for seed, (a, b) in enumerate(zip(linear, tuned, strict=True))]  # fmt: skip


def test_losses_are_told_as_plainly_as_wins() -> None:
    reference = make_runs("random", (0.5, 0.5, 0.5), (0.6, 0.6, 0.6))
    better, worse = (
        make_runs("default", (0.6, 0.6, 0.6), (0.7, 0.7, 0.5)),
        make_runs("badge", (0.7, 0.7, 0.7), (0.5,) * 3),
    )
    table = tabulate([*worse, *reference, *better]).splitlines()
    assert [line.split("|")[1].strip() for line in table[2:]] == ["**default**", "random", "badge"]
    assert "| +0.100 ± 0.000 | 3 of 3 | 0.633 ± 0.287 | +0.033 ± 0.287 | 2 of 3 |" in table[2]
    gains = {"default": gain_of(better, reference), "badge": gain_of(worse, reference)}
    assert gains["badge"] == pytest.approx((0.2, -0.1))
    assert tell_cell(gains).startswith(
        "of 2 strategies ahead of random under the linear head, 1 stay ahead; not badge (-0.100). "
    )
