"""Fine-tuning a tiny backbone: it learns, serves what it stored, and goes on after a kill to the same bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from activesel.annotations import Box, LabelState, shapes_to_json
from activesel.config import EmbeddingConfig, load_config
from activesel.dataset import Example, Origin
from activesel.embedding.registry import Preprocess, Recipe, Request, backbone_family
from activesel.errors import DataError
from activesel.images import decode_rgb
from activesel.models import PREDICTIONS, ModelCard
from activesel.pipelines.dataset_files import read_dataset
from activesel.pipelines.train import TrainRequest, train
from activesel.predictions import read_predictions
from activesel.trainers import Asked, Fit, Work, fine_tune, fine_tune_loop, load_predictor
from activesel.trainers.fine_tune import FineTuneOptions
from activesel.trainers.fine_tune_loop import balanced_loss, calibrated_loss, mask_loss, scale_rate
from activesel.trainers.fine_tune_state import History
from activesel.trainers.pictures import UNKNOWN, Changes, Pictures, Source, change, draw_shapes
from tests.pipelines.test_train import make_workspace

PREPROCESS = Preprocess(32, 32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), interpolation="bilinear")


@backbone_family("tiny-maps")
def tiny_maps(request: Request) -> Recipe:
    """A backbone whose maps have the cells that a decoder reads."""

    def build() -> Any:
        from activesel.embedding.checkpoints import load_by_name

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            layers = torch.nn.Sequential(
                torch.nn.Sequential(torch.nn.Conv2d(3, 12, 5, stride=4, padding=2), torch.nn.ReLU(inplace=True)),
                torch.nn.Sequential(torch.nn.Conv2d(12, 16, 3, stride=2, padding=1), torch.nn.ReLU(inplace=True)),
                torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
            )  # fmt: skip
        if request.checkpoint is not None:
            load_by_name(layers, request.checkpoint, head=("head.",))
        return layers.eval(), PREPROCESS

    return Recipe(request.checkpoint or "seed-0", build)


def spot(path: Path, number: int, *, has_spot: bool) -> tuple[int, int]:
    """Write a noisy 40 x 40 picture, some with a dark 10 x 10 spot, whose corner is returned."""
    rng = np.random.default_rng(number)
    picture = rng.normal(150, 8, (40, 40))
    x, y = rng.integers(2, 28, 2)
    if has_spot:
        picture[y : y + 10, x : x + 10] -= 100
    assert cv2.imwrite(str(path), picture.clip(0, 255).astype(np.uint8))
    return int(x), int(y)


def make_work(root: Path, n: int = 24, backbone: str = "tiny-maps", *, masks: bool = True) -> Work:
    """Half of the pictures have a spot, with a mask file or a box; a third of them validate."""
    examples, shapes = [], {}
    for i in range(n):
        x, y = spot(root / f"{i}.png", i, has_spot=i % 2 == 1)
        one = Example(f"{i:032x}", str(root / f"{i}.png"), "spot" if i % 2 else "free", LabelState.raw,
                      Origin.first_party)  # fmt: skip
        if i % 4 == 1 and masks:
            mask = np.zeros((40, 40), np.uint8)
            mask[y : y + 10, x : x + 10] = 255
            assert cv2.imwrite(str(root / f"{i}.mask.png"), mask)
            one = replace(one, mask=str(root / f"{i}.mask.png"))
        elif i % 4 == 3 and masks:
            one = replace(one, shapes=f"key{i}")
            shapes[f"key{i}"] = shapes_to_json((Box("spot", x, y, x + 10, y + 10),))
        examples.append(one)
    settings: EmbeddingConfig = load_config().embedding.model_copy(update={"backbone": backbone})
    (root / "scratch").mkdir()
    return Work(
        ("free", "spot"), "free", 3, tuple(examples[: n - n // 3]), tuple(examples[n - n // 3 :]),
        tuple(Asked(one.image_id, one.path) for one in examples), lambda _ids: np.empty(0), "", settings, None,
        root / "scratch", "cpu", 10**6, shapes,
    )  # fmt: skip


QUICK = FineTuneOptions(epochs=4, batch=8, learning_rate=3e-3, precision="float32", ema=0.5, patience=9)


def run(work: Work, folder: Path, options: FineTuneOptions = QUICK) -> Fit:
    folder.mkdir()
    return fine_tune.fit(work, options, folder)


def card_of(work: Work, found: Fit) -> ModelCard:
    return ModelCard("m", "fine-tune", "d", work.classes, work.good, 3, "", options=found.about)


def test_it_learns_classes_and_masks_and_serves_what_it_stored(tmp_path: Path) -> None:
    work = make_work(tmp_path)
    found = run(work, tmp_path / "model", QUICK.model_copy(update={"epochs": 30}))
    truth = np.arange(24) % 2
    assert (found.probs.argmax(1) == truth).mean() > 0.95
    assert found.about["has_masks"]
    losses = found.about["validation_losses"]
    assert losses[found.about["best_epoch"]] == min(losses)
    predictor = fine_tune.load(tmp_path / "model", card_of(work, found), "cpu")
    pictures = [decode_rgb(Path(one.path), max_pixels=10**6) for one in work.asked]
    batch = torch.stack([predictor.prepare(picture) for picture in pictures])
    np.testing.assert_allclose(predictor.probabilities(batch), found.probs, atol=1e-3)
    masks = predictor.network.masks(batch)
    assert masks.shape == (24, 8, 8)
    peaks = masks.flatten(1).amax(1).detach().numpy()
    assert peaks[truth == 1].min() > peaks[truth == 0].max()


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_killed_training_ends_in_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
    work = make_work(tmp_path)
    whole = run(work, tmp_path / "whole")
    (tmp_path / "scratch" / fine_tune_loop.STATE).unlink()
    steps = []
    step = fine_tune_loop._step

    def dies(*arguments: Any) -> None:
        steps.append(arguments)
        if len(steps) == 2 * epoch:
            raise KeyboardInterrupt
        step(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(fine_tune_loop, "_step", dies)
        with pytest.raises(KeyboardInterrupt):
            run(work, tmp_path / "killed")
    again = run(work, tmp_path / "again")
    np.testing.assert_array_equal(again.probs, whole.probs)
    for name in (fine_tune.BACKBONE, fine_tune.CHECKPOINT):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert again.about == whole.about


def test_a_finished_training_only_predicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = make_work(tmp_path, 12)
    first = run(work, tmp_path / "first")
    monkeypatch.setattr(fine_tune_loop, "_step", lambda *_: pytest.fail("trained again"))
    np.testing.assert_array_equal(run(work, tmp_path / "again").probs, first.probs)
    (tmp_path / "scratch" / fine_tune_loop.STATE).write_bytes(b"rubbish")
    with pytest.raises(DataError, match="cannot go on"):
        run(work, tmp_path / "damaged")


def test_it_stops_when_validation_no_longer_gains() -> None:
    assert not History(3, (1.0, 0.5, 0.6), 1).is_over(9, 2)
    assert History(4, (1.0, 0.5, 0.6, 0.7), 1).is_over(9, 2)
    assert History(9, (1.0,) * 9, 8).is_over(9, 2)
    assert not History().is_over(9, 1)


def test_what_is_frozen_stays(tmp_path: Path) -> None:
    from activesel.embedding.checkpoints import read_state_dict

    work = make_work(tmp_path, masks=False)
    found = run(work, tmp_path / "model", QUICK.model_copy(update={"frozen": 1.0, "epochs": 2}))
    assert not found.about["has_masks"]
    kept = read_state_dict(tmp_path / "model" / fine_tune.BACKBONE)
    before = tiny_maps(Request("", None, False)).build()[0].state_dict()
    assert all(torch.equal(kept[name], before[name]) for name in before)


def test_without_validation_the_last_epoch_counts(tmp_path: Path) -> None:
    found = run(replace(make_work(tmp_path), validation=()), tmp_path / "model")
    assert found.about["validation_losses"] == [None] * 4
    assert found.about["best_epoch"] == 3
    assert "temperature is set to" in found.notes[0]


def test_a_backbone_without_maps_learns_classes_alone(tmp_path: Path) -> None:
    from tests.embedding import tiny_backbone  # noqa: F401 - registers "tiny", whose last layer has no map to read

    work = make_work(tmp_path, backbone="tiny")
    found = run(work, tmp_path / "model", QUICK.model_copy(update={"side_px": 48, "epochs": 1}))
    assert found.about["side_px"] == 48
    predictor = fine_tune.load(tmp_path / "model", card_of(work, found), "cpu")
    assert predictor.prepare(np.zeros((9, 7, 3), np.uint8)).shape == (3, 48, 48)


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    work = make_work(tmp_path)
    Path(work.train[0].path).write_bytes(b"no image")
    with pytest.raises(DataError, match=r"0\.png"):
        run(work, tmp_path / "model")


def test_the_whole_story(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, 24, 24)
    options = {"epochs": 1, "batch": 8, "precision": "float32"}
    done = train(workspace, TrainRequest(trainer="fine-tune", options=options))
    assert done.folder is not None
    assert not list((workspace.state / "models").glob(".*")), "what it went on from is gone"
    entries = read_dataset(workspace, done.dataset).entries
    stored = read_predictions(done.folder / PREDICTIONS, {}, [one.example.image_id for one in entries]).probs
    predictor = load_predictor(done.folder)
    pictures = [decode_rgb(Path(one.example.path), max_pixels=10**6) for one in entries]
    found = predictor.probabilities(torch.stack([predictor.prepare(picture) for picture in pictures]))
    np.testing.assert_allclose(found, stored, atol=1e-3)
    other = train(workspace, TrainRequest(trainer="fine-tune", options={**options, "batch": 9}, dry_run=True))
    assert other.model_id != done.model_id


def test_rates_and_losses_by_hand() -> None:
    assert [scale_rate(step, 10, 0.2) for step in (0, 1, 2)] == [0.5, 1.0, 1.0]
    assert scale_rate(10, 10, 0.2) == pytest.approx(0)
    assert balanced_loss(np.zeros((4, 2)), np.array([0, 0, 0, 1])) == pytest.approx(np.log(2))
    sure = np.array([[9.0, -9.0]] * 3 + [[9.0, -9.0]])
    assert balanced_loss(sure, np.array([0, 0, 0, 1])) == pytest.approx(9, abs=0.1)
    ranked = np.array([[3.0, 0.0], [2.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    truth = np.array([0, 0, 1, 1])
    assert calibrated_loss(ranked * 8, truth) == pytest.approx(calibrated_loss(ranked, truth), rel=0.02)
    assert balanced_loss(ranked * 8, truth) > 3 * balanced_loss(ranked, truth)
    unknown = torch.full((1, 8, 8), UNKNOWN, dtype=torch.uint8)
    assert float(mask_loss(torch.ones(1, 1, 4, 4), unknown)) == 0
    mask = torch.zeros(1, 8, 8, dtype=torch.uint8)
    mask[:, :4] = 1
    right = torch.full((1, 1, 4, 4), -20.0)
    right[:, :, :2] = 20
    assert float(mask_loss(right, mask)) == pytest.approx(0, abs=1e-3)
    assert float(mask_loss(-right, mask)) > 10


def test_masks_are_drawn_and_flipped_with_their_picture(tmp_path: Path) -> None:
    picture = np.zeros((20, 20), np.uint8)
    picture[2:8, 10:16] = 200
    assert cv2.imwrite(str(tmp_path / "a.png"), picture)
    text = shapes_to_json((Box("spot", 10, 2, 16, 8),))
    assert draw_shapes(text, (20, 20)).mean() == pytest.approx(36 / 400, abs=0.01)
    with pytest.raises(DataError, match="not shapes"):
        draw_shapes('[{"kind": "blob"}]', (20, 20))
    sources = [Source(str(tmp_path / "a.png"), shapes=text), Source(str(tmp_path / "a.png"), is_clean=True),
               Source(str(tmp_path / "a.png"))]  # fmt: skip
    pictures = Pictures(sources, PREPROCESS, max_pixels=10**6, masks=True)
    pixels, masks = pictures.take(np.array([0, 1, 2]))
    pictures.close()
    assert masks is not None
    assert (int(masks[1].max()), int(masks[2].min())) == (0, UNKNOWN)
    rng = np.random.default_rng(1)
    for _ in range(6):
        changed, mask = change(pixels[:1], masks[:1], Changes(light=0.0), rng)
        overlap = ((changed[0, 0] > 100) == mask[0].bool()).float().mean()
        assert float(overlap) > 0.97
