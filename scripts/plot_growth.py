"""How time and memory of `activesel.select` grow with the pool: docs/growth.svg, two log-log panels with their slopes.

    python scripts/plot_growth.py                             measures 100k .. 10M x 128 first, then draws
    python scripts/plot_growth.py --results results.jsonl     draws what bench_select.py --out results.jsonl measured

Slope: of the straight line through the points in the log-log plane, least squares; 1 = ten times the images take ten
times as long. The file needs no script and no font; its colours follow a light or dark page.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
from bench.jobs import Limits, Result
from bench.machine import count_cores
from bench.pool import PoolSpec
from bench.runner import Runner
from bench.sections import Sizes, run_growth

ROOT = Path(__file__).resolve().parent.parent
SIZES = "100000,300000,1000000,3000000,10000000"

STYLE = """
  svg { --ink: #1f2328; --soft: #59636e; --line: #d1d9e0; --one: #0550ae; --two: #b35900; color-scheme: light dark; }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #f0f6fc; --soft: #a8b3bf; --line: #3d444d; --one: #79b8ff; --two: #ffb366; }
  }
  text { font: 13px system-ui, "DejaVu Sans", sans-serif; fill: var(--ink); }
  .soft { fill: var(--soft); } .title { font-weight: 600; font-size: 14px; }
  .grid { stroke: var(--line); fill: none; } .guide { stroke: var(--soft); fill: none; stroke-dasharray: 3 5; }
  .s0 { stroke: var(--one); } .s1 { stroke: var(--two); stroke-dasharray: 8 4; }
  .s0, .s1 { fill: none; stroke-width: 2.5; }
  .m0, .t0 { fill: var(--one); } .m1, .t1 { fill: var(--two); }
"""
WIDTH, HEIGHT = 960, 400
TOP, BOTTOM = 60, 330
GUIDE = "dotted: ten times the images, ten times the value"
PANELS = ((70, 400), (540, 870))  # left and right of each


@dataclass(frozen=True)
class Curve:
    """One strategy's measurements: n (p,), ascending, and a value > 0 each."""

    name: str
    n: tuple[float, ...]
    value: tuple[float, ...]

    @property
    def slope(self) -> float:
        """Of the least-squares line in the log-log plane; nan with one point."""
        if len(self.n) < 2:
            return math.nan
        return float(np.polyfit(np.log(self.n), np.log(self.value), 1)[0])


@dataclass(frozen=True)
class Axis:
    """Values low..high, powers of ten, to coordinates start..end."""

    low: int
    high: int
    start: float
    end: float

    def at(self, value: float) -> float:
        return self.start + (self.end - self.start) * (math.log10(value) - self.low) / (self.high - self.low)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, help="lines of JSON from bench_select.py; measured anew without it")
    parser.add_argument("--sizes", default=SIZES)
    parser.add_argument("--budget", type=int, default=5000)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "growth.svg")
    args = parser.parse_args()
    if args.results:
        results = [json.loads(line) for line in args.results.read_text(encoding="utf8").splitlines()]
    else:
        results = measure(tuple(int(n) for n in args.sizes.split(",")), args.budget)
    seconds, gib = (read_curves(results, field) for field in ("seconds", "peak_gib"))
    if not seconds:
        raise SystemExit("no growth results; run python scripts/bench_select.py --only growth --out FILE")
    args.out.write_text(draw(seconds, gib), encoding="utf8")
    for curve, memory in zip(seconds, gib, strict=True):
        print(f"{curve.name}: time grows as n^{curve.slope:.2f}, memory as n^{memory.slope:.2f}")
    print(f"wrote {args.out}")


def measure(sizes: tuple[int, ...], budget: int) -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="activesel-growth-") as work:
        runner = Runner(Path(work), Limits(600.0, 14.9, count_cores()), None, set())
        run_growth(runner, Sizes(PoolSpec(sizes[0], 128), budget, (), sizes, ()))
        return runner.results


def read_curves(results: Iterable[Result], field: str) -> list[Curve]:
    """Return one curve a strategy, without what did not finish."""
    points: dict[str, dict[float, float]] = {}
    for result in results:
        if result["section"] == "growth" and not result["dnf"]:
            points.setdefault(result["name"], {})[result["pool"]["n"]] = result[field]
    return [Curve(name, tuple(sorted(at)), tuple(at[n] for n in sorted(at))) for name, at in points.items()]


