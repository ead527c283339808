"""How much of the bare model's speed is left when images come over HTTP, how long an answer takes, and what is refused.

    python scripts/bench_serve.py                                 tiles of $ACTIVESEL_DATA, a head trained on some
    python scripts/bench_serve.py --workspace DIR --engine onnx   the champion of a workspace

In one run, each the median of alternating rounds, so that a busy machine slows all alike; every contender has the same
core, batch size and number of threads. bare: forward passes on inputs that are ready. decode + forward: files to
probabilities in one loop. served: `activesel serve` asked by a load generator on the other core. Processor time is what
was spent in the contender's process, which other programs disturb less than the clock. Asked for: served >= 85 % of
bare. Then every kind of hostile request, which must be answered with 4xx, and a good one after each.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts.serving import hostile, load, model  # noqa: E402 - found from the checkout


@dataclass(frozen=True)
class Round:
    """images_per_s: by the clock. core_ms: processor time per image. latencies_s: of served images."""

    images_per_s: float
    core_ms: float
    latencies_s: tuple[float, ...] = ()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, help="one with a champion; else one is made")
    parser.add_argument("--number", type=int, default=256, help="images a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--several", type=int, default=1, help="images a request")
    parser.add_argument("--batch", type=int, default=4, help="images a forward pass, of every contender")
    parser.add_argument("--engine", default="torch", choices=["torch", "onnx"])
    parser.add_argument("--json", type=Path, help="where the figures go, too")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    ours, theirs = cores[0], cores[-1]
    os.sched_setaffinity(0, {theirs})  # the load generator; whoever is measured gets the other one
    with tempfile.TemporaryDirectory() as scratch:
        workspace = options.workspace or model.make_workspace(Path(scratch) / "job")
        images = model.find_images(options.number)
        with (
            ProcessPoolExecutor(
                1, get_context("spawn"), model.start, (str(workspace), options.engine, ours, options.batch)
            ) as bare,
            serving(workspace, options.engine, ours, options.batch) as (server, url),
        ):
            rounds = measure(options, bare, server, url, images)
            refused = asyncio.run(hostile.attack(url, images[0]))
            alive = server.poll() is None
    report(options, rounds, refused, alive, len({ours, theirs}))
    if not alive or any(not 400 <= one.status < 500 for one in refused):
        sys.exit(1)


@contextmanager
def serving(workspace: Path, engine: str, core: int, batch: int) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    command = [sys.executable, "-m", "activesel", "serve", "-w", str(workspace), "--engine", engine, "--json",
               "--set", "serving.read_timeout_s=3", "--set", "serving.queue=512",
               "--set", f"serving.max_batch={batch}"]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment,
                              preexec_fn=lambda: os.sched_setaffinity(0, {core}))  # fmt: skip
    assert server.stdout is not None
    text = b""
    while not text.rstrip().endswith(b"\n}"):
        line = server.stdout.readline()
        assert line, "the server did not start"
        text += line
    try:
        yield server, json.loads(text)["url"]
    finally:
        server.terminate()
        server.wait(60)


def measure(
    options: argparse.Namespace, bare: ProcessPoolExecutor, server: subprocess.Popen[bytes], url: str,
    images: Sequence[bytes],
) -> dict[str, list[Round]]:  # fmt: skip
    """Return the rounds of each contender, after one that does not count."""
    rounds: dict[str, list[Round]] = {"bare forward": [], "decode + forward": [], "served": []}
    for number in range(options.rounds + 1):
        found = {
            "bare forward": Round(*bare.submit(model.run_bare, len(images)).result()),
            "decode + forward": Round(*bare.submit(model.run_decoding, list(images)).result()),
            "served": serve_round(options, server.pid, url, images),
        }
        for name, one in found.items():
            rounds[name] += [one] if number else []
    return rounds


def serve_round(options: argparse.Namespace, pid: int, url: str, images: Sequence[bytes]) -> Round:
    began, core_s = time.perf_counter(), processor_s(pid)
    latencies = asyncio.run(load.send(url, images, options.concurrency, options.several))
    taken_s, used_s = time.perf_counter() - began, processor_s(pid) - core_s
    return Round(len(images) / taken_s, 1000 * used_s / len(images), tuple(latencies))


def processor_s(pid: int) -> float:
    """Return the processor time of a process and its threads so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def report(
    options: argparse.Namespace, rounds: dict[str, list[Round]], refused: Sequence[hostile.Outcome], alive: bool,
    n_cores: int,
) -> None:  # fmt: skip
    print(f"{options.engine}, batch {options.batch}, {options.number} images a round, {options.rounds} rounds, "
          f"{options.concurrency} requests at a time, {options.several} images each; {n_cores} cores, one for who is "
          "measured")  # fmt: skip
    for name, some in rounds.items():
        wall, core = [one.images_per_s for one in some], [one.core_ms for one in some]
        print(f"{name:17}{statistics.median(wall):8.1f} img/s ({min(wall):.1f} .. {max(wall):.1f})"
              f"{statistics.median(core):8.2f} core-ms/img ({min(core):.2f} .. {max(core):.2f})")  # fmt: skip
    figures = {}
    for name in ("bare forward", "decode + forward"):
        pairs = list(zip(rounds["served"], rounds[name], strict=True))
        by_clock = statistics.median(one.images_per_s / other.images_per_s for one, other in pairs)
        by_core = statistics.median(other.core_ms / one.core_ms for one, other in pairs)
        figures[name] = {"by_clock": by_clock, "by_core": by_core}
        print(f"served / {name}: {by_clock:.1%} by the clock, {by_core:.1%} by processor time")
    latencies = 1000 * np.concatenate([one.latencies_s for one in rounds["served"]])
    p50, p99 = np.percentile(latencies, [50, 99])
    print(f"latency with {options.concurrency} requests at a time: p50 {p50:.0f} ms, p99 {p99:.0f} ms")
    for one in refused:
        print(f"hostile: {one.name:34}{one.status}  {one.said[:70]}")
    print(f"hostile requests answered with 4xx: {sum(400 <= one.status < 500 for one in refused)} of {len(refused)}; "
          f"process {'alive, and a good image is judged' if alive else 'DEAD'}")  # fmt: skip
    if options.json is not None:
        told = {"p50_ms": p50, "p99_ms": p99, **figures, "hostile": {one.name: one.status for one in refused}}
        options.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
