"""What scripts/bench_serve.py measures against: the same champion, without a server."""

from __future__ import annotations

import csv
import io
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from activesel.catalog import Catalog
from activesel.heap import kept_heap
from activesel.models import Decision
from activesel.pipelines.dataset import BuildRequest, build_dataset
from activesel.pipelines.ingest import ingest
from activesel.pipelines.predictors import predictor_opener
from activesel.pipelines.train import TrainRequest, train
from activesel.workspace import create_workspace, find_workspace

ROOT = Path(__file__).resolve().parents[2]
MAX_PIXELS = 100_000_000
_EACH = 30  # images of a class that the model is trained on
_state: dict[str, Any] = {}


def tiles() -> Path:
    return Path(os.environ.get("ACTIVESEL_DATA", ROOT.parent / "shared" / "data")) / "magnetic_tile"


def find_images(number: int) -> list[bytes]:
    """Return the bytes of so many tiles, evenly from all, which are sorted by class; some twice if need be."""
    paths = sorted(path for path in (tiles() / "images").rglob("*") if path.suffix.lower() in (".jpg", ".png"))
    order = np.random.default_rng(0).permutation(len(paths))
    return [paths[order[i % len(paths)]].read_bytes() for i in range(number)]


def make_workspace(root: Path) -> Path:
    """Make a workspace whose champion is a linear head on some tiles, by the steps that a user takes."""
    workspace = create_workspace(root, ["embedding.pooling=plain", "embedding.good=free"])
    taken: dict[str, int] = {}
    listing = io.StringIO()
    writer = csv.writer(listing)
    writer.writerow(["path", "label"])
    with (tiles() / "labels.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            taken[row["label"]] = taken.get(row["label"], 0) + 1
            if taken[row["label"]] <= _EACH:
                writer.writerow([tiles() / row["path"], row["label"]])
    (root / "some.csv").write_text(listing.getvalue())
    ingest(workspace, str(root / "some.csv"))
    build_dataset(workspace, BuildRequest())
    made = train(workspace, TrainRequest())
    with Catalog.open(workspace.catalog_place) as catalog:
        catalog.models.promote(
            Decision("force", made.model_id, None, "done", "a benchmark", "2026-01-01T00:00:00+00:00")
        )
    return root


def start(root: str, engine: str, core: int, batch: int) -> None:
    """Load the champion on one core, with the settings of the server's process."""
    os.sched_setaffinity(0, {core})
    import torch

    torch.set_num_threads(1)
    kept_heap().__enter__()
    workspace = find_workspace(Path(root))
    with Catalog.open(workspace.catalog_place) as catalog:
        (champion,) = [one for alias, one in catalog.models.aliases().items() if alias == "champion"]
    _state["predictor"] = predictor_opener(workspace, engine)(workspace.state / "models" / champion, "cpu")
    _state["batch"] = batch


def run_bare(number: int) -> tuple[float, float]:
    """Return images per second and processor milliseconds per image of forward passes on inputs that are ready."""
    import torch

    predictor, size = _state["predictor"], _state["batch"]
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    batch = torch.stack([predictor.prepare(noise)] * size)
    began, core = time.perf_counter(), time.process_time()
    for _ in range(-(-number // size)):
        predictor.probabilities(batch)
    done = -(-number // size) * size
    return done / (time.perf_counter() - began), 1000 * (time.process_time() - core) / done


def run_decoding(images: list[bytes]) -> tuple[float, float]:
    """As run_bare, from the bytes of files, which are decoded and resized one after the other."""
    import torch

    from activesel.images import decode_content

    predictor, size = _state["predictor"], _state["batch"]
    began, core = time.perf_counter(), time.process_time()
    for start in range(0, len(images), size):
        pictures = [decode_content(one, max_pixels=MAX_PIXELS, at_least_px=predictor.least_px)
                    for one in images[start : start + size]]  # fmt: skip
        predictor.probabilities(torch.stack([predictor.prepare(one) for one in pictures]))
    return len(images) / (time.perf_counter() - began), 1000 * (time.process_time() - core) / len(images)
