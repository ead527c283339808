"""Selection at scale in one run: ours, the peers, and the floor of this machine; docs/performance.md holds its output.

    python scripts/bench_select.py                          the whole table; hours, most of them peers' time-outs
    python scripts/bench_select.py --scale 0.02             all of it, small, to see it work
    python scripts/bench_select.py --only scale,head        parts: scale, gradients, head, peers, growth; or in them:
                                                            graph, k-center, lightly-mundig, scikit-activeml ...
    python scripts/bench_select.py --render results.jsonl   the tables of earlier runs (--out appends to a file)

Everything is measured in a process of its own, with the same threads, on the same vectors, probabilities and labels.
Selection s: the strategy alone on a ready pool; a peer's select alone. select() s: the whole of `activesel.select`,
linear head, reasons and who stands for whom included. Who passes the limits of time or memory did not finish: DNF.
Read once: the inputs at the measured copy bandwidth. Products: the plain method's at the measured bf16 matrix rate.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import table
from bench.jobs import Job, Limits, Result
from bench.machine import count_cores
from bench.peers import LADDER, PEERS
from bench.pool import PoolSpec, make_pool
from bench.runner import Runner
from bench.sections import Sizes, run_gradients, run_growth, run_head, run_peers, run_scale, shrink

__all__ = ["make_pool"]

GROWTH = (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
TITLES: dict[str, tuple[str, Callable[[Sequence[Result], Result], None]]] = {
    "scale": ("Ours at scale", table.print_scale),
    "gradients": ("BADGE with large gradients", table.print_gradients),
    "head": ("Scoring with the linear head", table.print_head),
    "peers": ("Peers in the same run", table.print_peers),
    "growth": ("Growth, memory-mapped", table.print_growth),
}


def main() -> None:
    args = parse()
    if args.render:
        print_results([json.loads(line) for line in args.render.read_text(encoding="utf8").splitlines()])
        return
    missing = [peer.name for peer in PEERS if not peer.installed]
    if missing:
        print(f"not installed, so DNF: {', '.join(missing)}; pip install -e '.[bench]' brings them")
    limits = Limits(args.time_limit, args.memory_limit, args.threads)
    with tempfile.TemporaryDirectory(prefix="activesel-bench-", dir=args.work) as work:
        runner = Runner(Path(work), limits, args.out, set(filter(None, args.only.split(","))))
        run_all(runner, sizes_of(args))
    print_results(runner.results)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="comma-separated parts; all by default")
    parser.add_argument("--n", type=int, default=1_000_000, help="rows of the pool that ours are measured on")
    parser.add_argument("--d", type=int, default=256)
    parser.add_argument("--budget", type=int, default=5000)
    parser.add_argument("--labelled", type=int, default=1000)
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the rows of every pool and the budget")
    parser.add_argument("--ladder", default=",".join(map(str, LADDER)), help="rows that peers try in turn")
    parser.add_argument("--growth", default=",".join(map(str, GROWTH)), help="rows of the growth part")
    parser.add_argument("--threads", type=int, default=count_cores())
    parser.add_argument("--time-limit", type=float, default=600.0, help="seconds of one selection")
    parser.add_argument("--memory-limit", type=float, default=14.9, help="GiB resident of one process; 16 GB")
    parser.add_argument("--work", type=Path, help="where the pools go for the time of the run, about 4 GB")
    parser.add_argument("--out", type=Path, help="file that each result is appended to, a line of JSON each")
    parser.add_argument("--render", type=Path, help="print the tables of such a file and measure nothing")
    return parser.parse_args()


def sizes_of(args: argparse.Namespace) -> Sizes:
    ladder, growth = (tuple(int(n) for n in text.split(",")) for text in (args.ladder, args.growth))
    badge = (PoolSpec(20_000, 768, 1000, 100), PoolSpec(20_000, 256, 1000, 20))
    sizes = Sizes(PoolSpec(args.n, args.d, args.labelled), args.budget, ladder, growth, badge)
    return sizes if args.scale == 1.0 else shrink(sizes, args.scale)


def run_all(runner: Runner, sizes: Sizes) -> None:
    machine = runner.run("machine", Job("machine", "machine", sizes.scale))
    if machine["dnf"]:
        raise SystemExit(f"this machine's rates could not be measured: {machine['dnf']}")
    run_scale(runner, sizes)
    run_head(runner, sizes)
    runner.drop_pool(sizes.scale)
    run_gradients(runner, sizes)
    run_peers(runner, sizes)
    run_growth(runner, sizes)


def print_results(results: Sequence[Result]) -> None:
    machine = next(result for result in results if result["section"] == "machine")
    print(f"\n{table.describe_machine(machine)}\n")
    for section, (title, print_section) in TITLES.items():
        part = [result for result in results if result["section"] == section]
        if part:
            print(f"### {title}\n")
            print_section(part, machine)


if __name__ == "__main__":
    main()
