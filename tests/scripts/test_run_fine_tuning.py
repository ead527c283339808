"""The fine-tuning check: it learns, repeats itself, sees only what is labelled, and counts its wins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import run_fine_tuning
import torch
from fine_tuning.pixels import keep_pixels
from fine_tuning.training import Classifier, Recipe, draw_batches, fine_tune, flip_some, scale_rate, weigh_classes
from PIL import Image
from run_fine_tuning import Job, Run, gain_of, run_job, run_kept, tabulate, tell_cell
from torch import nn

from activesel.embedding.registry import Preprocess

SMALL = Preprocess(16, 16, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), interpolation="bilinear")
RECIPE = Recipe(side_px=16, steps=30, batch=8, learning_rate=1e-2, head_factor=1.0)


def open_tiny(n_classes: int) -> Classifier:
    """A fake of the pretrained network, the same on each call: two layers that learn in a second."""
    torch.manual_seed(0)
    features = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
                             nn.Flatten())  # fmt: skip
    return Classifier(features, 8, n_classes, SMALL)


@pytest.fixture
def job(tmp_path: Path, rng: np.random.Generator) -> Job:
    """Grey noise, and noise with bright stripes that flips do not change."""
    classes = np.arange(60) % 2
    pixels = rng.integers(80, 120, (60, 3, 16, 16)).astype(np.uint8)
    pixels[classes == 1, :, ::2] += 80
    np.save(tmp_path / "toy.npy", pixels)
    return Job("toy", "random", 3, tuple(range(20)), tuple(range(30, 60)), tmp_path / "toy.npy",
               tuple(classes.tolist()), {"macro_f1": 0.5, "balanced_accuracy": 0.5}, RECIPE)  # fmt: skip


def test_it_learns_and_repeats_itself(job: Job) -> None:
    first = run_job(job, "cpu", open_tiny)
    assert first["macro_f1"] > 0.9
    assert run_job(job, "cpu", open_tiny) == first
    untrained = Job(**{**vars(job), "recipe": Recipe(**{**vars(RECIPE), "learning_rate": 0.0})})
    assert run_job(untrained, "cpu", open_tiny)["macro_f1"] < 0.5


def trained_weights(job: Job) -> torch.Tensor:
    network = open_tiny(2)
    trained: list[Classifier] = []

    def keep(n_classes: int) -> Classifier:
        assert n_classes == 2
        trained.append(network)
        return network

    run_job(job, "cpu", keep)
    return torch.cat([weights.detach().flatten() for weights in trained[0].state_dict().values()])


def test_only_the_labelled_images_are_trained_on(job: Job) -> None:
    before = trained_weights(job)
    pixels = np.load(job.pixels)
    pixels[20:] = 255 - pixels[20:]
    np.save(job.pixels, pixels)
    assert torch.equal(trained_weights(job), before)
    pixels[19] = 255 - pixels[19]
    np.save(job.pixels, pixels)
    assert not torch.equal(trained_weights(job), before)


def test_batch_norms_keep_their_statistics_and_all_else_learns(job: Job) -> None:
    network, fresh = open_tiny(2), open_tiny(2).state_dict()
    pixels = torch.from_numpy(np.load(job.pixels)[:20])
    fine_tune(network, pixels, torch.tensor(job.classes[:20]), RECIPE, seed=0)
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


def test_flips_are_of_whole_images() -> None:
    image = torch.arange(4, dtype=torch.uint8).view(1, 1, 2, 2).expand(64, 3, 2, 2)
    found = {tuple(one[0].flatten().tolist()) for one in flip_some(image, torch.Generator().manual_seed(0))}
    assert found == {(0, 1, 2, 3), (1, 0, 3, 2), (2, 3, 0, 1), (3, 2, 1, 0)}


def test_pixels_are_decoded_once(tmp_path: Path) -> None:
    for number, grey in enumerate((10, 200)):
        Image.new("L", (40, 20), grey).save(tmp_path / f"{number}.png")
    paths = [str(tmp_path / f"{number}.png") for number in (1, 0)]
    kept = keep_pixels(paths, 8, SMALL, tmp_path / "kept")
    pixels = np.load(kept)
    assert (pixels.shape, pixels.dtype) == ((2, 3, 8, 8), np.uint8)
    assert (pixels[0] == 200).all()
    assert (pixels[1] == 10).all()
    (tmp_path / "0.png").unlink()
    assert keep_pixels(paths, 8, SMALL, tmp_path / "kept") == kept


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
