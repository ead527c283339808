"""A champion with a blind spot, fed by its own picks; beside it the same with exploration and monitors.

    python scripts/run_feedback_bias.py --data ../shared/data/magnetic_tile --out docs/feedback_bias.md

Embeds the images once (--vectors keeps them), plays the flywheels of ``list_jobs`` over paired seeds, and writes the
page and its plot beside it. --results keeps what was played: a killed run goes on, and the page can be drawn again.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from feedback_bias.loop import RECHECKS, Arm, Job, Set, best_recall, run_flywheel
from feedback_bias.page import write_page
from feedback_bias.plot import draw

GOOD, GROUP = "free", "neardup_group"
HEADLINE = "uneven"
ARMS = (
    Arm("rejects", "rejects"),
    Arm("rejects, alarms followed", "rejects", 0, monitors=True),
    Arm("rejects + 20 random", "rejects", 20),
    Arm("rejects + 10 random, alarms followed", "rejects", 10, monitors=True),
    Arm("rejects + 20 random, alarms followed", "rejects", 20, monitors=True),
    Arm("doubts", "doubts"),
    Arm("default strategy", "default"),
    Arm("default strategy + 10 random, alarms followed", "default", 10, monitors=True),
)
BY_NAME = {arm.name: arm for arm in ARMS}
OWN, HELPED, DEFAULT = "rejects", "rejects + 20 random, alarms followed", "default strategy"


@dataclass(frozen=True)
class Wanted:
    """One flywheel to play."""

    kind: str
    history: str
    arm: str
    seed: int

    @property
    def key(self) -> str:
        return f"{self.kind}|{self.history}|{self.arm}|{self.seed}"


def list_jobs(kinds: list[str], seeds: int) -> list[Wanted]:
    """The headline class in every arm; the others, and the other histories, in those that tell."""
    few = max(1, seeds // 2)
    wanted = [Wanted(HEADLINE, "passed", arm, seed) for seed in range(seeds) for arm in BY_NAME]
    wanted += [Wanted(HEADLINE, "known", HELPED, seed) for seed in range(seeds)]
    wanted += [Wanted(HEADLINE, "absent", arm, seed) for seed in range(few) for arm in (OWN, HELPED, DEFAULT)]
    others = [kind for kind in kinds if kind not in (GOOD, HEADLINE)]
    return wanted + [Wanted(kind, "passed", arm, seed) for seed in range(few) for kind in others
                     for arm in (OWN, HELPED, DEFAULT)]  # fmt: skip


def read_set(data: Path, vectors: Path | None) -> Set:
    """Return the images of ``data`` with their vectors, from the file of vectors where there is one."""
    if vectors is not None and vectors.exists():
        kept = np.load(vectors, allow_pickle=False)
        rows, labels, groups = kept["vectors"], kept["label"], kept["group"]
    else:
        rows, labels, groups = embed_set(data)
        if vectors is not None:
            np.savez(vectors, vectors=rows, label=labels, group=groups)
    names, classes = np.unique(labels, return_inverse=True)
    rows = np.asarray(rows, np.float32)
    return Set(rows / np.linalg.norm(rows, axis=1, keepdims=True), classes.astype(np.int64),
               np.unique(groups, return_inverse=True)[1], tuple(map(str, names)),
               names.tolist().index(GOOD))  # fmt: skip


def embed_set(data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from activesel.catalog import Catalog
    from activesel.config import load_config
    from activesel.pipelines.embed import embed, load_vectors
    from activesel.pipelines.ingest import ingest
    from activesel.projection import reduce_dimensions
    from activesel.workspace import create_workspace

    with (data / "labels.csv").open(encoding="utf8") as stream:
        group_of = {str((data / row["path"]).resolve()): row[GROUP] for row in csv.DictReader(stream)}
    with tempfile.TemporaryDirectory() as folder:
        workspace = create_workspace(Path(folder))
        ingest(workspace, str(data / "labels.csv"))
        with Catalog.open(workspace.catalog_place) as catalog:
            rows, labels = catalog.images(), catalog.labels()
        embed(workspace, rows)
        vectors = load_vectors(workspace, [row.image_id for row in rows])
    reduced = reduce_dimensions(vectors, load_config().selection.components)
    return (np.asarray(reduced, np.float32), np.array([labels[row.image_id].name for row in rows]),
            np.array([group_of[str(Path(row.path).resolve())] for row in rows]))  # fmt: skip


def play(data: Set, wanted: Wanted) -> dict[str, Any]:
    import torch

    torch.set_num_threads(1)
    job = Job(data.names.index(wanted.kind), wanted.history, wanted.seed)
    run = run_flywheel(data, BY_NAME[wanted.arm], job)
    found = {**asdict(wanted), **asdict(run), "best": best_recall(data, job)}
    found["labels"] = [int(one) for one in found["labels"]]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with labels.csv (path,label,neardup_group)")
    parser.add_argument("--vectors", type=Path, help=".npz that keeps the vectors")
    parser.add_argument("--results", type=Path, help="lines of JSON that keep what was played")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="Markdown file; its plot is written beside it")
    args = parser.parse_args()
    data = read_set(args.data, args.vectors)
    wanted = list_jobs(list(data.names), args.seeds)
    results = play_all(data, wanted, args.results, args.workers)
    plot = args.out.with_suffix(".svg")
    command = (f"python scripts/run_feedback_bias.py --data ../shared/data/{args.data.name} --seeds {args.seeds} "
               f"--out docs/{args.out.name}")  # fmt: skip
    ordered = [results[one.key] for one in wanted]
    plot.write_text(draw(ordered, HEADLINE, (OWN, DEFAULT, "rejects + 20 random", HELPED)), encoding="utf8")
    facts = {"command": command, "n": len(data.classes), "n_parts": len(np.unique(data.groups)), "budget": Job.budget,
             "rechecks": RECHECKS, "seeds": args.seeds}  # fmt: skip
    args.out.write_text(write_page(ordered, list(BY_NAME), HEADLINE, plot.name, facts), encoding="utf8")
    print(args.out.read_text(encoding="utf8"))


def play_all(data: Set, wanted: list[Wanted], kept: Path | None, workers: int) -> dict[str, dict[str, Any]]:
    """Play what is not kept yet; each result is kept as soon as it is known."""
    results: dict[str, dict[str, Any]] = {}
    if kept is not None and kept.exists():
        for line in kept.read_text(encoding="utf8").splitlines():
            found = json.loads(line)
            results[Wanted(*(found[name] for name in ("kind", "history", "arm", "seed"))).key] = found
    left = [one for one in wanted if one.key not in results]
    with ProcessPoolExecutor(max_workers=workers) as pool:
        for one, found in zip(left, pool.map(play, [data] * len(left), left), strict=True):
            results[one.key] = found
            print(one.key, found["detected"], [round(value, 2) for value in found["recall"]], flush=True)
            if kept is not None:
                with kept.open("a", encoding="utf8") as stream:
                    stream.write(json.dumps(found) + "\n")
    return results


if __name__ == "__main__":
    main()
