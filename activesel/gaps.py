"""From what is wanted and what is there to gaps: what to label, synthesise or collect, and what cannot be met.

Decides from counts alone; who counted, and which command closes a gap, is others' business.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from activesel.coverage import Region
from activesel.proof import Recall, images_needed, most_shown
from activesel.records import IntArray

Kind = Literal["images", "region", "recall", "gold", "proof"]
Action = Literal["label", "synthesise", "collect", "cannot be met"]
ACTIONS: tuple[Action, ...] = ("label", "synthesise", "collect", "cannot be met")  # the cheapest first

WAYS: dict[Action, str] = {
    "synthesise": "synthetic images can stand in until the line shows more, but count as none",
    "collect": "there is not one to start from: photograph or provoke it, or draw it by a recipe",
}


@dataclass(frozen=True)
class Facts:
    """What is wanted of a class or slice, and what there is. name: for people. where: column -> value, {} = all of it.

    n_labelled: images to learn from; n_groups: parts among them. recall: on images held out, None = not measurable.
    n_gold: its images in the gold set. likely: images of it that the unlabelled pool holds, by the model; None = nobody
    knows, for nothing is labelled. n_pool: unlabelled images, of any class or slice. rows: the likely ones, most
    likely first. real: its labelled rows; missed: those that the model misses when they are held out. regions: of the
    class, () for a slice. unknown_before: columns of ``where`` that only a mask tells. is_good: the class that is no
    defect, whose recall is the share that passes.
    """

    name: str
    class_name: str
    where: Mapping[str, str]
    importance: float
    wanted_images: int
    wanted_recall: float | None
    wanted_gold: int | None
    n_labelled: int
    n_groups: int
    recall: Recall | None
    n_gold: int
    likely: int | None
    n_pool: int
    rows: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    real: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    missed: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    regions: tuple[Region, ...] = ()
    unknown_before: tuple[str, ...] = ()
    is_good: bool = False


@dataclass(frozen=True)
class Gap:
    """One thing that is missing. have, need: images, or shares for a recall. missing: images still to come.

    priority: what is missing, as a share of what is needed, times the importance; higher = first. rows: pool or
    labelled rows that show it. centre: (d,) of a region, None elsewhere. draws: random
    images that will hold the missing gold ones, about; 0 elsewhere.
    """

    kind: Kind
    action: Action
    name: str
    class_name: str
    where: Mapping[str, str]
    have: float
    need: float
    missing: int
    priority: float
    reason: str
    rows: IntArray
    centre: npt.NDArray[np.float32] | None = None
    draws: int = 0


def find_gaps(facts: Sequence[Facts], confidence: float, false_rejects: float, region_labels: int) -> list[Gap]:
    """Return every gap, the most pressing first; equal ones by the cheaper action."""
    gaps = []
    for one in facts:
        gaps += [*_count(one), *_recall(one, false_rejects, region_labels), *_prove(one, confidence)]
        gaps += [] if one.is_good else _regions(one, region_labels)
    order = {action: rank for rank, action in enumerate(ACTIONS)}
    return sorted(gaps, key=lambda gap: (-gap.priority, order[gap.action], gap.name, gap.kind))


def choose_action(likely: int | None, n_real: int) -> Action:
    """Return the cheapest way to more images of a class.

    Label where the pool has some, or where nobody knows yet; else synthesise from real ones; else collect.
    """
    if likely is None or likely > 0:
        return "label"
    return "synthesise" if n_real else "collect"


def _count(facts: Facts) -> list[Gap]:
    """Labelled images: what the pool can give is to be labelled, the rest to be synthesised or collected."""
    missing = facts.wanted_images - facts.n_labelled
    if missing <= 0:
        return []
    base = Gap("images", "label", facts.name, facts.class_name, facts.where, facts.n_labelled, facts.wanted_images,
               missing, facts.importance * missing / facts.wanted_images, "", facts.rows)  # fmt: skip
    have = f"{facts.n_labelled} of {facts.wanted_images} labelled" + _parts(facts)
    if facts.likely is None:
        return [
            replace(base, reason="nothing is labelled yet, so nobody knows what the pool holds: a first batch tells")
        ]
    gaps = []
    from_pool = min(missing, facts.likely)
    if from_pool:
        told = f"{have}; about {_images(facts.likely)} in the pool {_look(facts.likely)} like it{_not_told(facts)}"
        gaps.append(replace(base, missing=from_pool, reason=told))
    rest = missing - from_pool
    if rest:
        empty = f"; the pool has about {facts.likely}" if facts.likely else "; none in the pool looks like it"
        action = choose_action(0, facts.n_labelled)
        gaps.append(replace(base, action=action, missing=rest, reason=f"{have}{empty}; {WAYS[action]}",
                            rows=facts.real))  # fmt: skip
    return gaps


def _recall(facts: Facts, false_rejects: float, region_labels: int) -> list[Gap]:
    """Recall on images held out, where it is below what is wanted; chance alone is told apart from a real shortfall."""
    wanted, recall = facts.wanted_recall, facts.recall
    if wanted is None or recall is None or recall.share.value >= wanted:
        return []
    share = recall.share
    told = (f"finds {share.value:.2f} of {_parts_of(recall.tested)} held out at {false_rejects:.1%} false rejects "
            f"(interval {share.low:.2f} to {share.high:.2f}), {wanted:g} is wanted")  # fmt: skip
    if share.high >= wanted:
        told += "; so few could miss it by chance"
    allowed = math.floor((1 - wanted) * recall.tested + 1e-9)
    missing = max(1, math.ceil(recall.tested - recall.found - 1e-9) - allowed)
    action = choose_action(facts.likely, facts.n_labelled)
    if action == "label" and facts.likely is not None:
        told += f"; {_images(facts.likely)} in the pool {_look(facts.likely)} like it{_not_told(facts)}"
    elif action == "synthesise":
        told += "; none in the pool looks like it"
        if share.high < wanted and facts.n_labelled >= facts.wanted_images and _all_known(facts, region_labels):
            action = "cannot be met"
            told += (" and every look of it has its labels: more of the same will not do; try another network, "
                     "embedding.tiles for large images, or a lower recall")  # fmt: skip
    priority = facts.importance * (wanted - share.value) / wanted
    return [Gap("recall", action, facts.name, facts.class_name, facts.where, round(share.value, 4), wanted, missing,
                priority, told, facts.rows if action == "label" else facts.missed)]  # fmt: skip


def _prove(facts: Facts, confidence: float) -> list[Gap]:
    """Gold images: enough to show the recall, and no more than the requirements ask for where they name a number."""
    takes = None if facts.wanted_recall is None else images_needed(facts.wanted_recall, confidence)
    if facts.wanted_recall is not None and takes is None:
        return [_impossible(facts, 10**6, f"showing {facts.wanted_recall:g} takes more than a million test images")]
    need = facts.wanted_gold if facts.wanted_gold is not None else takes
    if need is None:
        return []
    told = "" if takes is None else _proof(facts, takes, confidence)
    if takes is not None and need < takes:
        best = most_shown(need, confidence)
        return [_impossible(facts, takes, f"{told}; gold is set to {need}, which can show {best:.2f} at most")]
    missing = need - facts.n_gold
    if missing <= 0:
        return []
    kind: Kind = "gold" if takes is None else "proof"
    told = told or f"{need} are wanted"
    base = Gap(kind, "label", facts.name, facts.class_name, facts.where, facts.n_gold, need, missing,
               facts.importance * missing / need, "", facts.rows[:0])  # fmt: skip
    if facts.likely is None:
        return [replace(base, reason=f"{told}; there are {facts.n_gold}, and nothing is labelled yet")]
    if facts.n_gold + facts.likely < need:
        told += f"; the gold set has {facts.n_gold} and the pool about {facts.likely} more{_rate(facts, missing)}"
        if takes is None or not (facts.n_labelled or facts.likely or facts.n_gold):
            return [replace(base, action="collect", reason=told)]
        best = most_shown(facts.n_gold + facts.likely, confidence)
        return [_impossible(facts, need, f"{told}; the most that all of these could show is {best:.2f}")]
    rarity = facts.n_pool / facts.likely
    told += f"; the gold set has {facts.n_gold}"
    if rarity > 2:
        told += f", and a random draw meets one in {rarity:.0f}"
    return [replace(base, draws=math.ceil(missing * rarity), reason=told)]


def _regions(facts: Facts, region_labels: int) -> list[Gap]:
    """Looks of a class with too few labels: to be labelled where the pool shows them, synthesised where it misses."""
    total = sum(len(region.rows) for region in facts.regions)
    gaps = []
    for number, region in enumerate(facts.regions, start=1):
        lacking = region_labels - region.n_labelled
        if lacking <= 0 or not (region.n_pool or region.n_missed):
            continue
        share = len(region.rows) / total
        told = f"look {number} of {len(facts.regions)} has {region.n_labelled} of {region_labels} labels"
        action: Action = "label"
        if region.n_pool:
            told += f" for {_images(region.n_pool)} of the pool, {region.covered:.0%} of them near some label"
        else:
            action = "synthesise"
            told += ", is missed when held out, and the pool has none like it"
        priority = facts.importance * share * lacking / region_labels
        gaps.append(Gap("region", action, f"{facts.name}, look {number}", facts.class_name, facts.where,
                        region.n_labelled, region_labels, min(lacking, region.n_pool or lacking), priority, told,
                        region.rows, region.centre))  # fmt: skip
    return gaps


def _all_known(facts: Facts, region_labels: int) -> bool:
    return all(region.n_labelled >= region_labels for region in facts.regions)


def _impossible(facts: Facts, need: int, reason: str) -> Gap:
    missing = max(0, need - facts.n_gold)
    return Gap("proof", "cannot be met", facts.name, facts.class_name, facts.where, facts.n_gold, need, missing,
               facts.importance * missing / need, reason, facts.rows[:0])  # fmt: skip


def _proof(facts: Facts, takes: int, confidence: float) -> str:
    share = facts.wanted_recall or 0.0
    what = f"at most {1 - share:.3g} false rejects" if facts.is_good else f"a recall of {share:g}"
    with_one = images_needed(share, confidence, misses=1)
    return f"to show {what} at {confidence:.0%} takes {takes} test images without a miss, {with_one} with one"


def _rate(facts: Facts, missing: int) -> str:
    if not facts.likely or not facts.n_pool:
        return ""
    rarity = facts.n_pool / facts.likely
    return f" (one in {rarity:.0f}: {missing} more take {math.ceil(missing * rarity):,} images)"


def _not_told(facts: Facts) -> str:
    """Where only a mask tells the slice, what is said of the pool is said of the whole class."""
    return (
        f" ({' and '.join(facts.unknown_before)} unknown before labelling: as the labelled ones are)"
        if facts.unknown_before
        else ""
    )


def _parts(facts: Facts) -> str:
    return f" ({_parts_of(facts.n_groups)})" if facts.n_groups < facts.n_labelled else ""


def _parts_of(number: int) -> str:
    return f"{number} part" if number == 1 else f"{number} parts"


def _images(number: int) -> str:
    return f"{number:,} image" if number == 1 else f"{number:,} images"


def _look(number: int) -> str:
    return "looks" if number == 1 else "look"
