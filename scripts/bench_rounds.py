"""Time three rounds of `select` in a workspace of many images: the first, one on the same images, one with new ones.

    python scripts/bench_rounds.py --n 1000000 --budget 5000 --strategy k-center --set duplicates.group_cap=0

The catalog and the shards of vectors are written as ingest and embed would leave them, without image files, so that the
figures are those of what surrounds the model. Printed per round, each in a process of its own: seconds of every stage,
processor seconds, and peak resident memory, memory-mapped files included. Between the rounds the batch's labels come in
and, before the third, new images. Nothing is cleared from the cache of the file system.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

DIM = 1280  # of the default backbone with plain pooling
RANK = 48  # directions that the made vectors vary in
SHARD_ROWS = 2048  # embedding.shard_rows
N_CLASSES = 6
STATIONS, LINES, LOT_SIZE = 12, 5, 2000


def make_ids(first: int, last: int) -> list[str]:
    """Ids as of contents: in no order, the same for the same numbers."""
    return [np.random.default_rng(i).bytes(16 * 1000).hex("\n", 16) for i in range(first // 1000, last // 1000)]


def fill_catalog(path: Path, first: int, last: int) -> list[str]:
    """Add images first..last, their files and what the source saw; return their ids."""
    from activesel.catalog import Catalog

    Catalog.open(path).close()
    ids = "\n".join(make_ids(first, last)).split("\n")
    numbered = list(zip(range(first, last), ids, strict=True))
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous = OFF")
    with connection:
        connection.execute("INSERT OR IGNORE INTO sources VALUES (1, '/data/plant')")
        images = ((image_id, 64, 64, "PNG", describe(i)) for i, image_id in numbered)
        connection.executemany("INSERT INTO images VALUES (?, ?, ?, ?, ?)", images)
        files = ((place(i), image_id, 4096, 1) for i, image_id in numbered)
        connection.executemany("INSERT INTO files (path, image_id, n_bytes, mtime_ns) VALUES (?, ?, ?, ?)", files)
        connection.executemany("INSERT INTO sightings VALUES (1, ?)", ((place(i),) for i, _ in numbered))
    connection.close()
    return ids


def place(i: int) -> str:
    return f"/data/plant/line-{i % LINES}/lot-{i // LOT_SIZE:05d}/part-{i:08d}.png"


def describe(i: int) -> str:
    meta = {"line": f"{i % LINES}", "lot": f"{i // LOT_SIZE:05d}", "part": f"{i:08d}", "station": f"S{i % STATIONS}"}
    return json.dumps(meta, sort_keys=True)


def fill_vectors(folder: Path, key: str, first: int, ids: list[str]) -> None:
    """Write shards of clustered vectors, numbered on from those there."""
    from activesel.embedding.shards import shard_bytes
    from activesel.workspace import write_json

    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "store.json", {"schema_version": 1, "key": key, "dim": DIM})
    basis = np.random.default_rng(0).normal(size=(RANK, DIM)).astype(np.float32)
    centres = np.random.default_rng(1).normal(size=(2000, RANK)).astype(np.float32)
    number = len(list(folder.glob("shard-*")))
    for start in range(0, len(ids), SHARD_ROWS):
        rng = np.random.default_rng(first + start + 7)
        part = ids[start : start + SHARD_ROWS]
        cluster = np.minimum(rng.zipf(1.3, size=len(part)), 2000) - 1
        low = centres[cluster] + 0.5 * rng.standard_normal((len(part), RANK), dtype=np.float32)
        packed = np.frombuffer(bytes.fromhex("".join(part)), np.uint8).reshape(-1, 16)
        path = folder / f"shard-{number:06d}.safetensors"
        path.write_bytes(shard_bytes(packed, (low @ basis / 8).astype(np.float16)))
        number += 1


def add_images(root: Path, first: int, last: int) -> None:
    from activesel.pipelines.bank import vectors_key
    from activesel.workspace import create_workspace

    workspace = create_workspace(root)
    ids = fill_catalog(workspace.catalog_path, first, last)
    key = vectors_key(workspace)
    fill_vectors(workspace.vectors_dir / key, key, first, ids)


def label_batch(root: Path, batch_id: str) -> float:
    """Import labels for a batch, as an annotation tool would write them; return the seconds."""
    from activesel.pipelines.batch_file import read_batch
    from activesel.pipelines.labels import import_labels
    from activesel.workspace import create_workspace

    workspace = create_workspace(root)
    picks = read_batch(workspace, batch_id).picks
    lines = [f"{pick.image_id},class {int(pick.image_id[:6], 16) % N_CLASSES}" for pick in picks]
    (root / "labels.csv").write_text("image_id,label\n" + "\n".join(lines) + "\n")
    started = time.perf_counter()
    import_labels(workspace, root / "labels.csv")
    return time.perf_counter() - started


def run_round(root: Path, budget: int, settings: list[str]) -> None:
    """Select once and print its figures as JSON."""
    from activesel.pipelines.select import SelectRequest, select_batch
    from activesel.workspace import create_workspace

    started, used = time.perf_counter(), time.process_time()
    result = select_batch(create_workspace(root, settings), SelectRequest(budget))
    figures = {"total": round(time.perf_counter() - started, 2), "cpu": round(time.process_time() - used, 2)}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    sizes = {path.name: path.stat().st_size for path in result.folder.iterdir()}
    print(json.dumps({"batch": result.batch_id, "seconds": result.seconds | figures, "peak": peak, "sizes": sizes}))


def measure(title: str, root: Path, args: argparse.Namespace) -> str:
    command = [sys.executable, __file__, "--one", str(root), "--budget", str(args.budget), "--strategy", args.strategy]
    for setting in args.set:
        command += ["--set", setting]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{title} failed:\n{done.stderr}")
    figures = json.loads(done.stdout.strip().splitlines()[-1])
    stages = "  ".join(f"{name} {seconds:.2f}" for name, seconds in figures["seconds"].items())
    sizes = "  ".join(f"{name} {size / 1e6:.1f}" for name, size in sorted(figures["sizes"].items()))
    print(f"{title}\n  seconds: {stages}\n  peak {figures['peak']:.2f} GiB; MB: {sizes}", flush=True)
    return str(figures["batch"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=100_000, help="images, in thousands")
    parser.add_argument("--new", type=int, default=10_000, help="images that come before the third round")
    parser.add_argument("--budget", type=int, default=5000)
    parser.add_argument("--strategy", default="k-center")
    parser.add_argument("--set", action="append", default=[], help="a setting, as on the command line")
    parser.add_argument("--folder", type=Path, help="where the workspace is made; a temporary folder by default")
    parser.add_argument("--keep", action="store_true", help="leave the workspace there, and use one that is there")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        run_round(args.one, args.budget, [f"selection.strategy={args.strategy}", *args.set])
        return
    root = args.folder or Path(tempfile.mkdtemp(prefix="bench-rounds-"))
    try:
        if not (root / ".activesel" / "catalog.sqlite").exists():
            started = time.perf_counter()
            add_images(root, 0, args.n)
            print(f"{args.n:,} images made in {time.perf_counter() - started:.0f} s, {os.cpu_count()} cores\n")
        first = measure("round 1: nothing kept, nothing labelled", root, args)
        print(f"  labels in {label_batch(root, first):.2f} s")
        second = measure("round 2: the same images, the batch's labels", root, args)
        print(f"  labels in {label_batch(root, second):.2f} s")
        add_images(root, args.n, args.n + args.new)
        measure(f"round 3: {args.new:,} new images", root, args)
    finally:
        if not args.keep:
            shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
