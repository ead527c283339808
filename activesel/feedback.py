"""What the line's events say of an image: rules over its story, how good each is, and what follows from them.

Arrays and records in and out; activesel.pipelines.feedback has the story.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.labelmodel import ABSTAINS, RuleSummary, summarise
from activesel.proof import Interval, wilson
from activesel.records import Event, IntArray

UNNAMED = "?"  # a defect of which the event does not say which
CONFIDENCE = 0.95
TYPES = ("operator.override", "operator.confirm", "rework.result", "downstream.return")  # that a rule reads


@dataclass(frozen=True)
class Story:
    """What the line reported of one image, the oldest first."""

    image_id: str
    events: tuple[Event, ...]

    def last(self, kind: str) -> Event | None:
        """Return the latest event of a type: whoever decides twice means the second."""
        return next((one for one in reversed(self.events) if one.type == kind), None)


@dataclass(frozen=True)
class Reading:
    """How events are read. good: the class without a defect. considered_s: from when on a decision was looked at.

    names: what the line calls a class -> the class here, or UNNAMED.
    """

    good: str
    considered_s: float
    names: Mapping[str, str]

    def name(self, said: object) -> str | None:
        """Return the class that a verdict means; what stands in no list is taken as it is."""
        return self.names.get(said, said) if isinstance(said, str) else None


Rule = Callable[[Story, Reading], str | None]


def _decided(kind: str, field: str, *, considered: bool) -> Rule:
    """Return a rule over an operator's decisions that took long enough, or that did not, or that do not say."""

    def judge(story: Story, reading: Reading) -> str | None:
        event = story.last(kind)
        if event is None:
            return None
        looked = float(event.data.get("time_to_decide_s", -1)) >= reading.considered_s
        return reading.name(event.data.get(field)) if looked is considered else None

    return judge


def _rework_fault(story: Story, reading: Reading) -> str | None:
    event = story.last("rework.result")
    if event is None or event.data["result"] != "fault_found":
        return None
    return reading.name(event.data.get("verdict")) or UNNAMED


def _rework_clear(story: Story, reading: Reading) -> str | None:
    event = story.last("rework.result")
    return reading.good if event is not None and event.data["result"] == "no_fault_found" else None


def _downstream_return(story: Story, reading: Reading) -> str | None:
    event = story.last("downstream.return")
    return None if event is None else reading.name(event.data.get("verdict")) or UNNAMED


RULES: dict[str, Rule] = {
    "override_considered": _decided("operator.override", "operator_verdict", considered=True),
    "override_quick": _decided("operator.override", "operator_verdict", considered=False),
    "confirm_considered": _decided("operator.confirm", "verdict", considered=True),
    "confirm_quick": _decided("operator.confirm", "verdict", considered=False),
    "rework_fault": _rework_fault,
    "rework_clear": _rework_clear,
    "downstream_return": _downstream_return,
}


@dataclass(frozen=True)
class Votes:
    """said: (n, r) what each rule of RULES says of each story, None = nothing. codes: the same as codes of classes, -1
    for nothing, and for a defect without a name where there are several. strangers: verdicts that are no class -> how
    often."""

    said: tuple[tuple[str | None, ...], ...]
    codes: IntArray
    strangers: dict[str, int]


def vote(stories: Sequence[Story], reading: Reading, classes: Sequence[str]) -> Votes:
    """Ask every rule about every story."""
    index = {name: code for code, name in enumerate(classes)}
    defects = [name for name in classes if name != reading.good]
    strangers: dict[str, int] = {}
    said, codes = [], np.full((len(stories), len(RULES)), ABSTAINS, np.int64)
    for row, story in enumerate(stories):
        of_story: list[str | None] = []
        for column, rule in enumerate(RULES.values()):
            name = rule(story, reading)
            if name == UNNAMED and len(defects) == 1:
                name = defects[0]
            if name not in (None, UNNAMED) and name not in index:
                strangers[str(name)] = strangers.get(str(name), 0) + 1
                name = None  # a word for what here? `feedback.names` can say
            codes[row, column] = index.get(name, ABSTAINS) if name is not None else ABSTAINS
            of_story.append(name)
        said.append(tuple(of_story))
    return Votes(tuple(said), codes, strangers)


@dataclass(frozen=True)
class RuleReport:
    """summary: coverage, conflicts, and right and wrong on images that people labelled. measured: the interval of its
    accuracy there, None without any. estimate: what the label model makes of it, 0..1, None where it says no class.
    uses: what it may do by the settings. trusted: its word may become a weak label; why: in a sentence."""

    summary: RuleSummary
    measured: Interval | None
    estimate: float | None
    uses: tuple[str, ...]
    trusted: bool
    why: str


@dataclass(frozen=True)
class Trust:
    """When a rule is believed: by the lower end of its measured accuracy from least_known images on, else by the label
    model's estimate. uses: rule -> what its word may become, of "weak", "adjudicate" and "positives"."""

    least_accuracy: float
    least_known: int
    uses: Mapping[str, tuple[str, ...]]


