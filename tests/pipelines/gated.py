"""A workspace with a dataset and models whose answers are made in code, so that no network is needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from activesel.catalog import Catalog
from activesel.models import PREDICTIONS, ModelCard
from activesel.pipelines.dataset import BuildRequest, build_dataset
from activesel.pipelines.dataset_files import find_version, read_dataset
from activesel.pipelines.embed import open_store
from activesel.pipelines.model_files import publish_model
from activesel.trainers.answers import predictions_bytes
from activesel.workspace import Workspace
from tests.pipelines.workspaces import KINDS, Job, make_job, make_vectors

PLAIN = ("embedding.pooling=plain", "embedding.good=free", "duplicates.similarity=0.9999", "dataset.validation=0.35",
         "dataset.test=0.45", "gate.resamples=100", "gate.false_rejects=0.1", "gate.most_false_rejects=0.95",
         "gate.margin=0.1", "gate.least_defects=10", "gate.least_class=5")  # fmt: skip


def make_gated(root: Path, n: int = 240, n_labelled: int | None = None) -> Job:
    """n images, a quarter of them free; all labelled, or the first few, a dataset of them, no model."""
    vectors = make_vectors(n)
    job = make_job(root, n, vectors=vectors, meta={"station": [str(i // 4 % 3) for i in range(n)]})
    open_store(job.open(*PLAIN)).append(list(job.ids), vectors.astype(np.float16))
    job.label(range(n if n_labelled is None else n_labelled))
    build_dataset(job.open(*PLAIN), BuildRequest())
    return job


def add_model(
    job: Job, number: int, sure: float, dataset: str | None = None, left_out: tuple[str, ...] = (),
    blind_to: tuple[str, ...] = (), good: str | None = "free",
) -> str:  # fmt: skip
    """Add a model that is as sure of the truth as said: 0 knows nothing, 3 is nearly always right; images that it is
    blind to it calls free."""
    workspace = job.open(*PLAIN)
    rng = np.random.default_rng(number)
    ids = [one for one in job.ids if one not in left_out]
    logits = rng.normal(size=(len(ids), 4)).astype(np.float32)
    logits[np.arange(len(ids)), [KINDS.index(job.kind_of(one)) for one in ids]] += sure
    logits[[i for i, one in enumerate(ids) if one in blind_to], KINDS.index("free")] += 2 * sure
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    version = find_version(workspace, dataset)
    card = ModelCard(f"{number:012x}", "head", version, KINDS, good, 0, f"2026-01-{number:02d}T00:00:00+00:00")

    def write(draft: Path) -> ModelCard:
        (draft / PREDICTIONS).write_bytes(predictions_bytes(ids, probs, KINDS))
        return card

    with Catalog.open(workspace.catalog_place) as catalog:
        catalog.models.register(publish_model(workspace, card.model_id, write))
    return card.model_id


def ids_that_test(workspace: Workspace) -> list[str]:
    entries = read_dataset(workspace, find_version(workspace, None)).entries
    return [one.example.image_id for one in entries if one.split == "test"]


@pytest.fixture
def gated(tmp_path: Path) -> Job:
    return make_gated(tmp_path)
