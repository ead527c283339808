"""Everything that a GPU is to be measured for, in one call of at most eight minutes; prints a Markdown table.

    python scripts/bench_gpu.py                 1,000,000 x 256 in float16, 5,000 picks
    python scripts/bench_gpu.py --self-check    the same steps, tiny, on the CPU: what a machine without a GPU does

Imports nothing beyond torch, torchvision, timm, numpy, pydantic (with yaml) and the project; files are decoded by
OpenCV where it is, else that part says so. Selection against the largest of three floors: taking the vectors to the
GPU at the measured rate, reading them there once at the measured copy bandwidth, and the plain method's products at the
measured float16 matrix rate. Asked for: at most 3 times that. Embedding against the bare network: asked for 80 %.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from bench.machine import best_of, measure_machine
from bench.pool import make_pool
from bench.quality import k_center_radius
from bench.table import print_table

Array = npt.NDArray[Any]
STRATEGIES = ("k-center", "weighted-k-center", "default", "sparse-coverage")
DENSITY_SAMPLE = 2048  # rows that a density compares every row with


@dataclass(frozen=True)
class Scale:
    """n x d vectors, b picks, k neighbours; compare: rows of the pool on which CPU and GPU picks are compared."""

    n: int
    d: int
    budget: int
    k: int
    compare: int
    networks: tuple[str, ...]
    n_images: int
    rounds: int
    limit_s: float


# The default backbone's network, and one that asks more of the GPU.
FULL = Scale(1_000_000, 256, 5000, 32, 50_000, ("tf_efficientnet_lite0", "resnet50"), 8192, 3, 440.0)
TINY = Scale(2000, 32, 30, 8, 1000, ("tf_efficientnet_lite0",), 4, 1, 440.0)
REPEATS = 5
SECONDS_OF_A_PART = 60.0  # a part that begins later than this before the limit is left out


@dataclass(frozen=True)
class Inputs:
    """vectors (n, d) float16, labelled (m,), classes (m,), probs (n, c), neighbours and similarity (n, k)."""

    vectors: Array
    labelled: Array
    classes: Array
    probs: Array
    neighbours: Array
    similarity: Array


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--self-check", action="store_true", help="tiny, on the CPU, GPU or not")
    args = parser.parse_args()
    has_gpu = torch.cuda.is_available() and not args.self_check
    device, scale = ("cuda", FULL) if has_gpu else ("cpu", TINY)
    if has_gpu:
        print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, Python {sys.version.split()[0]}\n")
    else:
        print("No CUDA device is used: a tiny self-check on the CPU follows, whose figures mean nothing.\n")
    return 1 if run_parts(device, scale) else 0


def run_parts(device: str, scale: Scale) -> int:
    """Run each part; one that fails is reported and does not stop the others. Returns how many failed."""
    started = time.perf_counter()
    rates = measure_machine(device)
    rates["upload_bytes_s"] = measure_upload(device, scale)
    print(f"upload {rates['upload_bytes_s'] / 1e9:,.1f} GB/s, copy {rates['copy_bytes_s'] / 1e9:,.0f} GB/s read, "
          f"fp32 {rates['fp32_flop_s'] / 1e12:.3g}, float16 {rates['bf16_flop_s'] / 1e12:.3g} TFLOP/s\n")  # fmt: skip
    inputs: list[Inputs] = []
    parts: dict[str, Callable[[], None]] = {
        "kNN graph": lambda: inputs.append(measure_graph(scale, device, rates)),
        "selection": lambda: measure_selection(inputs[0], scale, device, rates),
        "CPU and GPU": lambda: compare_devices(scale, device),
        "embedding": lambda: measure_embed(scale, device),
    }
    n_failed = 0
    for name, part in parts.items():
        if time.perf_counter() - started > scale.limit_s - SECONDS_OF_A_PART:
            print(f"{name}: left out, the time is used up\n")
            continue
        n_failed += not run_part(name, part)
    print(f"{time.perf_counter() - started:.0f} s in all")
    return n_failed


def run_part(name: str, part: Callable[[], None]) -> bool:
    print(f"### {name}\n", flush=True)
    try:
        part()
    except ImportError as error:
        print(f"not measured: {error}\n")
    except Exception as error:  # noqa: BLE001 - a machine is lent once: the other parts must still be measured
        traceback.print_exc()
        print(f"failed: {type(error).__name__}: {error}\n")
        return False
    return True


def measure_graph(scale: Scale, device: str, rates: dict[str, Any]) -> Inputs:
    """Build the pool, then its exact kNN graph by brute force."""
    from bench.gpu_graph import brute_force_graph

    inputs = make_inputs(scale.n, scale.d)
    seconds, (neighbours, similarity) = timed(lambda: brute_force_graph(inputs.vectors, scale.k, device), device)
    products = 2.0 * scale.n**2 * scale.d / rates["bf16_flop_s"]
    print_table(("graph", "seconds", "products at the float16 rate s", "x"),
                [[f"{scale.n:,} x {scale.d}, k {scale.k}, exact, on {device}", f"{seconds:.2f}", f"{products:.3f}",
                  f"{seconds / products:.1f}"]])  # fmt: skip
    return Inputs(inputs.vectors, inputs.labelled, inputs.classes, inputs.probs, neighbours, similarity)


def measure_selection(inputs: Inputs, scale: Scale, device: str, rates: dict[str, Any]) -> None:
    rows = []
    for name in STRATEGIES:
        run = functools.partial(choose, name, ready_pool(inputs, device), scale.budget)
        first = timed(run, device)[0]
        seconds, chosen = sorted((timed(run, device) for _ in range(REPEATS)), key=lambda one: one[0])[REPEATS // 2]
        known = np.concatenate([inputs.labelled, chosen])
        compared = {"default": DENSITY_SAMPLE + len(known), "sparse-coverage": DENSITY_SAMPLE}.get(name, len(known))
        upload, reads = (inputs.vectors.nbytes / rates[rate] for rate in ("upload_bytes_s", "copy_bytes_s"))
        bf16, fp32 = (2.0 * scale.n * scale.d * compared / rates[rate] for rate in ("bf16_flop_s", "fp32_flop_s"))
        radius = f"{k_center_radius(inputs.vectors, known):.4f}" if name == "k-center" else ""
        rows.append([name, f"{first:.3f}", f"{seconds:.3f}", f"{upload:.4f}", f"{reads:.4f}", f"{bf16:.4f}",
                     f"{fp32:.4f}", f"{seconds / max(upload, reads, bf16):.1f}", radius])  # fmt: skip
    print(f"{scale.n:,} x {scale.d} float16, {scale.budget:,} picks on {device}, upload included; the larger floor is "
          "of upload, reading and float16 products; asked for: x <= 3\n")  # fmt: skip
    print_table(("strategy", "first s", "median s", "upload s", "read once s", "float16 products s", "fp32 products s",
                 "x larger floor", "radius"), rows)  # fmt: skip


def compare_devices(scale: Scale, device: str) -> None:
    """Picks on the GPU against the CPU's on a smaller pool: equal but for rounding."""
    from bench.gpu_graph import brute_force_graph

    inputs = make_inputs(scale.compare, scale.d)
    inputs = Inputs(inputs.vectors, inputs.labelled, inputs.classes, inputs.probs,
                    *brute_force_graph(inputs.vectors, scale.k, device))  # fmt: skip
    budget = min(scale.budget, scale.compare // 10)
    rows = []
    for name in STRATEGIES:
        there, here = (choose(name, ready_pool(inputs, on), budget) for on in (device, "cpu"))
        same = int((there == here).argmin()) if (there != here).any() else budget
        radii = [k_center_radius(inputs.vectors, np.concatenate([inputs.labelled, one])) for one in (there, here)]
        rows.append([name, f"{budget:,}", f"{same:,}", f"{len(np.intersect1d(there, here)) / budget:.1%}",
                     f"{radii[0]:.5f}", f"{radii[1]:.5f}"])  # fmt: skip
    print(f"{scale.compare:,} x {scale.d}\n")
    print_table(("strategy", "picks", "equal from the start", "in common", f"radius {device}", "radius cpu"), rows)


def measure_embed(scale: Scale, device: str) -> None:
    from bench.embed_speed import measure_embedding

    speeds = [measure_embedding(name, device, scale.n_images, scale.rounds) for name in scale.networks]
    print(f"{scale.n_images:,} grey JPEGs of 300 x 400, random weights, on {device}; asked for: 80 % of bare\n")
    print_table(("network", "bare img/s", "decode alone img/s", "files to vectors img/s", "of bare"),
                [[speed.network, f"{speed.bare:,.0f}", f"{speed.decode:,.0f}", f"{speed.end_to_end:,.0f}",
                  f"{speed.share:.1%}"] for speed in speeds])  # fmt: skip


def make_inputs(n: int, d: int) -> Inputs:
    """A pool with probabilities from class means: no solver is needed."""
    vectors, labelled, classes = make_pool(n, d, min(1000, n // 10))
    means = np.stack([vectors[labelled[classes == c]].mean(axis=0) if (classes == c).any() else np.zeros(d, np.float32)
                      for c in range(10)])  # fmt: skip
    logits = 4.0 * vectors @ means.T
    probs = np.exp(logits - logits.max(axis=1, keepdims=True))
    none = np.empty((0, 0))
    return Inputs(vectors.astype(np.float16), labelled, classes, (probs / probs.sum(axis=1, keepdims=True)), none, none)


def ready_pool(inputs: Inputs, device: str) -> Any:
    """What the pipeline hands to a strategy: a Pool in the computer's memory."""
    from activesel.records import KnnGraph, Pool
    from activesel.uncertainty import score_margin

    candidates = np.ones(len(inputs.vectors), bool)
    candidates[inputs.labelled] = False
    return Pool(inputs.vectors, inputs.labelled, candidates, inputs.classes, inputs.probs, None,
                score_margin(inputs.probs), KnnGraph(inputs.neighbours, inputs.similarity), device=device)  # fmt: skip


def choose(name: str, pool: Any, budget: int) -> Array:
    """Run one strategy and return its rows."""
    from activesel.strategies import find_strategy

    return find_strategy(name).run(pool, budget, np.random.default_rng(0)).rows


def measure_upload(device: str, scale: Scale) -> float:
    """Return bytes a second from the computer's pageable memory, where vectors are, to the device; best of five."""
    source = torch.ones((scale.n, scale.d), dtype=torch.float16)
    return source.nbytes / best_of(lambda: source.to(device, copy=True), device)


def timed(work: Callable[[], Any], device: str) -> tuple[float, Any]:
    if device != "cpu":
        torch.cuda.synchronize()
    started = time.perf_counter()
    result = work()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - started, result


if __name__ == "__main__":
    raise SystemExit(main())
