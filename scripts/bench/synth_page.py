"""The page of bench_synth.py: what was measured, gains and losses alike, with intervals over the cells."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.synth_arms import FILTERED, MIXED, PLAIN

METRICS = {"ap": "average precision of the class", "recall": "recall at 1 % false rejects", "f1": "macro-F1"}
CHOSEN_ON = 2  # draws
_RESAMPLES = 4000
_PACKAGES_HEAD = (
    "Packages' own generators and ours in the same cells, positive where ours are better: both fitted as they come,",
    "both mixed, and last ours mixed, as `synth prove` ships them, against the package's as they come:",
    "",
    "| package, recipe | class | its AP | ours, not mixed | difference | its, mixed | ours, mixed | difference "
    "| ours, mixed, against its as they come |",
    "|---" * 9 + "|",
)


def render_page(cells: Sequence[dict[str, Any]], args: argparse.Namespace, absent: Sequence[str] = ()) -> str:
    """Return the Markdown page of finished cells. absent: a sentence for each arm that there is not."""
    wanted = len(args.k) * args.draws
    lines = [
        "# Variants, measured", "", "Made by", "",
        *say_command(cells, args), "",
        f"{len(cells)} cells (class x k x draw) of {', '.join(sorted({one['name'] for one in cells}))}; asked for were",
        f"{wanted} for each class. k real images of one class, all other classes in full;",
        f"{cells[0]['count']} made images, 25 % of the class's weight; frozen defect-aware vectors, linear head;",
        "scored on real images of other near-duplicate groups. Ours are mixed with real ones and moved to other hosts",
        "([proof.md](proof.md)); *mixed as ours*: others' images in the same way; *not mixed*: ours as they are.",
        "A difference's interval is a paired bootstrap over cells.", "",
    ]  # fmt: skip
    for k in sorted({one["k"] for one in cells}):
        own = [one for one in cells if one["k"] == k]
        arms = [arm for arm in own[0]["arms"] if all(arm in one["arms"] for one in own)]
        lines += [
            f"## k = {k}",
            "",
            *tabulate_classes(own, arms),
            "",
            *tabulate_arms(own, arms),
            "",
            describe_proof(own),
            *describe_aim(own),
            "",
            *tabulate_proved(own, arms),
            "",
            *tabulate_packages(own),
            *confirm(own, arms),
        ]
    return "\n".join([*lines, *tabulate_speed(cells), "", *say_limits(cells, absent), ""])


def say_command(cells: Sequence[dict[str, Any]], args: argparse.Namespace) -> list[str]:
    """Return the command lines that make the page, as a Markdown block."""
    names = sorted({one["name"] for one in cells})
    out = "docs/synthesis_measured.md" if names == ["magnetic_tile"] else f"docs/synthesis_measured_{names[0]}.md"
    chosen = "" if names == ["magnetic_tile"] else f"--sets {' '.join(names)} "
    line = f"    python scripts/bench_synth.py --data ../shared/data --work build/synth --out {out} {chosen}"
    line += f"--k {' '.join(map(str, args.k))} --draws {args.draws} --count {args.count}"
    if not any(_is_package(arm) for one in cells for arm in one["arms"]):
        return [line]
    install = "    python -m pip install --no-deps --target build/peers anomalib==2.7.0 defect-synthesis==0.1.0"
    return [install, f"{line} --peers build/peers"]


def tabulate_classes(cells: Sequence[dict[str, Any]], arms: Sequence[str]) -> list[str]:
    """Average precision, a row for each class, the mean over draws; the best in bold."""
    rows = [
        "Average precision of the class:",
        "",
        "| class | draws | " + " | ".join(arms) + " |",
        "|---" * (len(arms) + 2) + "|",
    ]
    for label in sorted({one["label"] for one in cells}):
        own = [one for one in cells if one["label"] == label]
        values = {arm: float(np.mean([one["arms"][arm]["ap"] for one in own])) for arm in arms}
        best = max(values.values())
        shown = [f"**{value:.2f}**" if value == best else f"{value:.2f}" for value in values.values()]
        rows.append(f"| {label} | {len(own)} | " + " | ".join(shown) + " |")
    return rows


def tabulate_arms(cells: Sequence[dict[str, Any]], arms: Sequence[str]) -> list[str]:
    """A row for each arm: the means of every measure, and its average precision against the first two arms."""
    titles = [
        *METRICS.values(),
        f"AP against {arms[0]}",
        f"against {arms[1]}",
        "against the better",
        "cells it loses in",
    ]
    rows = ["| arm | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
    for arm in arms:
        means = [f"{np.mean([one['arms'][arm][metric] for one in cells]):.3f}" for metric in METRICS]
        against = [difference(cells, arm, rival) for rival in (arms[:1], arms[1:2], arms[:2])]
        losses = sum(one["arms"][arm]["ap"] < one["arms"][arms[0]]["ap"] - 1e-9 for one in cells)
        rows.append(f"| {arm} | " + " | ".join([*means, *against]) + f" | {losses} of {len(cells)} |")
    return rows


def tabulate_proved(cells: Sequence[dict[str, Any]], arms: Sequence[str]) -> list[str]:
    """Class by class, what is shipped against the two arms that it must not fall below."""
    rows = [f"| {arms[-1]} | against {arms[0]} | against {arms[1]} |", "|---|---|---|"]
    for label in sorted({one["label"] for one in cells}):
        own = [one for one in cells if one["label"] == label]
        rows.append(f"| {label} | " + " | ".join(difference(own, arms[-1], [rival]) for rival in arms[:2]) + " |")
    return rows


def tabulate_packages(cells: Sequence[dict[str, Any]]) -> list[str]:
    """Ours against each package's own generator, class by class: those with an arm in all cells of the class."""
    arms = dict.fromkeys(arm for one in cells for arm in one["arms"] if _is_package(arm))
    if not all({FILTERED, PLAIN} <= set(one["arms"]) for one in cells):
        return []
    rows: list[str] = []
    by_package: dict[str, dict[str, list[str]]] = {}
    for arm in arms:
        for label in sorted({one["label"] for one in cells}):
            own = [one for one in cells if one["label"] == label]
            if all(arm in one["arms"] for one in own):
                rows.append(_hold_against(own, arm, label))
                by_package.setdefault(arm.partition(",")[0], {}).setdefault(label, []).append(arm)
    for package, of_label in by_package.items():
        pooled = [_pool(one, package, of_label[one["label"]]) for one in cells if one["label"] in of_label]
        rows.append(_hold_against(pooled, package, f"all {len(of_label)}"))
    return [*_PACKAGES_HEAD, *rows, ""] if rows else []


