"""The page of run_synth_fine_tuning.py: what variants bring a network that is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_RESAMPLES = 4000
METRICS = {"ap": "average precision of the class", "recall": "recall at 1 % false rejects", "f1": "macro-F1"}


def render(results: dict[str, Any], arms: Sequence[str]) -> str:
    """Return the Markdown page of the cells in which every arm was fitted; seeds are averaged first."""
    cells = gather(results["fits"].values(), arms)
    recipe = results["recipe"]
    labels = sorted({label for label, _, _ in cells})
    return "\n".join([
        "# Variants and a network that is trained", "",
        "Do variants help when the network itself learns, not only a linear head on frozen vectors? Made by", "",
        "    python scripts/run_synth_fine_tuning.py pack --data ../shared/data --work build/synth "
        "--to build/synth/pack",
        "    python scripts/run_synth_fine_tuning.py train --pack build/synth/pack --results build/synth/tuned.json",
        "    python scripts/run_synth_fine_tuning.py page --results build/synth/tuned.json "
        "--out docs/synthesis_fine_tuning.md", "",
        f"{len(cells)} cells (class x draw) of magnetic_tile, those of [synthesis_measured.md](synthesis_measured.md): "
        f"{sorted({k for _, k, _ in cells})[0]} real", "images of one class, all other classes in full, "
        f"{results['count']} made images, scored on real images of other near-duplicate",
        f"groups. EfficientNet-Lite0 with its ImageNet weights, grey, {results['side']} x {results['side']} px, all of "
        "it learns:", f"{recipe['steps']} steps of {recipe['batch']} images, classes drawn alike, made images with the "
        "share of their class that the arm names;", "AdamW, "
        f"{recipe['rate']:g} at its height ({recipe['head_rate']:g} for the classifier), cosine; every arm mirrored, "
        "turned over, contrast and light", "varied by a tenth: standard augmentation is in all of them. No arm was "
        "tuned; the rate is that of [fine_tuning.md](fine_tuning.md).",
        f"Made images are used as they are, not mixed. {results['device']}.", "",
        "| arm | " + " | ".join([*METRICS.values(), f"AP against {arms[0]}", "cells it loses in"]) + " |",
        "|---" * 6 + "|", *[row_of(arm, arms[0], cells) for arm in arms], "",
        "Average precision of the class, the mean over draws:", "",
        "| class | draws | " + " | ".join(arms) + " |", "|---" * (len(arms) + 2) + "|",
        *[row_of_class(label, arms, cells) for label in labels], "",
        "Intervals are a paired bootstrap over cells, 95 %. "
        + against("ours, filtered, 25 %", "+ cut-paste, 25 %", cells),
        "One set; the draws of a class share test images; each fit has one seed where time ran out.", "",
    ])  # fmt: skip


def gather(fits: Any, arms: Sequence[str]) -> dict[tuple[str, int, int], dict[str, dict[str, float]]]:
    """Return (class, k, draw) -> arm -> figures, of the cells that have every arm."""
    found: dict[tuple[str, int, int], dict[str, list[dict[str, float]]]] = {}
    for fit in fits:
        found.setdefault((fit["label"], fit["k"], fit["draw"]), {}).setdefault(fit["arm"], []).append(fit)
    return {cell: {arm: {name: float(np.mean([one[name] for one in some])) for name in METRICS}
                   for arm, some in by_arm.items()}
            for cell, by_arm in sorted(found.items()) if all(arm in by_arm for arm in arms)}  # fmt: skip


def row_of(arm: str, rival: str, cells: dict[Any, dict[str, dict[str, float]]]) -> str:
    means = [f"{np.mean([one[arm][name] for one in cells.values()]):.3f}" for name in METRICS]
    gains = np.array([one[arm]["ap"] - one[rival]["ap"] for one in cells.values()])
    shown = "" if arm == rival else bound(gains)
    return f"| {arm} | " + " | ".join([*means, shown, f"{int((gains < -1e-9).sum())} of {len(gains)}"]) + " |"


def row_of_class(label: str, arms: Sequence[str], cells: dict[Any, dict[str, dict[str, float]]]) -> str:
    own = [one for (name, _, _), one in cells.items() if name == label]
    values = [float(np.mean([one[arm]["ap"] for one in own])) for arm in arms]
    shown = [f"**{value:.2f}**" if value == max(values) else f"{value:.2f}" for value in values]
    return f"| {label} | {len(own)} | " + " | ".join(shown) + " |"


def against(arm: str, rival: str, cells: dict[Any, dict[str, dict[str, float]]]) -> str:
    gains = np.array([one[arm]["ap"] - one[rival]["ap"] for one in cells.values()])
    return f"*{arm}* against *{rival}*: {bound(gains)}."


def bound(gains: np.ndarray) -> str:
    drawn = np.random.default_rng(0).integers(0, len(gains), (_RESAMPLES, len(gains)))
    low, high = np.percentile(gains[drawn].mean(axis=1), [2.5, 97.5])
    return f"{gains.mean():+.3f} ({low:+.3f} to {high:+.3f})"
