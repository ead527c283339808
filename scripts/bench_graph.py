"""Time the kNN graph of one pool, stage by stage, beside the floor of the machine.

    python scripts/bench_graph.py --n 1000000 --d 256                the pool of bench_select.py
    python scripts/bench_graph.py --n 10000000 --d 128 --mapped      its vectors stay in a file
    python scripts/bench_graph.py --n 1000000 --d 256 --grow 0.1     then again with a tenth of the rows new
    python scripts/bench_graph.py --real 2900                        81 places in each of so many real images

Recall: share of the 32 nearest rows found, mean over 1,000 rows against exact search; equal ones count as found. Peak:
of a process that reads the vectors and makes the graph; pages of a mapped file count. Floor: reading the vectors and
writing the graph once at the machine's copy bandwidth, and the products that this way of searching takes at its matrix
rate. Everything: every row with every row at that rate. Real images: those in $ACTIVESEL_DATA, a vector per place of
the default backbone's last feature map, in 256 dimensions.
"""

from __future__ import annotations

import argparse
import functools
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench.machine import measure_machine
from bench.pool import PoolSpec, write_pool

from activesel.embedding.registry import find_recipe
from activesel.index import extend_graph, knn_graph, measure_recall
from activesel.index import search as search_module
from activesel.index.exact import ExactSearch
from activesel.index.lists import Lists
from activesel.projection import reduce_dimensions
from activesel.records import FloatArray, IntArray, KnnGraph
from activesel.tensors import Rows

ROOT = Path(__file__).resolve().parent.parent
K = 32
CHECKED_ROWS = 1000
SIDE_PX = 288
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")


class Stages:
    """Seconds on the clock and of processor time, by stage; a stage may be entered many times."""

    def __init__(self) -> None:
        self.seconds: dict[str, tuple[float, float]] = {}

    def time(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*args: Any, **options: Any) -> Any:
            clock, processor = time.perf_counter(), time.process_time()
            try:
                return function(*args, **options)
            finally:
                before = self.seconds.get(name, (0.0, 0.0))
                self.seconds[name] = (
                    before[0] + time.perf_counter() - clock, before[1] + time.process_time() - processor)  # fmt: skip

        return timed

    def watch_search(self, efforts: list[Any]) -> None:
        """Time the parts of a `ListSearch`, and note what it tuned itself to."""
        search = search_module.ListSearch
        note = search._tune

        def tune(self: Any, k: int) -> Any:
            efforts.append((note(self, k), len(self._lists.centroids), self._lists.centroids.shape[1]))
            return efforts[-1][0]

        search._tune = self.time("tune", tune)  # type: ignore[method-assign]
        search.find = self.time("search", search.find)  # type: ignore[method-assign]
        Lists.__init__ = self.time("lists", Lists.__init__)  # type: ignore[method-assign]
        search._encode = self.time("codes", search._encode)  # type: ignore[method-assign]

    def report(self) -> None:
        for name, (clock, processor) in self.seconds.items():
            print(f"{name:12} {clock:8.1f} s {processor:8.1f} s of processor time")


def run_one(path: Path, *, mapped: bool, grow: float) -> None:
    """Make the graph of a file's vectors and print its figures; then, if asked, grow it."""
    vectors = np.load(path, mmap_mode="r" if mapped else None)
    n = len(vectors)
    stages, efforts = Stages(), list[Any]()
    stages.watch_search(efforts)
    graph = stages.time("whole", knn_graph)(vectors, K)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    stages.report()
    print(f"peak {peak:.2f} GiB resident; {efforts[-1] if efforts else 'exact'}")
    rows = np.sort(np.random.default_rng(5).choice(n, min(n, CHECKED_ROWS), replace=False))
    exact = ExactSearch(Rows(vectors)).find(rows, K)[0]
    print(f"recall {measure_recall(graph.similarity[rows], exact):.4f}")
    if efforts:
        print_floor(vectors, *efforts[-1])
    if grow:
        run_growth(vectors, graph, rows, exact, grow)


