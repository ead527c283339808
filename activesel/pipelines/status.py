"""The story of `activesel status`: what the workspace holds, and the next step. Reads only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from activesel.catalog import BatchCounts, Catalog
from activesel.pipelines.batch_file import read_head
from activesel.pipelines.embed import open_store
from activesel.workspace import Workspace


@dataclass(frozen=True)
class BatchStatus:
    """One batch. n_labelled: picks that have a label by now; no pick had one when it was chosen."""

    batch_id: str
    created: str
    strategy: str
    n_picks: int
    n_by_kind: dict[str, int]
    n_labelled: int
    report: Path


@dataclass(frozen=True)
class Status:
    """Counts of a workspace. n_vectors: images that have one of the backbone in the settings."""

    workspace: Path
    n_images: int
    n_files: int
    n_labelled: int
    n_by_class: dict[str, int]
    n_evaluation: int
    n_by_reason: dict[str, int]
    n_vectors: int
    backbone: str
    batches: tuple[BatchStatus, ...]
    next_step: str


def read_status(workspace: Workspace) -> Status:
    """Count what there is.

    Raises:
        DataError: a damaged catalog or store of vectors. ConfigError: a backbone that does not exist.
    """
    with Catalog.open(workspace.catalog_place) as catalog:
        counts, labels, images = catalog.counts(), catalog.label_columns(), catalog.list_images()
        reasons, batches = catalog.quarantine_counts(), catalog.batches.counts()
    known = tuple(_describe_batch(workspace, batch) for batch in batches)
    by_class = Counter(dict(zip(labels.names, np.bincount(labels.codes).tolist(), strict=False)))
    return Status(
        workspace=workspace.root, n_images=counts.n_images, n_files=counts.n_files, n_labelled=counts.n_labelled,
        n_by_class=dict(by_class.most_common()), n_evaluation=counts.n_evaluation, n_by_reason=reasons,
        n_vectors=len(images) - len(open_store(workspace).missing(images.ids)),
        backbone=workspace.config.embedding.backbone,
        batches=known, next_step=_next_step(counts.n_images, counts.n_labelled, known),
    )  # fmt: skip


def _describe_batch(workspace: Workspace, batch: BatchCounts) -> BatchStatus:
    strategy = str(read_head(workspace, batch.batch_id).get("strategy", "unknown (its files are gone)"))
    report = workspace.batches_dir / batch.batch_id / "report.html"
    return BatchStatus(batch.batch_id, batch.created, strategy, sum(batch.n_by_kind.values()), batch.n_by_kind,
                       batch.n_labelled, report)  # fmt: skip


def _next_step(n_images: int, n_labelled: int, batches: tuple[BatchStatus, ...]) -> str:
    if n_images == 0:
        return "add images: activesel ingest IMAGES"
    waiting = [batch for batch in batches if batch.n_labelled < batch.n_picks]
    if waiting:
        left = waiting[-1].n_picks - waiting[-1].n_labelled
        name = waiting[-1].batch_id
        return (f"label {left} images of batch {name}: activesel review {name}; or activesel export {name} --out "
                "batch.csv, then activesel import FILE")  # fmt: skip
    if n_labelled == n_images:
        return "every image has a label; add more: activesel ingest IMAGES"
    return "choose a batch: activesel select --budget 200"
