"""The page of scripts/run_fine_tuning.py: whose gain under the linear head survives fine-tuning, and whose does not."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from activesel.benchmark.dataset import Dataset
from activesel.benchmark.summary import compare, mean_interval
from fine_tuning.training import Recipe, cut_pretrained

REFERENCE = "random"
# Of the recipes that were tuned, how. What --tune tries must be said here when another is made the page's.
RECIPE_NOTES = {
    Recipe(): (
        "* **Recipe**: found on random's labels of another seed (100), before any strategy's network was, so it",
        "  favours random if anyone. Macro-F1 there on magnetic_tile: linear head on defect-aware vectors 0.60;",
        "  classifier on the untouched network 0.46 at 96 px, 0.49 at 128 px; all stages trained for the 32 or 48",
        "  steps that fit 0.03 to 0.51, in four of five tries below untouched; with five stages kept, 150 steps,",
        "  0.56, which were cut to 100 for time. One learning rate was tried for the latter.",
    ),
    Recipe(frozen=0, steps=150, batch=32): (
        "* **Recipe**: the best of four learning rates on random's labels of two other seeds (100, 101), before any",
        "  strategy's network was, so it favours random if anyone. Mean macro-F1 there over both sets: 0.494 at",
        "  0.0001, 0.514 at 0.0003; at 0.001 0.610 on magnetic_tile and 0.145 on elpv, at 0.002 0.14 on both; the",
        "  linear head on the same labels 0.519.",
        "* **An earlier run** without a GPU, magnetic_tile alone, 3 seeds, the last 2 of 7 stages trained, said the",
        "  same: all six ahead of random stayed ahead, the default by 0.193 ± 0.158, mundig:diversity-margin by",
        "  0.208 ± 0.204.",
    ),
}
LIMITS = (
    "* What it does not say: the labels were chosen under the linear head, not by the network trained here; each",
    "  split has one training, whose chance is in the intervals. The linear head's vectors see larger images: where it",
    "  stands above the network, that is no word against fine-tuning; compare the differences to random.",
)
MACHINE = {"cpu": "two cores of a shared machine that others kept busy, no GPU", "cuda": "one GPU"}


@dataclass(frozen=True)
class Run:
    """What came of a job. Scores by name, on the test half: linear head, fine-tuned network."""

    set_name: str
    strategy: str
    seed: int
    labels: int
    linear: dict[str, float]
    tuned: dict[str, float]


def render(args: argparse.Namespace, recipe: Recipe, datasets: dict[str, Dataset], runs: Sequence[Run]) -> str:
    parts = [describe(args, recipe, datasets)]
    for labels in sorted(args.labels, reverse=True):
        for name in args.sets:
            found = [run for run in runs if (run.set_name, run.labels) == (name, labels)]
            parts.append(f"## {name}, {labels} labels\n\n{tabulate(found)}")
    parts.insert(1, f"## What came out\n\n{tell(runs)}")
    return "\n\n".join(parts) + "\n"


def describe(args: argparse.Namespace, recipe: Recipe, datasets: dict[str, Dataset]) -> str:
    sizes = ", ".join(f"{name} {len(one.classes):,} images, {len(one.class_names)} classes"
                      for name, one in datasets.items())  # fmt: skip
    return "\n".join([
        "# After fine-tuning", "",
        "Does what a strategy gains under a linear head survive when the network is trained, too? Made by", "",
        f"    {args.command}", "",
        f"* **Sets**: {sizes}. {args.seeds} seeds; each halves the near-duplicate groups into a pool and a test half.",
        "* **Labels**: cold start, batches of 20, chosen under the linear head on defect-aware vectors of 224 px",
        "  ([benchmark.md](benchmark.md)); the network trains on exactly the images chosen by then, in its own way.",
        "* **Network**: EfficientNet-Lite0 with its ImageNet weights and a new linear classifier; whole images at",
        f"  {recipe.side_px} x {recipe.side_px} px, mirrored or not; cross-entropy that weighs classes alike.",
        f"  {tell_part(recipe)}",
        f"* **Training**: {recipe.steps} steps of {recipe.batch} images whatever the strategy and number of labels;",
        f"  the classifier alone first, then everything: AdamW, {recipe.learning_rate:g} at its height, cosine, weight",
        f"  decay {recipe.weight_decay:g}; batch norms keep their statistics; the last step counts.",
        *RECIPE_NOTES.get(recipe, ()),
        f"* **Machine**: {MACHINE[args.device]}.", "",
        "Macro-F1 and balanced accuracy on the test half, mean ± 95 % t-interval over the seeds; *to random* is the",
        "difference in macro-F1 between models of the same seed, with its interval, *won* in how many seeds it is",
        "positive. `ska:` is scikit-activeml, `mundig:` lightly-mundig, with their own defaults; the rest is ours.",
    ])  # fmt: skip


def tell_part(recipe: Recipe) -> str:
    """Say which part of the network learns."""
    if not recipe.frozen:
        return "Everything learns."
    stays, learns = (sum(one.numel() for one in part.parameters()) for part in cut_pretrained(recipe.frozen))
    share = f"{learns / (stays + learns):.0%} of the weights"
    return f"The stem and the first {recipe.frozen} of 7 stages stay as they are; the rest, {share}, learns."


def tabulate(runs: Sequence[Run]) -> str:
    """One row a strategy, by the macro-F1 of its fine-tuned networks."""
    by_strategy = {name: [run for run in runs if run.strategy == name] for name in {run.strategy for run in runs}}
    order = sorted(by_strategy, key=lambda name: -np.mean([run.tuned["macro_f1"] for run in by_strategy[name]]))
    lines = ["| strategy | linear head | to random | won | fine-tuned | to random | won | balanced accuracy |",
             "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for name in order:
        own, cells = by_strategy[name], []
        for kind in ("linear", "tuned"):
            cells += [show_mean([getattr(run, kind)["macro_f1"] for run in own]),
                      *show_difference(own, by_strategy[REFERENCE], kind)]  # fmt: skip
        cells.append(show_mean([run.tuned["balanced_accuracy"] for run in own]))
        shown = f"**{name}**" if name == "default" else name
        lines.append(f"| {shown} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def show_mean(values: Sequence[float]) -> str:
    mean, half = mean_interval(values)
    return f"{mean:.3f} ± {half:.3f}"


def show_difference(own: Sequence[Run], reference: Sequence[Run], kind: str) -> tuple[str, str]:
    if own[0].strategy == REFERENCE:
        return "", ""
    found = compare(*([getattr(run, kind)["macro_f1"] for run in runs] for runs in (own, reference)))
    return f"{found.difference:+.3f} ± {found.half:.3f}", f"{found.wins} of {found.n}"


def tell(runs: Sequence[Run]) -> str:
    """Say plainly, from the figures, whose gain survived and whose did not."""
    cells = list(dict.fromkeys((run.labels, run.set_name) for run in runs))
    lines = []
    for labels, name in sorted(cells, key=lambda cell: (-cell[0], cell[1])):
        found = {s: [run for run in runs if (run.labels, run.set_name, run.strategy) == (labels, name, s)]
                 for s in dict.fromkeys(run.strategy for run in runs)}  # fmt: skip
        gains = {s: gain_of(found[s], found[REFERENCE]) for s in found if s != REFERENCE}
        lines += [f"* {name}, {labels} labels: {tell_cell(gains)} {tell_peers(found)}".rstrip()]
    return "\n".join([*lines, *LIMITS])


def tell_peers(found: dict[str, list[Run]]) -> str:
    """Say how the default's networks compare with those of the peer that came out best."""
    peers = [name for name in found if ":" in name]
    if not peers or "default" not in found:
        return ""
    best = max(peers, key=lambda name: np.mean([run.tuned["macro_f1"] for run in found[name]]))
    difference, won = show_difference(found["default"], found[best], "tuned")
    return f"The default against the better peer there, {best}: {difference}, {won}."


