"""Which images an expert should look at, in which order, and why; activesel.pipelines.adjudicate has the story."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from activesel.annotations import Annotation


class Reason(StrEnum):
    """Why an image is in the queue, the most pressing first."""

    disagree = "disagree"  # people differ on the class
    shapes = "shapes"  # they drew other shapes
    skipped = "skipped"  # somebody could not tell
    unsure = "unsure"  # the consensus is not sure
    model = "model"  # a sure model contradicts people
    feedback = "feedback"  # the line's events contradict the label that counts
    doubt = "doubt"  # the other images speak against the label that counts
    gold = "gold"  # somebody missed a known answer, or the answer is wrong
    audit = "audit"  # agreed, and drawn at random to be looked at all the same


_ORDER = {reason: place for place, reason in enumerate(Reason)}


@dataclass(frozen=True)
class Case:
    """All that is known of one image. verdicts: (annotator, class) of those who did not skip.

    skips: (annotator, why). unmatched: whether two people's shapes differ. posterior: of consensus, 0..1, None where
    nobody said anything. model, model_probability: its class and how sure it is. doubt: the class that the other images
    suggest and what they give the label that counts, 0..1 (`activesel label-errors`). truth: a gold image's answer.
    answers: the opinions themselves, for the expert to see after a first look. asked: `assign --next` sent it here.
    feedback: what the line's events say against that label (`activesel feedback`), a sentence.
    """

    image_id: str
    path: str
    verdicts: tuple[tuple[str, str], ...]
    skips: tuple[tuple[str, str], ...] = ()
    unmatched: bool = False
    consensus: str | None = None
    posterior: float | None = None
    model: str | None = None
    model_probability: float | None = None
    truth: str | None = None
    feedback: str = ""
    doubt: tuple[str, float] | None = None
    answers: tuple[Annotation, ...] = ()
    asked: bool = False


@dataclass(frozen=True)
class QueueItem:
    """One image to decide. code: the most pressing reason; reasons: all, as sentences. rank: from 1."""

    rank: int
    image_id: str
    path: str
    code: Reason
    reasons: tuple[str, ...]
    consensus: str | None
    posterior: float | None
    model: str | None
    model_probability: float | None
    answers: tuple[Annotation, ...]


@dataclass(frozen=True)
class QueueRules:
    """posterior: below it a consensus is unsure. model: from it on a model is sure. audit: share of agreed images."""

    good: str
    posterior: float
    model: float
    audit: float
    seed: int


def rank_cases(cases: Iterable[Case], rules: QueueRules) -> list[QueueItem]:
    """Return the images that an expert should decide, the most pressing first; those without a reason are left out.

    By the order of Reason; among equals a doubt about defect or not comes before one about which defect, then the less
    sure the consensus, the earlier. Contradictions with the model alternate between its two directions, defects that
    people passed and good ones that they rejected: looking at one alone would confirm the model.
    """
    found = [(case, why) for case in cases if (why := find_reasons(case, rules))]
    found.sort(key=lambda pair: _urgency(pair[0], pair[1], rules))
    found = _alternate(found, rules)
    return [
        QueueItem(rank, case.image_id, case.path, next(iter(why)), tuple(why.values()), case.consensus, case.posterior,
                  case.model, case.model_probability, case.answers)
        for rank, (case, why) in enumerate(found, start=1)
    ]  # fmt: skip


def find_reasons(case: Case, rules: QueueRules) -> dict[Reason, str]:
    """Return every reason to look at an image with its sentence, the most pressing first; none for most images."""
    named = {name for _, name in case.verdicts}
    found: dict[Reason, str] = {}
    if case.truth is not None:
        wrong = [f"{who} said {name}" for who, name in case.verdicts if name != case.truth]
        return {Reason.gold: f"known to be {case.truth}: {', '.join(wrong)}"} if wrong else {}
    if len(named) > 1:
        found[Reason.disagree] = ", ".join(f"{who} said {name}" for who, name in case.verdicts)
    if case.unmatched:
        found[Reason.shapes] = "their shapes do not match"
    if case.skips:
        found[Reason.skipped] = "; ".join(f"{who} could not tell: {why}" for who, why in case.skips)
    if case.posterior is not None and (case.posterior < rules.posterior or case.asked):
        found[Reason.unsure] = f"the consensus, {case.consensus}, is sure to {case.posterior:.2f} only"
    if named and contradicts(case, rules):
        found[Reason.model] = (f"the model says {case.model} ({case.model_probability:.2f}), people "
                               f"{' or '.join(sorted(named))}")  # fmt: skip
    if case.feedback:
        found[Reason.feedback] = case.feedback
    if case.doubt is not None:
        suggested, confidence = case.doubt
        found[Reason.doubt] = f"the other images suggest {suggested} and give its label {confidence:.2f}"
    if not found and len(case.verdicts) > 1 and is_audited(case.image_id, rules):
        found[Reason.audit] = f"agreed on {next(iter(named))}; drawn to see whether agreed labels are right"
    return found


def contradicts(case: Case, rules: QueueRules) -> bool:
    """Whether a sure model says another class than anybody did."""
    sure = case.model is not None and (case.model_probability or 0.0) >= rules.model
    return sure and case.model not in {name for _, name in case.verdicts}


def is_audited(image_id: str, rules: QueueRules) -> bool:
    """Whether chance, by the seed and the image alone, drew it: the same whatever else is in the batch."""
    drawn = hashlib.blake2b(f"{rules.seed}\x1faudit\x1f{image_id}".encode(), digest_size=8).digest()
    return int.from_bytes(drawn, "big") < rules.audit * 2**64


def _urgency(case: Case, why: dict[Reason, str], rules: QueueRules) -> tuple[int, bool, float, str]:
    named = {name for _, name in case.verdicts}
    about_a_defect = rules.good in named and len(named) > 1
    return _ORDER[next(iter(why))], not about_a_defect, case.posterior or 0.0, case.image_id


def _alternate(
    found: Sequence[tuple[Case, dict[Reason, str]]], rules: QueueRules
) -> list[tuple[Case, dict[Reason, str]]]:
    """Return the cases with those that only the model brought in dealt from its two directions in turn."""
    at = [i for i, (_, why) in enumerate(found) if next(iter(why)) is Reason.model]
    missed = [found[i] for i in at if found[i][0].model != rules.good]
    passed = [found[i] for i in at if found[i][0].model == rules.good]
    mixed = sorted([*enumerate(missed), *enumerate(passed)], key=lambda pair: pair[0])
    ordered = list(found)
    for place, (_, pair) in zip(at, mixed, strict=True):
        ordered[place] = pair
    return ordered
