"""Time every strategy on one pool, each in a process of its own, beside the floor of the machine.

    python scripts/bench_select.py --n 100000 --d 256 --budget 1000

Columns: seconds of `activesel.select` with graph, head and reasons included; peak resident memory of the process;
floor = reading every input once at the measured copy bandwidth, which no method can beat; plain = what one pass over
the vectors per pick would take at that bandwidth, which is how greedy selection is usually written.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

N_CLASSES = 10


def make_pool(n: int, d: int, n_labelled: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors like a backbone's: 2,000 clusters of uneven size near a 20-dimensional subspace; labels by cluster."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(d, 20)))[0].T.astype(np.float32)
    centres = rng.normal(size=(2000, 20)).astype(np.float32)
    share = 1.0 / np.arange(1, 2001)
    cluster = rng.choice(2000, size=n, p=share / share.sum())
    vectors = np.empty((n, d), dtype=np.float32)
    for start in range(0, n, 65536):
        part = centres[cluster[start : start + 65536]]
        low = part + 0.3 * rng.standard_normal(part.shape, dtype=np.float32)
        block = low @ basis + 0.02 * rng.standard_normal((len(part), d), dtype=np.float32)
        vectors[start : start + 65536] = block / np.linalg.norm(block, axis=1, keepdims=True)
    labelled = np.sort(rng.choice(n, size=n_labelled, replace=False))
    return vectors, labelled, cluster[labelled] % N_CLASSES


def run_one(name: str, n: int, d: int, budget: int, n_labelled: int) -> None:
    """Run one strategy and print its figures as JSON."""
    import activesel

    vectors, labelled, classes = make_pool(n, d, n_labelled)
    options = {"exemplars": labelled[:20]} if name == "exemplars" else {}
    started = time.perf_counter()
    picks = activesel.select(vectors, budget=budget, labelled=labelled, classes=classes, strategy=name, **options)
    seconds = time.perf_counter() - started
    assert len(np.unique(picks.rows)) == budget
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"seconds": seconds, "peak_gib": peak}))


def measure_bandwidth() -> float:
    """Return bytes read a second while copying 256 MB, the best of five."""
    import torch

    source = torch.ones(2**26)
    target = torch.empty_like(source)
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        target.copy_(source)
        best = min(best, time.perf_counter() - started)
    return source.nbytes / best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--d", type=int, default=256)
    parser.add_argument("--budget", type=int, default=1000)
    parser.add_argument("--labelled", type=int, default=1000)
    parser.add_argument("--strategies", default="", help="comma-separated; all by default")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        run_one(args.one, args.n, args.d, args.budget, args.labelled)
        return
    from activesel.strategies import strategy_names

    names = args.strategies.split(",") if args.strategies else strategy_names()
    bandwidth = measure_bandwidth()
    floor = args.n * (args.d + N_CLASSES) * 4 / bandwidth
    plain = args.n * args.d * 4 * args.budget / bandwidth
    print(
        f"n {args.n:,}, d {args.d}, budget {args.budget:,}, {args.labelled:,} labelled, copy {bandwidth / 1e9:.1f} GB/s"
    )
    print(f"floor {floor:.3f} s, plain greedy {plain:.1f} s\n")
    print(f"| {'strategy':20} | {'seconds':>7} | {'peak GiB':>8} | {'x floor':>8} |")
    print("|" + "|".join("-" * width for width in (22, 9, 10, 10)) + "|")
    for name in names:
        command = [sys.executable, __file__, "--one", name, "--n", str(args.n), "--d", str(args.d)]
        command += ["--budget", str(args.budget), "--labelled", str(args.labelled)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"| {name:20} | failed: {done.stderr.strip().splitlines()[-1]}")
            continue
        figures = json.loads(done.stdout)
        seconds, peak = figures["seconds"], figures["peak_gib"]
        print(f"| {name:20} | {seconds:7.2f} | {peak:8.2f} | {seconds / floor:8.0f} |", flush=True)


if __name__ == "__main__":
    main()
