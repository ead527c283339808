"""Results to Markdown: ours at scale with the floor, and the peers beside us."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.jobs import Result

# Rows that each strategy compares all rows with, where its method fixes the number; see plain_operations.
SAMPLED_ROWS = {"default": 2048, "sparse-coverage": 2048, "typiclust": 500, "cluster-margin": 200, "exemplars": 20}
GB = 1e9 / 2**30  # the targets are in GB, the tables in GiB
TARGETS = {"graph": (90.0, 4 * GB), "k-center": (12.0, 2.5 * GB), "weighted-k-center": (12.0, 2.5 * GB),
           "default": (30.0, 4 * GB)}  # fmt: skip
OTHER_TARGET = (120.0, 4 * GB)
TARGET_SIZE = (1_000_000, 256)  # that they were set for


def plain_operations(result: Result) -> float:
    """Floating-point operations of the plain method: what the lazy ones try to avoid.

    k-center: every row against every labelled and picked one. BADGE: the same with factorised gradients. Graph: every
    row against every other. Others: every row against the centres or the sample of their method; rankings: none.
    """
    pool, name = result["pool"], result["name"]
    n, d, c = float(pool["n"]), float(pool["d"]), float(pool["n_classes"])
    if result["kind"] == "graph":
        return 2.0 * n * n * d
    if result["kind"] == "head":
        return 2.0 * n * d * c
    if name in ("k-center", "weighted-k-center", "default"):
        return 2.0 * n * d * float(pool["n_labelled"] + result["budget"] + SAMPLED_ROWS.get(name, 0))
    if name == "badge":
        return 2.0 * n * (d + c) * float(result["budget"])
    return 2.0 * n * d * SAMPLED_ROWS.get(name, 0)


def floor_s(result: Result, machine: Result) -> tuple[float, float]:
    """Seconds to read the inputs once at the copy's bandwidth, and for the plain operations at the bf16 rate."""
    return float(result.get("bytes", 0)) / machine["copy_bytes_s"], plain_operations(result) / machine["bf16_flop_s"]


