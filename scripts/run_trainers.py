"""Train each trainer on the same splits of a labelled set and score the test images, which no trainer saw labels of.

    python scripts/run_trainers.py --labels magnetic_tile/labels.csv --group-column neardup_group --good free \\
        --workspace FOLDER --out docs/trainers_measured.md

FOLDER is made a workspace, or is one that an earlier run made: models that are there are not trained again, but their
seconds are those of the first time.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from activesel.catalog import Catalog
from activesel.models import PREDICTIONS
from activesel.pipelines.dataset import BuildRequest, build_dataset
from activesel.pipelines.dataset_files import read_dataset
from activesel.pipelines.embed import embed_missing
from activesel.pipelines.ingest import ingest
from activesel.pipelines.train import TrainRequest, train
from activesel.predictions import read_predictions
from activesel.trainers import read_card
from activesel.workspace import Workspace, create_workspace, find_workspace, write_json

SHORT = {"side_px": 160, "epochs": 8, "frozen": 0.6, "patience": 8}
ARMS: dict[str, tuple[str, dict[str, Any]]] = {
    "head": ("head", {}),
    "fine-tune": ("fine-tune", {**SHORT, "masks": False}),
    "fine-tune, masks": ("fine-tune", {**SHORT, "masks": True}),
}
HEAD = """# Trainers, measured

Written by `scripts/run_trainers.py`. Each row: the mean over splits, and the least and the most of several. They are by
group, so that no part is on two sides; the test labels are in nothing that a trainer is handed. Macro-F1 counts each
class alike; the class is the likeliest one. Seconds are of the processor, for training and predicting, with {threads}
thread(s) for the arithmetic; the head's leave out embedding, which is done once ([performance.md](performance.md)).
Fine-tuning here is short, for a processor: {short}; the rest is as [trainers.md](trainers.md) says.

| trainer | macro-F1 | balanced accuracy | processor seconds | epochs |
|---|--:|--:|--:|--:|
"""


@dataclass(frozen=True)
class Score:
    """macro_f1, recall: 0..1, the mean over the classes. seconds: of training and predicting."""

    macro_f1: float
    recall: float
    seconds: float
    epochs: int


def main() -> None:
    asked = parse()
    import torch

    torch.set_num_threads(asked.threads)
    workspace = open_set(asked)
    scores: dict[str, list[Score]] = {name: [] for name in asked.arms}
    for split in range(asked.splits):
        own = find_workspace(workspace.root, settings(asked, split))
        built = build_dataset(own, BuildRequest(name=f"split-{split}"))
        for name in asked.arms:
            trainer, options = ARMS[name]
            scores[name].append(measure(own, built.version, trainer, options))
            print(split, name, scores[name][-1], flush=True)
    n = sum(1 for _ in read_dataset(workspace, built.version).entries)
    text = HEAD.format(threads=asked.threads, short=", ".join(f"`{key}={value}`" for key, value in SHORT.items()))
    text += "\n".join(describe(name, some) for name, some in scores.items())
    sides = tell(built.counts)
    text += f"\n\n{asked.labels.parent.name}: {n} images, {asked.splits} split(s) ({sides}).\n"
    asked.out.write_text(text, encoding="utf8")
    print(asked.out)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--group-column", default="neardup_group")
    parser.add_argument("--good", default="free")
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--splits", type=int, default=2)
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def settings(asked: argparse.Namespace, seed: int) -> list[str]:
    """Return how the set is read; the bank of patches is that of one seed, whatever the split."""
    return [f"seed={seed}", f"dataset.group_column={asked.group_column}", f"embedding.good={asked.good}",
            "dataset.validation=0.15", "dataset.test=0.3"]  # fmt: skip


def open_set(asked: argparse.Namespace) -> Workspace:
    """Ingest and embed."""
    create_workspace(asked.workspace)
    workspace = find_workspace(asked.workspace, settings(asked, 0))
    ingest(workspace, str(asked.labels), labels=asked.labels)
    with Catalog.open(workspace.catalog_place) as catalog:
        images = catalog.list_images()
    embed_missing(workspace, images)
    return workspace


def measure(workspace: Workspace, version: str, trainer: str, options: dict[str, Any]) -> Score:
    """Train, or find the model, and score the test images."""
    started = time.process_time()
    done = train(workspace, TrainRequest(version, trainer, options))
    seconds = time.process_time() - started
    assert done.folder is not None
    kept = workspace.root / f"seconds-{done.model_id}.json"
    if done.is_new:
        write_json(kept, seconds)
    entries = read_dataset(workspace, version).entries
    found = read_predictions(done.folder / PREDICTIONS, {}, [one.example.image_id for one in entries])
    assert found.probs is not None
    tests = np.array([one.split == "test" for one in entries])
    truth = np.array([done.classes.index(one.example.label) for one in entries])
    f1, recall = score(found.probs.argmax(axis=1)[tests], truth[tests], len(done.classes))
    epochs = int(read_card(done.folder).options.get("epochs_done", 0))
    return Score(f1, recall, float(json.loads(kept.read_text())), epochs)


def score(found: np.ndarray, truth: np.ndarray, n_classes: int) -> tuple[float, float]:
    """Return macro-F1 and the mean recall over the classes that the truth has.

    >>> score(np.array([0, 0, 1]), np.array([0, 1, 1]), 3)
    (0.6666666666666666, 0.75)
    """
    f1, recall = [], []
    for code in range(n_classes):
        own, said = truth == code, found == code
        if own.any():
            f1.append(2 * (own & said).sum() / (own.sum() + said.sum()))
            recall.append((own & said).sum() / own.sum())
    return float(np.mean(f1)), float(np.mean(recall))


def describe(name: str, scores: list[Score]) -> str:
    cells = [span([one.macro_f1 for one in scores], ".3f"), span([one.recall for one in scores], ".3f"),
             span([one.seconds for one in scores], ".1f")]  # fmt: skip
    epochs = span([one.epochs for one in scores], ".0f") if scores[0].epochs else "-"
    return f"| {name} | {' | '.join(cells)} | {epochs} |"


def span(values: list[float], form: str) -> str:
    if len(values) == 1:
        return f"{values[0]:{form}}"
    return f"{np.mean(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def tell(counts: Any) -> str:
    return ", ".join(f"{sum(some.values())} {side}" for side, some in counts.items())


if __name__ == "__main__":
    main()
