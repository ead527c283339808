"""How many small files a second `activesel ingest` takes, beside its floor: the same files only read and hashed, and
bare decodes, with the same number of threads, in one run.

    python scripts/bench_ingest.py              # 100,000 files, about two minutes
    python scripts/bench_ingest.py --n 5000
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from activesel.pipelines.ingest import ingest
from activesel.workspace import create_workspace

_PER_TASK = 32


def make_files(folder: Path, n: int, side_px: int) -> list[Path]:
    """Write n distinct images of blurred noise, half JPEG and half PNG, 1000 a folder, as line cameras store them."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(n):
        path = folder / f"{number // 1000:04d}" / f"{number:07d}.{'png' if number % 2 else 'jpg'}"
        path.parent.mkdir(exist_ok=True, parents=True)
        image = cv2.GaussianBlur(rng.integers(0, 256, (side_px, side_px, 3), np.uint8), (5, 5), 2)
        path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
        paths.append(path)
    return paths


def read_and_hash(path: Path) -> None:
    hashlib.sha256(path.read_bytes()).hexdigest()


def decode(path: Path) -> None:
    assert cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR) is not None


def rate_of(work: Callable[[Path], None], paths: Sequence[Path], n_threads: int) -> float:
    """Return files a second of one function over all files in threads."""

    def run(start: int) -> None:
        for path in paths[start : start + _PER_TASK]:
            work(path)

    began = time.perf_counter()
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(run, range(0, len(paths), _PER_TASK)))
    return len(paths) / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=100_000, help="number of files")
    parser.add_argument("--side", type=int, default=64, help="pixels per side")
    parser.add_argument("--workers", type=int, default=0, help="threads; 0 = two per core")
    options = parser.parse_args()
    n_threads = options.workers or 2 * (os.cpu_count() or 1)
    with tempfile.TemporaryDirectory(prefix="bench_ingest_") as folder:
        paths = make_files(Path(folder) / "images", options.n, options.side)
        workspace = create_workspace(Path(folder) / "workspace", [f"ingest.workers={n_threads}"])
        n_mb = sum(path.stat().st_size for path in paths) / 1e6
        print(f"{options.n} files of {options.side} x {options.side} px, {n_mb:.0f} MB, {n_threads} threads")
        print(f"floor, read and hash      {rate_of(read_and_hash, paths, n_threads):9.0f} files/s")
        print(f"floor, read and decode    {rate_of(decode, paths, n_threads):9.0f} files/s")
        for title in ("ingest", "ingest again"):
            summary = ingest(workspace, str(Path(folder) / "images"))
            assert summary.n_new + summary.n_known == options.n, summary
            print(f"{title:25} {summary.rate:9.0f} files/s   ({summary.seconds:.1f} s)")


if __name__ == "__main__":
    main()