def _hold_against(cells: Sequence[dict[str, Any]], arm: str, label: str) -> str:
    shown = [arm.removeprefix("+ "), label]
    for ours, its in ((PLAIN, arm), (FILTERED, arm + MIXED)):
        shown += [f"{np.mean([one['arms'][name]['ap'] for one in cells]):.3f}" for name in (its, ours)]
        shown.append(difference(cells, ours, [its]))
    return f"| {' | '.join(shown)} | {difference(cells, FILTERED, [arm])} |"


def _pool(cell: dict[str, Any], package: str, arms: Sequence[str]) -> dict[str, Any]:
    """Return the cell with an arm of the whole package: the mean of its recipes."""
    means = {package + end: {"ap": float(np.mean([cell["arms"][arm + end]["ap"] for arm in arms]))}
             for end in ("", MIXED)}  # fmt: skip
    return {**cell, "arms": {**cell["arms"], **means}}


def say_packages(cells: Sequence[dict[str, Any]], absent: Sequence[str]) -> list[str]:
    """How the packages were asked, and which are no arm, as lines of a list."""
    lines = [f"- No arm: {sentence}." for sentence in absent]
    if not any(_is_package(arm) for one in cells for arm in one["arms"]):
        return lines
    return [
        "- Packages run at their own settings on images of the training half without the class, all of a cell on",
        "  the same. Their masks are not used: the head sees vectors of whole images. anomalib's defects are of no",
        "  class, and their texture is its own noise, as the set of textures that it can take instead is not at hand.",
        "- defect-synthesis draws no real defect; which recipe a class gets was decided by eye before measuring.",
        *lines,
    ]


def _is_package(arm: str) -> bool:
    return arm.startswith(("+ anomalib", "+ defect-synthesis")) and not arm.endswith(MIXED)


