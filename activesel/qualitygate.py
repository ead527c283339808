"""Whether labels agree well enough to be trusted: yes, no, or not known yet, and how many more would tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from activesel.agreement import MOST_PAIRS, Agreement, pairs_to_decide

OWN_DEFECTS = 4  # one in so many of the defects that a pass takes must be the batch's own, where batches are pooled


class Verdict(StrEnum):
    passed = "pass"
    failed = "fail"
    inconclusive = "inconclusive"


@dataclass(frozen=True)
class Thresholds:
    """What a pass takes; configs/default.yaml has the reasons. defects: a number of images, the others 0..1.

    low: what the lower bound of kappa must reach. gold: what share of known answers an annotator must get.
    """

    kappa: float
    low: float
    positive: float
    defects: int
    gold: float


@dataclass(frozen=True)
class GoldScore:
    """How often one annotator gave known answers, with the ends of its Wilson interval."""

    annotator: str
    n: int
    n_right: int
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Decision:
    """reasons: sentences. n_more: images to label twice until a decision is likely; None: none needed, or hopeless."""

    verdict: Verdict
    reasons: tuple[str, ...]
    n_more: int | None = None


def decide(
    agreement: Agreement | None, gold: Sequence[GoldScore], thresholds: Thresholds, *, next_bound: float = 0.05,
    own: Agreement | None = None,
) -> Decision:  # fmt: skip
    """Return the verdict on labels whose pairs agree so (None = no pair), by annotators who score so on gold.

    For a pass the lower bound of kappa must reach ``low``, for a fail its upper bound must stay below ``kappa``. An
    annotator who surely misses known answers fails the batch, whatever the kappa. next_bound: chance that the bounds of
    the next look, at more labels, may be wrong. own: what the batch shows by itself, where the agreement is of several
    batches together: it must not surely fail, nor look as if it did, and a quarter of the defects must be its own.
    """
    failures = [
        f"{one.annotator} gave {one.n_right} of {one.n} known answers: {one.high:.3f} at best, not {thresholds.gold:g}"
        for one in gold if one.high < thresholds.gold
    ]  # fmt: skip
    failures += [f"{_say_kappa(one)}: surely below {thresholds.kappa:g}"
                 for one in (agreement, own) if one is not None and _surely_fails(one, thresholds)]  # fmt: skip
    if failures:
        return Decision(Verdict.failed, tuple(failures))
    if agreement is None:
        return Decision(Verdict.inconclusive, ("no image has two independent opinions",))
    doubts = [*_find_doubts(agreement, thresholds), *_find_own_doubts(own, thresholds)]
    if not doubts:
        return Decision(Verdict.passed, (f"{_say_kappa(agreement)}: at least {thresholds.low:g}",))
    n_more = label_more(agreement, thresholds, next_bound)
    told = "it lies too near the threshold for labels to tell: settle the disagreements and mend the guideline"
    told = told if n_more is None else f"label {n_more} more images twice"
    return Decision(Verdict.inconclusive, (*doubts, told), n_more)


def _surely_fails(agreement: Agreement, thresholds: Thresholds) -> bool:
    """Tell whether the pairs speak against the labels; where few all agree, the bound is the prior's alone."""
    return agreement.kappa is not None and agreement.kappa < thresholds.kappa and agreement.at_most < thresholds.kappa


def _find_doubts(agreement: Agreement, thresholds: Thresholds) -> list[str]:
    doubts = []
    if agreement.n_positive < thresholds.defects:
        doubts.append(f"{agreement.n_positive} images that anybody called a defect have two opinions; it takes "
                      f"{thresholds.defects}")  # fmt: skip
    if agreement.kappa is None:
        doubts.append("kappa is undefined: everybody said the same one class")
    elif agreement.kappa < thresholds.kappa:
        doubts.append(f"{_say_kappa(agreement)}: below {thresholds.kappa:g}, but not surely")
    elif agreement.at_least < thresholds.low:
        doubts.append(f"{_say_kappa(agreement)}: not surely at least {thresholds.low:g}")
    if agreement.positive is not None and agreement.positive < thresholds.positive:
        doubts.append(f"agreement on defects is {agreement.positive:.2f}, below {thresholds.positive:g}")
    return doubts


def _find_own_doubts(own: Agreement | None, thresholds: Thresholds) -> list[str]:
    if own is None:
        return []
    doubts, least = [], thresholds.defects // OWN_DEFECTS
    if own.n_positive < least:
        doubts.append(f"of this batch itself {own.n_positive} images that anybody called a defect have two opinions; "
                      f"it takes {least}")  # fmt: skip
    if own.kappa is None or own.kappa < thresholds.kappa:
        doubts.append(f"of this batch itself {_say_kappa(own)}: below {thresholds.kappa:g}")
    return doubts


def label_more(agreement: Agreement, thresholds: Thresholds, bound: float = 0.05) -> int | None:
    """Return how many more images should be labelled twice, so that a decision falls in 80 of 100 such cases.

    As if the truth were what the pairs show, with half a disagreement more. bound: chance that the bounds may be wrong
    then. None beyond a million.
    """
    n = agreement.n
    prevalence = (agreement.n_positive + 0.5) / (n + 1)
    chance = 2 * prevalence * (1 - prevalence)
    kappa = (1.0 if agreement.kappa is None else agreement.kappa) - 0.5 / (n * chance)  # half a disagreement more
    goal = thresholds.low if kappa >= thresholds.kappa else thresholds.kappa
    needed = pairs_to_decide(max(kappa, 0.0), prevalence, goal, confidence=1 - bound)
    short = thresholds.defects - agreement.n_positive
    if short > 0:
        needed = max(needed, n + round(short / prevalence)) if needed < MOST_PAIRS else needed
    return None if needed >= MOST_PAIRS else max(1, needed - n)


def _say_kappa(agreement: Agreement) -> str:
    value = "undefined" if agreement.kappa is None else f"{agreement.kappa:.3f}"
    return f"kappa {value} ({agreement.low:.3f} to {agreement.high:.3f}, {agreement.n} images)"
