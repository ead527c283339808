"""The plot of scripts/run_feedback_bias.py: recall of the blind class over rounds, with bands, and how soon noticed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import stats

STYLE = """
  svg { --ink: #1f2328; --soft: #59636e; --line: #d1d9e0; --c0: #59636e; --c1: #b35900; --c2: #8250a8; --c3: #0550ae;
    color-scheme: light dark; }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #f0f6fc; --soft: #a8b3bf; --line: #3d444d; --c0: #a8b3bf; --c1: #ffb366; --c2: #cda2f0;
      --c3: #79b8ff; }
  }
  text { font: 13px system-ui, "DejaVu Sans", sans-serif; fill: var(--ink); }
  .soft { fill: var(--soft); } .title { font-weight: 600; font-size: 14px; } .grid { stroke: var(--line); fill: none; }
  .line { fill: none; stroke-width: 2.5; } .band { opacity: .13; } .seen { fill: none; stroke-width: 2; }
"""
DASHES = ("2 4", "8 4", "10 4 2 4", "")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 900, 440, 60, 590, 50, 360


def draw(results: Sequence[dict[str, Any]], kind: str, arms: Sequence[str]) -> str:
    """Return the SVG: one line an arm, the mean over seeds with its 95 % t-interval; below, seeds noticed by round."""
    title = f"Recall of {kind}, to which the champion is blind at first, over the rounds"
    runs = {arm: [one for one in results if (one["kind"], one["history"], one["arm"]) == (kind, "passed", arm)]
            for arm in arms}  # fmt: skip
    n_rounds = max(len(one["recall"]) for found in runs.values() for one in found) - 1
    ends = [float(np.mean([one["recall"][-1] for one in found])) for found in runs.values()]
    places = spread([_y(end) for end in ends], 34)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<text class="title" x="{LEFT}" y="24">{escape(title)}</text>', *_grid(n_rounds),
    ]  # fmt: skip
    for number, (arm, found) in enumerate(runs.items()):
        parts += _curve(number, arm, found, n_rounds, places[number])
    return "\n".join([*parts, "</svg>"]) + "\n"


def _curve(number: int, arm: str, runs: Sequence[dict[str, Any]], n_rounds: int, place: float) -> list[str]:
    recall = np.array([one["recall"] for one in runs])
    mean, xs = recall.mean(axis=0), [_x(one, n_rounds) for one in range(n_rounds + 1)]
    half = np.zeros(len(mean))
    if len(recall) > 1:
        half = stats.t.ppf(0.975, len(recall) - 1) * recall.std(axis=0, ddof=1) / math.sqrt(len(recall))
    upper = [(x, _y(min(1.0, value))) for x, value in zip(xs, mean + half, strict=True)]
    lower = [(x, _y(max(0.0, value))) for x, value in zip(xs, mean - half, strict=True)]
    colour = f"var(--c{number})"
    seen = [one["detected"] for one in runs if one["detected"] is not None]
    soon = sum(one <= 2 for one in seen)
    told = f"{mean[-1]:.2f} at the end; noticed by round 2: {soon} of {len(runs)}"
    middle = [(x, _y(value)) for x, value in zip(xs, mean, strict=True)]
    return [
        f'<path class="band" fill="{colour}" d="{_path([*upper, *reversed(lower)])}Z"/>',
        f'<path class="line" stroke="{colour}" stroke-dasharray="{DASHES[number % 4]}" d="{_path(middle)}"/>',
        f'<text x="{RIGHT + 12}" y="{place:.0f}" style="fill: {colour}; font-weight: 600">{escape(arm)}</text>',
        f'<text class="soft" x="{RIGHT + 12}" y="{place + 15:.0f}" style="font-size: 12px">{escape(told)}</text>',
    ]


def _grid(n_rounds: int) -> list[str]:
    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<path class="grid" d="M{LEFT},{_y(share):.1f}H{RIGHT}"/>')
        parts.append(f'<text class="soft" x="{LEFT - 8}" y="{_y(share) + 4:.1f}" text-anchor="end">{share:g}</text>')
    for one in range(n_rounds + 1):
        x = _x(one, n_rounds)
        name = "start" if one == 0 else str(one)
        parts.append(f'<text class="soft" x="{x:.1f}" y="{BOTTOM + 22}" text-anchor="middle">{name}</text>')
    parts.append(f'<text class="soft" x="{(LEFT + RIGHT) / 2:.0f}" y="{BOTTOM + 44}" text-anchor="middle">round</text>')
    return parts


def spread(places: Sequence[float], apart: float) -> list[float]:
    """Move labels down until none lies on another, in their order.

    >>> spread([10, 12, 100], 20)
    [10, 30, 100]
    """
    found = list(places)
    order = sorted(range(len(places)), key=lambda one: places[one])
    for before, after in pairwise(order):
        found[after] = max(found[after], found[before] + apart)
    return found


def _x(number: int, n_rounds: int) -> float:
    return LEFT + (RIGHT - LEFT) * number / n_rounds


def _y(share: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * share


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