def report(
    codes: IntArray, known: IntArray, posterior: npt.NDArray[np.float64], trust: Trust
) -> tuple[RuleReport, ...]:
    """Describe every rule. codes: (n, r). known: (n,) class that people gave, -1 = none. posterior: (n, c)."""
    found = []
    for column, summary in enumerate(summarise(codes, tuple(RULES), known)):
        votes = codes[:, column]
        spoke = votes >= 0
        estimate = float(posterior[spoke, votes[spoke]].mean()) if spoke.any() else None
        measured = wilson(summary.n_right, summary.n_known, CONFIDENCE) if summary.n_known else None
        uses = trust.uses.get(summary.name, ())
        trusted, why = _judge(summary, measured, estimate, trust)
        found.append(RuleReport(summary, measured, estimate, uses, trusted and "weak" in uses, why))
    return tuple(found)


def _judge(
    summary: RuleSummary, measured: Interval | None, estimate: float | None, trust: Trust
) -> tuple[bool, str]:  # fmt: skip
    if estimate is None:
        return False, "says no class of any image"
    if measured is not None and summary.n_known >= trust.least_known:
        return measured.low >= trust.least_accuracy, (
            f"measured: at least {measured.low:.2f} of {summary.n_known} labelled images right")  # fmt: skip
    return estimate >= trust.least_accuracy, (
        f"estimated: {estimate:.2f}; only {summary.n_known} labelled images to measure it on")  # fmt: skip


@dataclass(frozen=True)
class Findings:
    """What follows, as rows of stories. weak: (row, class code, posterior). doubted: (row, sentence), a label of people
    that a rule contradicts. look: (row, class or UNNAMED, sentence), images of a defect, or of which rules differ, that
    nobody has labelled. examples: class or UNNAMED -> rows of images that rules call so, labelled or not."""

    weak: tuple[tuple[int, int, float], ...]
    doubted: tuple[tuple[int, str], ...]
    look: tuple[tuple[int, str, str], ...]
    examples: dict[str, tuple[int, ...]]
    n_unsure: int


def find(
    stories: Sequence[Story], votes: Votes, reports: Sequence[RuleReport], known: IntArray,
    posterior: npt.NDArray[np.float64], setting: Setting,
) -> Findings:  # fmt: skip
    """Decide what the rules' words become."""
    by_use = {use: [i for i, one in enumerate(reports) if use in one.uses] for use in ("adjudicate", "positives")}
    trusted = [i for i, one in enumerate(reports) if one.trusted]
    weak, doubted, look, n_unsure = [], [], [], 0
    examples: dict[str, list[int]] = {}
    for row, story in enumerate(stories):
        said, label = votes.said[row], int(known[row])
        against = [i for i in by_use["adjudicate"] if said[i] is not None]
        positive = [i for i in by_use["positives"] if said[i] not in (None, setting.good)]
        name = next((said[i] for i in positive if said[i] != UNNAMED), UNNAMED) or UNNAMED
        if positive and (label < 0 or setting.classes[label] == name):
            examples.setdefault(name, []).append(row)
        if label >= 0:
            speaking = [i for i in against if differs(said[i], setting.classes[label], setting.good)]
            if speaking:
                doubted.append((row, tell(story, speaking, said)))
            continue
        if any(differs(said[i], said[j], setting.good) for i in against for j in against):
            look.append((row, name, "the line contradicts itself: " + tell(story, against, said)))
            continue
        chosen = _find_weak(votes.codes[row], trusted, posterior[row], setting.least_confidence)
        if chosen is not None:
            weak.append((row, *chosen))
        else:
            n_unsure += bool((votes.codes[row] >= 0).any())
            if positive:
                look.append((row, name, tell(story, positive, said)))
    return Findings(tuple(weak), tuple(doubted), tuple(look), {k: tuple(v) for k, v in examples.items()}, n_unsure)


@dataclass(frozen=True)
class Setting:
    """classes: in the order of their codes. good: the one without a defect. least_confidence: of a weak label."""

    classes: tuple[str, ...]
    good: str
    least_confidence: float


def differs(said: str | None, other: str | None, good: str) -> bool:
    """Whether two words cannot both be true; a defect without a name contradicts the good class alone."""
    if said is None or other is None or said == other:
        return False
    return good in (said, other) if UNNAMED in (said, other) else True


def tell(story: Story, rules: Sequence[int], said: Sequence[str | None]) -> str:
    """Say which rules speak and when what they rest on happened."""
    names = list(RULES)
    parts = []
    for i in rules:
        kind = next(kind for kind in TYPES if names[i].startswith(_STEMS[kind]))
        event = story.last(kind)
        when = event.time[:10] if event is not None else ""
        word = "a defect" if said[i] == UNNAMED else said[i]
        parts.append(f"{names[i].replace('_', ' ')} ({when}) says {word}")
    return ", ".join(parts)


_STEMS = {"operator.override": "override", "operator.confirm": "confirm", "rework.result": "rework",
          "downstream.return": "downstream"}  # fmt: skip


def _find_weak(
    codes: IntArray, trusted: Sequence[int], posterior: npt.NDArray[np.float64], least: float
) -> tuple[int, float] | None:
    """Return the class and its posterior where a trusted rule says so and none says otherwise."""
    named = {int(codes[i]) for i in trusted if codes[i] >= 0}
    if len(named) != 1 or np.isnan(posterior[0]):
        return None
    (code,) = named
    chance = float(posterior[code])
    return (code, chance) if chance >= least and posterior.argmax() == code else None
