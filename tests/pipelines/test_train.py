"""From a dataset version to a model: the same inputs are one model, whole or not at all; test labels stay unseen."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from activesel.catalog import Catalog
from activesel.errors import DataError, RefusedError, UnreachableError, UsageError
from activesel.images import decode_rgb
from activesel.models import CARD, PREDICTIONS, Alias
from activesel.pipelines import train as story
from activesel.pipelines.dataset import BuildRequest, build_dataset
from activesel.pipelines.dataset_files import read_dataset
from activesel.pipelines.ingest import ingest
from activesel.pipelines.model_files import find_model
from activesel.pipelines.train import Trained, TrainRequest, train
from activesel.predictions import read_predictions
from activesel.records import Label
from activesel.trainers import head, load_predictor
from activesel.workspace import Workspace, create_workspace, find_workspace
from tests.embedding import tiny_backbone  # noqa: F401 - registers "tiny"
from tests.pipelines.workspaces import snapshot_tree

SETTINGS = (
    "embedding.backbone=tiny", "embedding.pooling=plain", "embedding.precision=float32", "embedding.device=cpu",
    "duplicates.similarity=1.0", "training.device=cpu", "dataset.validation=0.25", "dataset.test=0.25",
)  # fmt: skip
KINDS = ("dark", "free", "stripe")


def draw(kind: str, number: int) -> np.ndarray:
    """A 40 x 48 grey picture of a kind, with noise of its own."""
    rng = np.random.default_rng(number)
    picture = np.full((40, 48), 60 if kind == "dark" else 150, np.float64)
    if kind == "stripe":
        picture[:, ::4] -= 90
    return np.clip(picture + rng.normal(0, 8, picture.shape), 0, 255).astype(np.uint8)


def make_workspace(root: Path, n: int = 48, n_labelled: int = 40) -> Workspace:
    """A workspace of n pictures, picture i of kind i % 3, of which some are labelled, and a dataset of them."""
    (root / "photos").mkdir(parents=True)
    for i in range(n):
        assert cv2.imwrite(str(root / "photos" / f"{i:03d}.png"), draw(KINDS[i % 3], i))
    create_workspace(root / "job")
    workspace = find_workspace(root / "job", SETTINGS)
    ingest(workspace, str(root / "photos"))
    with Catalog.open(workspace.catalog_place) as catalog:
        ids = {Path(path).name: image_id for path, image_id in catalog.resolve().items()}
        catalog.add_labels([Label(ids[f"{i:03d}.png"], KINDS[i % 3], "test") for i in range(n_labelled)])
    build_dataset(workspace, BuildRequest())
    return workspace


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Read only: tests that train something else than `trained` make their own."""
    return make_workspace(tmp_path_factory.mktemp("train"))


@pytest.fixture(scope="module")
def trained(made: Workspace) -> Trained:
    return train(made, TrainRequest())


def test_a_rerun_finds_the_model(made: Workspace, trained: Trained) -> None:
    before = snapshot_tree(made.state / "models")
    again = train(made, TrainRequest())
    assert (trained.is_new, again.is_new) == (True, False)
    assert again.model_id == trained.model_id
    assert snapshot_tree(made.state / "models") == before
    assert [path.name for path in (made.state / "models").iterdir()] == [trained.model_id]
    with Catalog.open(made.catalog_place) as catalog:
        (card,) = catalog.models.cards()
    assert (card.model_id, card.trainer, card.classes, card.good) == (trained.model_id, "head", KINDS, None)
    assert set(card.files) == {"checkpoint.safetensors", PREDICTIONS}


def test_it_predicts_every_real_image_of_the_dataset_and_is_right(made: Workspace, trained: Trained) -> None:
    entries = read_dataset(made, trained.dataset).entries
    assert trained.folder is not None
    ids = [one.example.image_id for one in entries]
    found = read_predictions(trained.folder / PREDICTIONS, {}, ids)
    assert found.classes == KINDS
    assert found.probs is not None
    right = [KINDS[code] == one.example.label for code, one in zip(found.probs.argmax(1), entries, strict=True)]
    assert np.mean(right) > 0.9