def describe_machine(machine: Result) -> str:
    return (
        f"{machine['processor']}, {machine['threads']} threads, torch {machine['torch']}: copy "
        f"{machine['copy_bytes_s'] / 1e9:.1f} GB/s, fp32 {machine['fp32_flop_s'] / 1e9:.0f} GFLOP/s, "
        f"bf16 {machine['bf16_flop_s'] / 1e9:.0f} GFLOP/s"
    )


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a Markdown table with columns of even width."""
    lines = [list(header), *[list(row) for row in rows]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    for number, line in enumerate(lines):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    print(flush=True)


def print_scale(results: Sequence[Result], machine: Result) -> None:
    """Ours: the graph, each strategy's own run and the whole of select, which the default's target is for."""
    rows = []
    for result in (r for r in results if r["kind"] in ("graph", "strategy")):
        whole = [r for r in results if r["kind"] == "select" and r["name"] == result["name"]]
        rows.append(_scale_row(result, max(whole, key=lambda r: bool(r["stored_graph"]), default=None), machine))
        if len(whole) > 1:
            built = next(r for r in whole if not r["stored_graph"])
            rows.append([f"{built['name']}, graph built within", "", "", "", _seconds(built), _gib(built),
                         _target(built, OTHER_TARGET), "", "", "", "", ""])  # fmt: skip
    header = ("work", "selection s", "cpu s", "GiB", "select() s", "select() GiB", "target", "judged by", "value",
              "read once s", "products s", "x larger")  # fmt: skip
    print_table(header, rows)


def _scale_row(result: Result, whole: Result | None, machine: Result) -> list[str]:
    reads, products = floor_s(result, machine)
    larger = max(reads, products)
    # The default is asked for in full; of the others, the selection is.
    judged = whole if whole is not None and result["name"] == "default" else result
    return [
        result["name"], _seconds(result), _cpu(result), _gib(result), _seconds(whole), _gib(whole),
        _target(judged, TARGETS.get(result["name"], OTHER_TARGET)), _judge(result), _value(result),
        f"{reads:.3g}", f"{products:.3g}", "" if result["dnf"] or not larger else f"{result['seconds'] / larger:.1f}",
    ]  # fmt: skip


def print_peers(results: Sequence[Result], machine: Result) -> None:  # noqa: ARG001
    """Each peer beside ours at the same size, labels and budget: seconds of the selection alone, and both values."""
    ours = {(r["name"], r["pool"]["n"], r["labelled"]): r for r in results if r["kind"] == "strategy"}
    rows = []
    for peer in (r for r in results if r["kind"] == "peer"):
        mine = ours[peer["ours"], peer["pool"]["n"], peer["labelled"]]
        ratio = "" if mine["dnf"] or peer["dnf"] else f"{peer['seconds'] / mine['seconds']:.3g}"
        note = f" ({peer['note']})" if peer.get("note") else ""
        rows.append([
            f"{peer['name']}{note}", f"{peer['pool']['n']:,}", f"{peer['budget']:,}", peer["ours"], _seconds(mine),
            _seconds(peer), _seconds(peer, "setup_s"), ratio, _judge(mine), _value(mine), _value(peer),
            _gib(mine), _gib(peer),
        ])  # fmt: skip
    header = ("peer", "n", "picks", "beside ours", "ours s", "peer s", "peer set-up s", "x faster", "judged by",
              "ours", "peer", "ours GiB", "peer GiB")  # fmt: skip
    print_table(header, rows)


def print_gradients(results: Sequence[Result], machine: Result) -> None:  # noqa: ARG001
    """BADGE with large gradients: what is left beyond one pass over its inputs."""
    rows = []
    for result in results:
        pool = result["pool"]
        beyond = f"{result['seconds'] - result['pass_s']:.4f}" if result.get("pass_s") else ""
        shape = f"n {pool['n']:,}, c {pool['n_classes']}, d {pool['d']}, {result['budget']} picks"
        who = "activesel" if result["kind"] == "strategy" else result["name"]
        rows.append([shape, who, _seconds(result), beyond, _gib(result), _judge(result), _value(result)])
    print_table(("gradients", "by", "seconds", "beyond one pass s", "GiB", "judged by", "value"), rows)


def print_head(results: Sequence[Result], machine: Result) -> None:
    """Scoring with the linear head against a plain copy of the same arrays."""
    rows = []
    for result in (r for r in results if not r["dnf"]):
        rows.append([
            f"{result['pool']['n']:,} x {result['pool']['d']}", _seconds(result), _cpu(result), _gib(result),
            f"{result['bytes'] / result['seconds'] / 1e9:.2f}", f"{result['bytes'] / result['pass_s'] / 1e9:.2f}",
            f"{result['pass_s'] / result['seconds']:.0%}", f"{floor_s(result, machine)[1]:.3g}",
        ])  # fmt: skip
    print_table(("head", "seconds", "cpu s", "GiB", "GB/s", "copy GB/s", "of the copy", "products s"), rows)


def print_growth(results: Sequence[Result], machine: Result) -> None:  # noqa: ARG001
    """The whole of select against the size of the pool."""
    rows = [[r["name"], f"{r['pool']['n']:,} x {r['pool']['d']}", _seconds(r), _cpu(r), _gib(r)] for r in results]
    print_table(("strategy", "pool", "select() s", "cpu s", "GiB"), rows)


def _seconds(result: Result | None, field: str = "seconds") -> str:
    if result is None or (result["dnf"] and field != "seconds"):
        return ""
    if result["dnf"]:
        return f"DNF: {result['dnf']}"
    return f"{result[field]:.2f}" if result[field] >= 0.1 else f"{result[field]:.2g}"


def _cpu(result: Result) -> str:
    return "" if result["dnf"] else f"{result['cpu_s']:.2f}"


def _gib(result: Result | None) -> str:
    return "" if result is None or result["dnf"] else f"{result['peak_gib']:.2f}"


def _judge(result: Result) -> str:
    """What the picks are judged by, with the direction that is better."""
    return f"{result['objective']} {'↓' if result['better'] == 'lower' else '↑'}" if "objective" in result else ""


def _value(result: Result) -> str:
    if result["dnf"]:
        return ""
    if "value" not in result:
        return f"not judged: {result['objective_failed']}" if result.get("objective_failed") else ""
    distinct = result.get("n_picks", result["budget"])
    return f"{result['value']:.4f}" + ("" if distinct >= result["budget"] else f", only {distinct} distinct")


def _target(result: Result, target: tuple[float, float]) -> str:
    """The target and, at the size that it was set for, whether it was met."""
    seconds, gib = target
    text = f"{seconds:g} s, {gib:.2f} GiB"
    if (result["pool"]["n"], result["pool"]["d"]) != TARGET_SIZE or result["budget"] not in (0, 5000):
        return text
    met = not result["dnf"] and result["seconds"] <= seconds and result["peak_gib"] <= gib
    return f"{text}: {'met' if met else 'MISSED'}"
