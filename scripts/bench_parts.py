"""What selection in parts loses and saves: the objective on the whole pool, time and memory, against one part.

    python scripts/bench_parts.py                                  # the table of docs/planning.md, about half an hour
    python scripts/bench_parts.py --strategies k-center --parts 8 --seeds 0

Every run is a process of its own. Objectives are computed densely, in plain code: coverage on a fixed sample of 20,000
rows against every row that is picked or labelled, the k-center radius over all rows, weighted for the default. The
whole pool is run once: with labels, none of these strategies draws anything but the reference rows of a density.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from bench.pool import PoolSpec, StoredPool, read_pool, write_pool
from bench.quality import gaussian, k_center_radius

STRATEGIES = ("default", "sparse-coverage", "facility-location", "max-herding", "k-center")
SAMPLE_ROWS = 20_000
BLOCK_ROWS = 2000
BANDWIDTH = 0.45  # of both densities
COVERAGE_POWER, COVERAGE_TEMPERATURE = 1.15, 2.5  # of sparse-coverage
DENSITY_POWER, TEMPERATURE, TRUST = 0.25, 2.0, 2.0  # of the default

Array = np.ndarray[Any, Any]


def main() -> None:
    arguments = _parse()
    if arguments.child:
        name, n_parts, seed = json.loads(arguments.child)
        print(json.dumps(measure(Path(arguments.work), name, n_parts, seed, arguments.budget)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(arguments.work or temporary)
        if not (work / "vectors.npy").exists():
            write_pool(work, PoolSpec(arguments.rows, arguments.width))
        print(f"{arguments.rows:,} x {arguments.width}, budget {arguments.budget:,}\n")
        print(
            "| strategy | parts | loss of the objective | worst seed | of the gain | seconds | processor s | peak GiB |"
        )
        print("|---|---|---|---|---|---|---|---|")
        for name in arguments.strategies:
            whole = _run_child(arguments, work, name, 1, 0)
            print(_row(name, 1, [whole], whole), flush=True)
            for n_parts in arguments.parts:
                runs = [_run_child(arguments, work, name, n_parts, seed) for seed in arguments.seeds]
                print(_row(name, n_parts, runs, whole), flush=True)


def measure(work: Path, name: str, n_parts: int, seed: int, budget: int) -> dict[str, float]:
    """Select once; return seconds, processor seconds, peak GiB, the objective and what the picks added to it."""
    import activesel

    pool = read_pool(work)
    clock, cpu = time.perf_counter(), time.process_time()
    picks = activesel.select(
        pool.vectors, budget=budget, strategy=name, labelled=pool.labelled, classes=pool.classes, probs=pool.probs,
        partitions=n_parts, seed=seed,
    )  # fmt: skip
    figures = {"seconds": time.perf_counter() - clock, "cpu_s": time.process_time() - cpu}
    figures["peak_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    assert len(np.unique(picks.rows)) == budget
    objective, before = judge(work, name, pool, picks.rows)
    return {**figures, "objective": objective, "before": before}


def judge(work: Path, name: str, pool: StoredPool, rows: Array) -> tuple[float, float]:
    """Return the objective with the picks and, where higher is better, without them; lower is better has no without."""
    known = np.union1d(rows, pool.labelled)
    if name == "k-center":
        return -k_center_radius(pool.vectors, known), 0.0
    sample = np.sort(np.random.default_rng(1).choice(len(pool.vectors), SAMPLE_ROWS, replace=False))
    if name == "default":
        return -_weighted_radius(pool, sample, known), 0.0
    weight = _coverage_weight(work, pool, sample) if name == "sparse-coverage" else np.ones(SAMPLE_ROWS)
    return _cover(name, pool, sample, weight, known), _cover(name, pool, sample, weight, pool.labelled)


def _cover(name: str, pool: StoredPool, sample: Array, weight: Array, centres: Array) -> float:
    near = np.full(len(sample), -1.0, np.float32)
    anchors = pool.vectors[centres].astype(np.float32).T
    for start in range(0, len(sample), BLOCK_ROWS):
        here = slice(start, start + BLOCK_ROWS)
        near[here] = (pool.vectors[sample[here]].astype(np.float32) @ anchors).max(axis=1)
    kernels = {"sparse-coverage": gaussian(near, BANDWIDTH), "max-herding": gaussian(near, 1.0)}
    return float(weight @ kernels.get(name, np.maximum(near, 0.0)).astype(np.float64))


def _weighted_radius(pool: StoredPool, sample: Array, known: Array) -> float:
    """The largest weighted distance to a known row that is left, the density being a mean over ``sample``."""
    from activesel.uncertainty import score_margin, temper

    assert pool.probs is not None
    anchors, centres = (pool.vectors[rows].astype(np.float32).T for rows in (sample, known))
    largest = 0.0
    for start in range(0, len(pool.vectors), BLOCK_ROWS):
        here = slice(start, start + BLOCK_ROWS)
        rows = pool.vectors[here].astype(np.float32)
        density = gaussian(rows @ anchors, BANDWIDTH).mean(axis=1)
        unsure = score_margin(temper(np.asarray(pool.probs[here]), TEMPERATURE))
        distance = np.sqrt(np.maximum(2.0 - 2.0 * (rows @ centres).max(axis=1), 0.0))
        largest = max(largest, float((distance * unsure**TRUST * density**DENSITY_POWER).max()))
    return largest


def _coverage_weight(work: Path, pool: StoredPool, sample: Array) -> Array:
    """The weight that sparse-coverage gives each sampled row, its density summed over every row of the pool."""
    from activesel.uncertainty import score_margin, temper

    kept = work / "density.npy"
    if not kept.exists():
        density = np.zeros(len(sample))
        rows = pool.vectors[sample].astype(np.float32)
        for start in range(0, len(pool.vectors), BLOCK_ROWS):
            block = pool.vectors[start : start + BLOCK_ROWS].astype(np.float32)
            density += gaussian(rows @ block.T, BANDWIDTH).sum(axis=1)
        np.save(kept, density)
    assert pool.probs is not None
    return np.asarray(score_margin(temper(pool.probs[sample], COVERAGE_TEMPERATURE)) / np.load(kept) ** COVERAGE_POWER)


def _row(name: str, n_parts: int, runs: list[dict[str, float]], whole: dict[str, float]) -> str:
    lost = [whole["objective"] - run["objective"] for run in runs]
    losses = [100 * one / abs(whole["objective"]) for one in lost]
    of_gain = f"{100 * np.mean(lost) / (whole['objective'] - whole['before']):.2f} %" if whole["before"] else "-"
    mean = {key: np.mean([run[key] for run in runs]) for key in ("seconds", "cpu_s", "peak_gib")}
    return (f"| {name} | {n_parts} | {np.mean(losses):.2f} % | {max(losses):.2f} % | {of_gain} | "
            f"{mean['seconds']:.1f} | {mean['cpu_s']:.1f} | {mean['peak_gib']:.2f} |")  # fmt: skip


def _run_child(arguments: argparse.Namespace, work: Path, name: str, n_parts: int, seed: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--work", str(work), "--budget", str(arguments.budget), "--child",
               json.dumps([name, n_parts, seed])]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--budget", type=int, default=1000)
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES)
    parser.add_argument("--parts", nargs="+", type=int, default=(4, 8, 16))
    parser.add_argument("--seeds", nargs="+", type=int, default=(0, 1, 2))
    parser.add_argument("--work", help="Folder of the pool's files, kept; else a temporary one.")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