def print_floor(vectors: FloatArray, effort: Any, n_lists: int, p: int) -> None:
    n, d = vectors.shape
    machine = measure_machine()
    traffic = n * (d * vectors.itemsize + K * 8) / machine["copy_bytes_s"]
    assigning = 2 * 2 * n * n_lists * p / machine["bf16_flop_s"]
    comparing = 2 * n * effort.n_candidates * d / machine["fp32_flop_s"]
    everything = 2 * n * n * d / machine["bf16_flop_s"]
    print(f"floor: traffic {traffic:.2f} s, rows with lists {assigning:.2f} s, rows with candidates {comparing:.2f} s")
    print(f"everything: {everything:.0f} s at {machine['bf16_flop_s'] / 1e9:.0f} GFLOP/s bf16")


def run_growth(vectors: FloatArray, whole: KnnGraph, rows: IntArray, exact: FloatArray, share: float) -> None:
    """Grow the graph of some rows by the rest, and compare with the whole one."""
    places = np.flatnonzero(np.random.default_rng(1).random(len(vectors)) >= share)
    before = knn_graph(vectors[places], K)
    stages = Stages()
    grown = stages.time("grow", extend_graph)(vectors, before, places, K)
    stages.report()
    listed = [np.isin(whole.neighbours[row], grown.neighbours[row]).mean() for row in rows]
    print(f"grown: recall {measure_recall(grown.similarity[rows], exact):.4f}, overlap {np.mean(listed):.4f}")


def write_places(path: Path, n_images: int) -> None:
    """Write a unit vector for each place of the feature maps of evenly picked real images."""
    import cv2

    data = Path(os.environ.get("ACTIVESEL_DATA", ROOT.parent / "shared" / "data"))
    files = sorted(file for file in data.rglob("*") if file.suffix.lower() in SUFFIXES and "mask" not in str(file))
    if not files:
        raise SystemExit(f"no images in {data}; set ACTIVESEL_DATA")
    files = files[:: max(1, len(files) // n_images)]
    network: Any = find_recipe("efficientnet_lite0", None).build()[0]
    parts = []
    with torch.inference_mode():
        for start in range(0, len(files), 32):
            images = [cv2.imread(str(file)) for file in files[start : start + 32]]
            pixels = np.stack(
                [cv2.resize(image, (SIDE_PX, SIDE_PX))[:, :, ::-1] for image in images if image is not None]
            )
            maps = network.forward_features((torch.from_numpy(pixels.copy()).permute(0, 3, 1, 2) / 255 - 0.5) / 0.5)
            places = torch.nn.functional.normalize(maps.permute(0, 2, 3, 1).flatten(0, 2), dim=1)
            parts.append(places.half().numpy())
    np.save(path, reduce_dimensions(np.concatenate(parts), 256))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--d", type=int, default=256)
    parser.add_argument("--mapped", action="store_true", help="leave the vectors in their file")
    parser.add_argument("--grow", type=float, default=0.0, metavar="SHARE", help="then grow by this share of new rows")
    parser.add_argument("--real", type=int, default=0, metavar="IMAGES", help="vectors of real images instead")
    parser.add_argument(
        "--vectors", type=Path, help="an .npy of unit rows instead; also how the measured process starts"
    )
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        run_one(args.vectors, mapped=args.mapped, grow=args.grow)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = args.vectors or Path(folder) / "vectors.npy"
        if args.real:
            write_places(path, args.real)
        elif args.vectors is None:
            write_pool(Path(folder), PoolSpec(args.n, args.d), with_probs=False)
        print(f"{' x '.join(map(str, np.load(path, mmap_mode='r').shape))}, k = {K}", flush=True)
        options = ["--mapped"] * args.mapped + ["--grow", str(args.grow)]
        subprocess.run([sys.executable, __file__, "--one", "--vectors", str(path), *options], check=True)


if __name__ == "__main__":
    main()