def draw(seconds: Sequence[Curve], gib: Sequence[Curve]) -> str:
    """Return the SVG: seconds on the left, memory on the right, over the number of images."""
    title = "Time and memory of activesel.select against the number of images, both axes logarithmic"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">',
        f"<title>{title}</title><style>{STYLE}</style>",
        *draw_panel("seconds, graph included", seconds, PANELS[0]),
        *draw_panel("peak resident GiB", gib, PANELS[1]),
        f'<text class="soft" x="{PANELS[0][0]}" y="{HEIGHT - 8}">{GUIDE}</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def draw_panel(title: str, curves: Sequence[Curve], sides: tuple[int, int]) -> list[str]:
    left, right = sides
    x = Axis(*decades([n for curve in curves for n in curve.n]), left, right)
    y = Axis(*decades([value for curve in curves for value in curve.value]), BOTTOM, TOP)
    parts = [f'<text class="title" x="{left}" y="{TOP - 30}">{escape(title)}</text>', *draw_grid(x, y)]
    for place, curve in enumerate(curves):
        parts += draw_curve(curve, place, x, y)
    labels = place_labels([y.at(curve.value[-1]) for curve in curves])
    for place, (curve, at) in enumerate(zip(curves, labels, strict=True)):
        slope = "" if math.isnan(curve.slope) else f"n^{curve.slope:.2f}"
        right_of = f"{x.at(curve.n[-1]) + 10:.0f}"
        parts.append(f'<text class="t{place % 2}" x="{right_of}" y="{at - 4:.0f}">{escape(curve.name)}'
                     f'<tspan x="{right_of}" dy="15">{slope}</tspan></text>')  # fmt: skip
    return parts


def draw_grid(x: Axis, y: Axis) -> list[str]:
    """Lines at powers of ten with their labels, and a dashed one of slope 1 to compare with."""
    parts = []
    for power in range(y.low, y.high + 1):
        at = y.at(10.0**power)
        parts.append(f'<path class="grid" d="M{x.start:.0f},{at:.1f}H{x.end:.0f}"/>')
        parts.append(
            f'<text class="soft" x="{x.start - 8:.0f}" y="{at + 4:.1f}" text-anchor="end">{10.0**power:g}</text>'
        )
    for power in range(x.low, x.high + 1):
        at = x.at(10.0**power)
        parts.append(f'<path class="grid" d="M{at:.1f},{y.start:.0f}V{y.end:.0f}"/>')
        parts.append(
            f'<text class="soft" x="{at:.1f}" y="{y.start + 20:.0f}" text-anchor="middle">{name_count(power)}</text>'
        )
    middle = (x.start + x.end) / 2
    parts.append(f'<text class="soft" x="{middle:.0f}" y="{y.start + 42:.0f}" text-anchor="middle">images</text>')
    span = min(x.high - x.low, y.high - y.low)
    parts.append(f'<path class="guide" d="M{x.start:.1f},{y.start:.1f}L{x.at(10.0 ** (x.low + span)):.1f},'
                 f'{y.at(10.0 ** (y.low + span)):.1f}"><title>slope 1</title></path>')  # fmt: skip
    return parts


def draw_curve(curve: Curve, place: int, x: Axis, y: Axis) -> list[str]:
    """A line, solid or dashed, with dots or squares: colour is never the only difference."""
    points = [(x.at(n), y.at(value)) for n, value in zip(curve.n, curve.value, strict=True)]
    parts = [f'<path class="s{place % 2}" d="M' + "L".join(f"{px:.1f},{py:.1f}" for px, py in points) + '"/>']
    for (px, py), value in zip(points, curve.value, strict=True):
        shape = (f'<circle cx="{px:.1f}" cy="{py:.1f}" r="5"' if place % 2 == 0
                 else f'<rect x="{px - 4.5:.1f}" y="{py - 4.5:.1f}" width="9" height="9"')  # fmt: skip
        parts.append(f'{shape} class="m{place % 2}"><title>{value:.3g}</title></{shape[1:].split()[0]}>')
    return parts


def place_labels(wanted: Sequence[float], apart: float = 36) -> list[float]:
    """Move labels that would overlap away from each other, keeping their order; svg y grows downwards."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = list(wanted)
    for above, below in itertools.pairwise(order):
        placed[below] = max(placed[below], placed[above] + apart)
    return placed


def decades(values: Sequence[float]) -> tuple[int, int]:
    """Return the powers of ten around the values.

    >>> decades([0.5, 30])
    (-1, 2)
    """
    low, high = math.floor(math.log10(min(values)) + 1e-9), math.ceil(math.log10(max(values)) - 1e-9)
    return low, max(high, low + 1)


def name_count(power: int) -> str:
    """Return 10**power as people say it.

    >>> name_count(5), name_count(7)
    ('100k', '10M')
    """
    unit, name = next((unit, name) for unit, name in ((9, "G"), (6, "M"), (3, "k"), (0, "")) if power >= unit)
    return f"{10 ** (power - unit)}{name}"


if __name__ == "__main__":
    main()
