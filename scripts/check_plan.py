"""Hold the plan against real runs: predicted and actual peak of memory and seconds, one process for each run.

    python scripts/check_plan.py                                   # 50,000, 100,000 and 300,000 rows
    python scripts/check_plan.py --rows 50000 --strategies badge --parts 1 4

A predicted peak below the actual one ends with exit code 1: a limit that was promised would have been broken.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from bench.pool import PoolSpec, read_pool, write_pool

STRATEGIES = ("default", "sparse-coverage", "k-center", "badge", "typiclust", "exemplars", "margin")
N_EXEMPLARS = 50


def main() -> None:
    arguments = _parse()
    if arguments.child:
        print(json.dumps(measure(Path(arguments.work), **json.loads(arguments.child))))
        return
    too_low = []
    print("| strategy | rows | parts | GB planned | GB actual | ratio | s planned | s actual | processor s | ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for n in arguments.rows:
            write_pool(Path(folder), PoolSpec(n, arguments.width), with_probs=False)
            for name in arguments.strategies:
                for n_parts in arguments.parts:
                    task = {"name": name, "budget": n // 100, "n_parts": n_parts, "cap": arguments.cap,
                            "mapped": arguments.mapped}  # fmt: skip
                    found = _run_child(folder, task)
                    print(_row(name, n, n_parts, found), flush=True)
                    if found["planned_gb"] < found["actual_gb"]:
                        too_low.append(f"{name} at {n:,}")
    if too_low:
        raise SystemExit(f"planned too little: {', '.join(too_low)}")


def measure(work: Path, name: str, budget: int, n_parts: int, cap: int, mapped: bool) -> dict[str, float]:
    """Plan and select in this process; return both sides."""
    from activesel.pipelines.choose import choose
    from activesel.pipelines.limits import shape_of
    from activesel.pipelines.machine import measure_rates
    from activesel.pipelines.plan import plan_selection
    from activesel.pipelines.request import Request
    from activesel.strategies import find_strategy

    pool = read_pool(work, mapped=mapped)
    strategy = find_strategy(name)
    request = Request(
        pool.vectors, budget, name, labelled=pool.labelled, classes=pool.classes, n_classes=10, partitions=n_parts,
        exemplars=np.asarray(pool.vectors[pool.labelled[:N_EXEMPLARS]]), near_duplicate=0.985, group_cap=cap,
    )  # fmt: skip
    plan = plan_selection(shape_of(request, strategy), strategy, measure_rates("cpu"))
    clock, cpu = time.perf_counter(), time.process_time()
    choose(request)
    stages = {stage.name: [round(stage.n_bytes / 1e9, 2), round(stage.seconds, 1)] for stage in plan.stages}
    print(stages, file=sys.stderr)
    return {
        "planned_gb": (plan.peak_bytes + plan.mapped_bytes) / 1e9, "actual_gb": _peak_bytes() / 1e9,
        "planned_s": plan.seconds, "actual_s": time.perf_counter() - clock, "cpu_s": time.process_time() - cpu,
    }  # fmt: skip


def _peak_bytes() -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf8"))
    assert found, "this script needs Linux"
    return int(found[1]) * 1024


def _row(name: str, n: int, n_parts: int, found: dict[str, float]) -> str:
    memory, seconds = found["planned_gb"] / found["actual_gb"], found["planned_s"] / found["actual_s"]
    return (f"| {name} | {n:,} | {n_parts} | {found['planned_gb']:.2f} | {found['actual_gb']:.2f} | {memory:.2f} | "
            f"{found['planned_s']:.1f} | {found['actual_s']:.1f} | {found['cpu_s']:.1f} | {seconds:.2f} |")  # fmt: skip


def _run_child(folder: str, task: dict[str, Any]) -> dict[str, float]:
    command = [sys.executable, __file__, "--work", folder, "--child", json.dumps(task)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", type=int, default=(50_000, 100_000, 300_000))
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES)
    parser.add_argument("--parts", nargs="+", type=int, default=(1,))
    parser.add_argument("--cap", type=int, default=0, help="Picks per near-duplicate group; 0 = no cap.")
    parser.add_argument("--mapped", action="store_true", help="Leave the vectors on disk.")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