def test_the_predictor_says_what_is_stored(made: Workspace, trained: Trained) -> None:
    assert trained.folder is not None
    entries = read_dataset(made, trained.dataset).entries
    stored = read_predictions(trained.folder / PREDICTIONS, {}, [one.example.image_id for one in entries]).probs
    assert stored is not None
    predictor = load_predictor(trained.folder, "cpu")
    pictures = [decode_rgb(Path(one.example.path), max_pixels=10**6) for one in entries]
    import torch

    batch = torch.stack([predictor.prepare(picture) for picture in pictures])
    before = batch.clone()
    assert batch.dtype == torch.float32
    np.testing.assert_allclose(predictor.probabilities(batch), stored, atol=1e-3)
    assert torch.equal(batch, before), "the batch is the caller's"
    assert tuple(predictor.classes) == KINDS


def test_the_pool_is_predicted_if_asked_for(made: Workspace, trained: Trained) -> None:
    pooled = train(made, TrainRequest(pool=True))
    assert (trained.n_predicted, pooled.n_predicted) == (40, 48)
    assert pooled.model_id != trained.model_id


def test_another_seed_option_or_trainer_is_another_model(made: Workspace, trained: Trained) -> None:
    plan = train(made, TrainRequest(options={"strength": 0.1}, dry_run=True))
    assert plan.folder is None
    assert plan.model_id != trained.model_id
    other = find_workspace(made.root, [*SETTINGS, "seed=5"])
    assert train(other, TrainRequest(dry_run=True)).model_id != trained.model_id
    assert train(made, TrainRequest(dry_run=True)).model_id == trained.model_id
    set_so = find_workspace(made.root, [*SETTINGS, "training.options.strength=0.1"])
    assert train(set_so, TrainRequest(dry_run=True)).model_id == plan.model_id
    with pytest.raises(UsageError, match="unknown trainer"):
        train(made, TrainRequest(trainer="hat"))
    with pytest.raises(UsageError, match="option strenth"):
        train(made, TrainRequest(options={"strenth": 1}))


def test_no_test_label_reaches_a_trainer(made: Workspace, trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    tests = {one.example.image_id for one in read_dataset(made, trained.dataset).entries if one.split == "test"}
    assert tests
    seen = []

    def spy(work: object, *_: object) -> None:
        seen.append(work)
        raise OSError

    monkeypatch.setattr(story, "find_trainer", lambda _name: head.HEAD.__class__(
        "head", head.HeadOptions, lambda *_: "spied", spy, head.load, needs_vectors=True))  # fmt: skip
    with pytest.raises(UnreachableError, match="cannot write"):  # as a full disk ends it
        train(made, TrainRequest(options={"strength": 0.3}))
    (work,) = seen
    assert not tests & {one.image_id for one in (*work.train, *work.validation)}
    assert tests <= {one.image_id for one in work.asked}
    assert not any(hasattr(one, "label") for one in work.asked)
    assert list((made.state / "models").glob(".*")) == [], "a training that failed leaves nothing half made"


def test_a_kill_before_the_catalog_knows_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = make_workspace(tmp_path, 24, 24)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(story, "read_card", die)
        with pytest.raises(KeyboardInterrupt):
            train(workspace, TrainRequest())
    done = train(workspace, TrainRequest())
    assert not done.is_new
    assert find_model(workspace, None) == find_model(workspace, done.model_id[:5]) == done.model_id
    with pytest.raises(DataError, match="no model is champion"):
        find_model(workspace, "champion")


def test_force_trains_again_but_never_a_model_in_use(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, 24, 24)
    first = train(workspace, TrainRequest())
    again = train(workspace, TrainRequest(force=True))
    assert again.is_new
    assert again.model_id == first.model_id
    with Catalog.open(workspace.catalog_place) as catalog:
        (card,) = catalog.models.cards()
        assert json.loads((workspace.state / "models" / first.model_id / CARD).read_text())["created"] == card.created
        catalog.models.name(Alias.challenger, first.model_id)
    with pytest.raises(RefusedError, match="in use"):
        train(workspace, TrainRequest(force=True))


def test_one_class_alone_trains_nothing(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, 6, 1)
    with pytest.raises(DataError, match="two classes"):
        train(workspace, TrainRequest())


def test_a_changed_file_is_not_read(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, 24, 24)
    folder = train(workspace, TrainRequest()).folder
    assert folder is not None
    checkpoint = folder / "checkpoint.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1] + b"\1")
    with pytest.raises(DataError, match="was changed"):
        load_predictor(folder)
    checkpoint.unlink()
    with pytest.raises(DataError, match="is gone"):
        load_predictor(folder)
    (folder / CARD).write_text("[]")
    with pytest.raises(DataError, match="not the card"):
        load_predictor(folder)