def confirm(cells: Sequence[dict[str, Any]], arms: Sequence[str]) -> list[str]:
    """The draws on which mixing was not chosen."""
    fresh = [one for one in cells if one["draw"] >= CHOSEN_ON]
    if not fresh or FILTERED not in arms:
        return []
    found = [difference(fresh, "ours, filtered", [rival]) for rival in arms[:2]]
    return [
        f"How ours are mixed was chosen on the first {CHOSEN_ON} draws, of another rendering. The {len(fresh)} cells",
        f"of later draws alone: `ours, filtered` against {arms[0]} {found[0]},",
        f"against {arms[1]} {found[1]}.",
        "",
    ]


def difference(cells: Sequence[dict[str, Any]], arm: str, rivals: Sequence[str]) -> str:
    """Return the mean difference of average precision from the best of ``rivals`` in each cell, and its
    paired-bootstrap 95 % interval over cells."""
    if arm in rivals:
        return ""
    values = np.array([one["arms"][arm]["ap"] - max(one["arms"][rival]["ap"] for rival in rivals) for one in cells])
    drawn = np.random.default_rng(0).integers(0, len(values), (_RESAMPLES, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return f"{values.mean():+.3f} ({low:+.3f} to {high:+.3f})"


def describe_proof(cells: Sequence[dict[str, Any]]) -> str:
    counts: dict[str, int] = {}
    for one in cells:
        counts[one["proof"]] = counts.get(one["proof"], 0) + 1
    said = ", ".join(f"{name}: {n}" for name, n in sorted(counts.items()))
    return f"The proof on the k real images said: {said}. Anything but promoted falls back to the real images alone."


def describe_aim(cells: Sequence[dict[str, Any]]) -> list[str]:
    """Return what became of the gaps that the class's unlabelled images of the training half are."""
    own = [one for one in cells if "gap" in one]
    counts = {name: sum(one["gap"] == name for one in own) for name in sorted({one["gap"] for one in own})}
    if not own:
        return []
    said = ", ".join(f"{name}: {n}" for name, n in counts.items())
    return [f"The gap: {said}; kept for it were {np.median([one['aimed'] for one in own]):.0f} images, the median."]


def tabulate_speed(cells: Sequence[dict[str, Any]]) -> list[str]:
    rows = ["## Speed", "", "Images per processor-second at the images' own size, reading, start-up and JPEG encoding",
            "included, embedding for the head left out; `ours, filtered` embeds every proposal to judge it. Median of "
            "the cells.", "", "| arm | images / s |", "|---|---|"]  # fmt: skip
    arms = dict.fromkeys(arm for one in cells for arm in one["images_per_s"])
    for arm in sorted(arms, key=lambda arm: arm.startswith("ours")):
        known = [one["images_per_s"][arm] for one in cells if arm in one["images_per_s"]]
        rows.append(f"| {arm} | {np.median(known):.1f} |")
    return rows


def say_limits(cells: Sequence[dict[str, Any]], absent: Sequence[str] = ()) -> list[str]:
    draws = {(one["label"], one["k"]): 0 for one in cells}
    for one in cells:
        draws[one["label"], one["k"]] += 1
    return [
        "## What this does not say", "",
        f"- Draws for each class and k: {min(draws.values())} to {max(draws.values())}. With fewer than five an",
        "  interval over cells says little about another draw; read it as a description of these cells.",
        "- The linear head alone; a network that is trained: [synthesis_fine_tuning.md](synthesis_fine_tuning.md).",
        "- `ours, gap-aimed` chooses among the images of `ours, filtered`; its gap is the class's other images of the",
        "  training half, taken to be unlabelled. A class's real pool is not known so well.",
        "- `+ Perlin (DRAEM)` and `+ cut-paste` are small re-implementations from the papers; the texture data set of",
        "  the Perlin paper is replaced by shuffled cells of good images.",
        *say_packages(cells, absent),
        "- With fewer than 5 groups of real images the class cannot be judged: `ours, proved` rests on its siblings",
        "  then (docs/proof.md), here on their test halves. An interval that includes 0 is no gain shown.",
        "- *Against the better* is against whichever of both was better in the very cell: a rival that nobody has, as",
        "  nobody knows beforehand.",
        "- The verdict by siblings is not stable: with the renderer of a day before, whose images were told from",
        "  real ones more easily, `ours, filtered` had 0.617 in the same 25 cells, +0.091 (+0.045 to +0.142) over real",
        "  images alone, lost in 5, and siblings promoted all 25.",
        f"- Speed is that of sets of {cells[0]['count']} images, in which start-up (donors, prior, limits) weighs;",
        "  the renderer alone is measured by `scripts/bench_render.py`.",
    ]  # fmt: skip
