"""Time `activesel qc` on a batch that several people labelled: seconds of each stage, and peak resident memory.

    python scripts/bench_qc.py --images 20000 --annotators 5

The workspace is made without image files; half a percent of the opinions are skips. The floor is what
reading their rows from SQLite takes. Target: 10 s and 1 GB for 100,000 opinions.
"""

from __future__ import annotations

import argparse
import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

CLASSES = ("good", "crack", "pit", "fray")
BATCH = "0001"


def make_workspace(root: Path, n_images: int, n_annotators: int) -> None:
    """Write images, a batch of all of them, tasks, and an opinion of every annotator about every image."""
    from activesel.annotations import Annotation, Box, Task
    from activesel.catalog import Catalog, FileStamp
    from activesel.pipelines.batch_file import BatchFile, PickRecord
    from activesel.records import ImageRow
    from activesel.workspace import create_workspace, write_json

    workspace, rng = create_workspace(root), np.random.default_rng(0)
    ids = [rng.bytes(16).hex() for _ in range(n_images)]
    truth = rng.choice(4, n_images, p=[0.8, 0.1, 0.07, 0.03])
    picks = tuple(PickRecord(i + 1, one, f"/data/{one}.png", "strategy", "", CLASSES[truth[i]], 0.9, 0.0, None, {}, 1,
                             None, {"station": f"S{i % 6}"}) for i, one in enumerate(ids))  # fmt: skip
    batch = BatchFile(1, BATCH, "2026-01-01T00:00:00+00:00", "", "default", float(n_images), 0, "", {}, {}, {}, (),
                      n_images, 0, picks=picks)  # fmt: skip
    write_json(workspace.batches_dir / BATCH / "batch.json", asdict(batch))
    with Catalog.open(workspace.catalog_path) as catalog:
        rows = [
            ImageRow(one, f"/data/{one}.png", 640, 480, "PNG", {"station": f"S{i % 6}"}) for i, one in enumerate(ids)
        ]
        catalog.add_images([(row, FileStamp(1, 1)) for row in rows], "made")
        catalog.batches.add(BATCH, ids, ["train"] * n_images, "2026-01-01")
        catalog.annotations.assign(BATCH, [Task(BATCH, one, n_wanted=n_annotators, overlap=True) for one in ids])
        for number in range(n_annotators):
            said = np.where(rng.random(n_images) < 0.97, truth, rng.integers(0, 4, n_images))
            skipped = rng.random(n_images) < 0.005
            place = rng.integers(0, 400, n_images).tolist()
            drawn = [(Box(CLASSES[said[i]], place[i] / 100, 10, 60, 60),) if said[i] else () for i in range(n_images)]
            catalog.annotations.add([
                Annotation(one, f"annotator {number}", name=None if skipped[i] else CLASSES[said[i]],
                           shapes=() if skipped[i] else drawn[i], skipped="cannot tell" if skipped[i] else "",
                           created="2026-01-02", lead_time_s=3.0, source="made", external_id=f"{number}-{i}")
                for i, one in enumerate(ids)
            ])  # fmt: skip


def run_qc(root: Path) -> None:
    from activesel.pipelines.qc import check_quality, record_consensus
    from activesel.pipelines.qc_files import as_json, write_quality
    from activesel.workspace import create_workspace

    workspace, seconds = create_workspace(root), {}
    started = time.perf_counter()
    quality = check_quality(workspace, BATCH)
    seconds["measure"] = time.perf_counter() - started
    changed = record_consensus(workspace, quality)
    seconds["record"] = time.perf_counter() - started - seconds["measure"]
    write_quality(workspace, quality, as_json(quality))
    seconds["all"], seconds["processor"] = time.perf_counter() - started, time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    told = {name: round(value, 2) for name, value in seconds.items()}
    print(json.dumps({"seconds": told, "peak_gib": round(peak, 2), "changed": changed,
                      "verdict": quality.decision.verdict.value}))  # fmt: skip


def measure_floor(path: Path) -> float:
    started = time.process_time()
    sqlite3.connect(path).execute("SELECT * FROM annotations").fetchall()
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--annotators", type=int, default=5)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        run_qc(args.one)
        return
    with tempfile.TemporaryDirectory(prefix="bench-qc-") as folder:
        root = Path(folder) / "job"
        make_workspace(root, args.images, args.annotators)
        print(f"{args.images * args.annotators:,} opinions of {args.annotators} annotators")
        floor = measure_floor(root / ".activesel" / "catalog.sqlite")
        print(f"floor, the rows read from SQLite: {floor:.2f} processor seconds")
        for title in ("first", "again, nothing changed"):
            done = subprocess.run([sys.executable, __file__, "--one", str(root)], capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(done.stderr)
            print(f"{title}: {done.stdout.strip().splitlines()[-1]}", flush=True)


if __name__ == "__main__":
    main()