def gain_of(own: Sequence[Run], reference: Sequence[Run]) -> tuple[float, float]:
    """Return the mean difference in macro-F1 to random, under the linear head and after fine-tuning."""
    pairs = list(zip(own, reference, strict=True))
    linear = [a.linear["macro_f1"] - b.linear["macro_f1"] for a, b in pairs]
    tuned = [a.tuned["macro_f1"] - b.tuned["macro_f1"] for a, b in pairs]
    return float(np.mean(linear)), float(np.mean(tuned))


def tell_cell(gains: dict[str, tuple[float, float]]) -> str:
    ahead = [name for name, (linear, _) in gains.items() if linear > 0]
    lost = [f"{name} ({gains[name][1]:+.3f})" for name in ahead if gains[name][1] <= 0]
    best = max(gains, key=lambda name: gains[name][1])
    text = f"of {len(ahead)} strategies ahead of random under the linear head, {len(ahead) - len(lost)} stay ahead"
    text += f"; not {', '.join(lost)}" if lost else ""
    text += f". Most gained by {best}, {gains[best][1]:+.3f} (linear head {gains[best][0]:+.3f})"
    if "default" in gains and best != "default":
        text += f"; the default {gains['default'][1]:+.3f} (linear head {gains['default'][0]:+.3f})"
    return text + "."
