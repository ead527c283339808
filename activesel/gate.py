"""May the challenger become the champion? Promote, hold or reject, with reasons; findings in, a verdict out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from activesel.proof import Interval
from activesel.rivals import Bounds, ClassChange, Comparison, normal_quantile

MOST_LABELS = 1_000_000  # a decision that takes more is none
POWER = 0.8  # chance of a decision that the number of further labels is for


class Outcome(StrEnum):
    promote = "promote"
    hold = "hold"
    reject = "reject"


@dataclass(frozen=True)
class Rules:
    """What a promotion takes; configs/default.yaml has the reasons. All but the counts are shares 0..1.

    false_rejects: rate at which recall is compared. most_false_rejects: what its upper bound must not pass. margin: of
    recall that may be lost at most; class_margin: of a critical class. error: of all looks together, one-sided.
    must_gain: not being worse is not enough. critical: names of classes. least_defects, least_class: groups.
    least_recall: of a first model.
    """

    false_rejects: float
    most_false_rejects: float
    margin: float
    class_margin: float
    error: float
    must_gain: bool
    critical: tuple[str, ...]
    least_defects: int
    least_class: int
    least_recall: float


@dataclass(frozen=True)
class Needed:
    """Further labels after which a decision falls in 80 of 100 such cases. defects, good: groups (parts) of either."""

    defects: int
    good: int


@dataclass(frozen=True)
class Verdict:
    """reasons: sentences, of the rules that decided. more: what would settle a hold, None = nothing, or not known."""

    outcome: Outcome
    reasons: tuple[str, ...]
    more: Needed | None = None


@dataclass(frozen=True)
class _Finding:
    """One rule's word: reject, hold or promote, and why."""

    outcome: Outcome
    reason: str


def spend(error: float, look: int) -> float:
    """Return the part of an error that the look (1, 2, ...) at a test set may spend; all looks together spend it once.

    Half of what is left each time: the first look decides most, and there is always a next one.

    >>> [spend(0.05, look) for look in (1, 2, 3)]
    [0.025, 0.0125, 0.00625]
    """
    assert look >= 1
    return error / 2.0**look


def judge(found: Comparison, false_rejects: Interval | None, rules: Rules, look: int) -> Verdict:
    """Say whether the challenger may replace the champion. Bounds in ``found`` are for ``spend(rules.error, look)``.

    false_rejects: the challenger's own, at its calibrated threshold, None where no class is good.
    """
    error = spend(rules.error, look)
    findings = [
        *_judge_recall(found, rules, error), *_judge_classes(found.classes, rules, error),
        *_judge_false_rejects(false_rejects, rules),
    ]  # fmt: skip
    if found.n_defects < rules.least_defects:
        findings.append(_Finding(Outcome.hold, f"{found.n_defects} parts with a defect test; it takes "
                                 f"{rules.least_defects} to say anything"))  # fmt: skip
    return _conclude(findings, label_more(found, rules, look))


def judge_first(recall: Bounds, n_defects: int, false_rejects: Interval | None, rules: Rules) -> Verdict:
    """Say whether a model may be champion where none is: absolute requirements only."""
    said = f"recall {recall.value:.3f}, surely at least {recall.low:.3f}"
    if recall.low >= rules.least_recall:
        first = _Finding(Outcome.promote, f"there is no champion; {said}: at least {rules.least_recall:g}")
    elif recall.high < rules.least_recall:
        first = _Finding(Outcome.reject, f"recall {recall.value:.3f}, at most {recall.high:.3f}: surely below "
                         f"{rules.least_recall:g}")  # fmt: skip
    else:
        first = _Finding(Outcome.hold, f"{said}: not surely {rules.least_recall:g}")
    findings = [first, *_judge_false_rejects(false_rejects, rules)]
    if n_defects < rules.least_defects:
        findings.append(_Finding(Outcome.hold, f"{n_defects} parts with a defect test; it takes {rules.least_defects}"))
    gap = abs(recall.value - rules.least_recall)
    spread = (recall.high - recall.low) / (2 * normal_quantile(1 - rules.error / 2))
    wanted = gap / (normal_quantile(1 - rules.error / 4) + normal_quantile(POWER))
    n = math.ceil(n_defects * (spread / wanted) ** 2) if wanted > 0 else MOST_LABELS
    n = max(n, rules.least_defects)
    more = None if n >= MOST_LABELS else Needed(max(1, n - n_defects), 0)
    return _conclude(findings, more)


def label_more(found: Comparison, rules: Rules, look: int) -> Needed | None:
    """Return how many more parts should be labelled, so that the next look decides in 80 of 100 such cases.

    As if the truth were what was seen. Towards promotion where the change is not below 0, else towards rejection. The
    side that the uncertainty comes from is asked for; both where one alone would not do. None beyond a million.
    """
    change = found.change.value
    goal = 0.0 if rules.must_gain else -rules.margin
    apart = change - goal if change >= 0 else -change
    wanted = apart / (normal_quantile(1 - spend(rules.error, look + 1)) + normal_quantile(POWER))
    of_defects, of_good, most = found.spread_found**2, found.spread_threshold**2, wanted**2
    n_defects = n_good = 0.0
    if most <= 0:
        return None
    if of_defects + of_good > most:
        if of_defects >= of_good and most > of_good:
            n_defects = found.n_defects * (of_defects / (most - of_good) - 1)
        elif of_good > of_defects and most > of_defects:
            n_good = found.n_good * (of_good / (most - of_defects) - 1)
        else:
            factor = (of_defects + of_good) / most - 1
            n_defects, n_good = found.n_defects * factor, found.n_good * factor
    n_defects = max(n_defects, rules.least_defects - found.n_defects)
    if n_defects + n_good >= MOST_LABELS or n_defects + n_good <= 0:
        return None
    return Needed(math.ceil(n_defects), math.ceil(n_good))


def _judge_recall(found: Comparison, rules: Rules, error: float) -> list[_Finding]:
    change, votes = found.change, found.votes
    said = f"recall {found.recalls[0]:.3f} to {found.recalls[1]:.3f}, {say(change)}"
    findings = []
    if change.high < 0:
        findings.append(_Finding(Outcome.reject, f"{said}: surely worse"))
    if votes.worse <= error:
        findings.append(_Finding(Outcome.reject, f"it misses {votes.broken} parts that the champion finds, finds "
                                 f"{votes.fixed} that the other misses: no chance (McNemar, p "
                                 f"{votes.worse:.2g})"))  # fmt: skip
    if findings:
        return findings
    if change.low <= -rules.margin:
        return [_Finding(Outcome.hold, f"{said}: it may be worse by more than {rules.margin:g}")]
    if change.value < 0:
        return [_Finding(Outcome.hold, f"{said}: no more than {rules.margin:g} worse, but nothing speaks for it")]
    if rules.must_gain and (change.low <= 0 or votes.better > error):
        return [_Finding(Outcome.hold, f"{said}; {votes.fixed} parts fixed, {votes.broken} broken (McNemar, p "
                         f"{votes.better:.2g}): not surely better")]  # fmt: skip
    surely = "surely better" if change.low > 0 else f"surely not worse by {rules.margin:g}"
    return [_Finding(Outcome.promote, f"{said}: {surely}; {votes.fixed} parts fixed, {votes.broken} broken")]


def _judge_classes(classes: Sequence[ClassChange], rules: Rules, error: float) -> list[_Finding]:
    findings = []
    watched = [one for one in classes if one.n >= rules.least_class]
    for one in watched:
        said = f"{one.name} ({one.n} parts): recall {say(one.change)}"
        # Bounds are for the error of one; among several one must fall further to be no chance.
        if one.votes.worse <= error / len(watched):
            findings.append(_Finding(Outcome.reject, f"{said}: surely worse, {one.votes.broken} parts broken and "
                                     f"{one.votes.fixed} fixed"))  # fmt: skip
        elif one.name in rules.critical and one.change.high < -rules.class_margin:
            findings.append(_Finding(Outcome.reject, f"{said}: critical, and surely worse by {rules.class_margin:g}"))
        elif one.name in rules.critical and one.change.low <= -rules.class_margin:
            findings.append(_Finding(Outcome.hold, f"{said}: critical, and it may be worse by more than "
                                     f"{rules.class_margin:g}"))  # fmt: skip
    counts = {one.name: one.n for one in classes}
    few = [name for name in rules.critical if counts.get(name, 0) < rules.least_class]
    findings += [
        _Finding(Outcome.hold, f"{name} is critical, and {counts.get(name, 0)} parts of it test; it takes "
                 f"{rules.least_class}") for name in few
    ]  # fmt: skip
    return findings


def _judge_false_rejects(found: Interval | None, rules: Rules) -> list[_Finding]:
    if found is None:
        return []
    said = f"false rejects {found.value:.4f} ({found.low:.4f} to {found.high:.4f}) at its threshold"
    if found.low > rules.most_false_rejects:
        return [_Finding(Outcome.reject, f"{said}: surely above the budget of {rules.most_false_rejects:g}")]
    if found.high > rules.most_false_rejects:
        return [_Finding(Outcome.hold, f"{said}: they may be above the budget of {rules.most_false_rejects:g}")]
    return [_Finding(Outcome.promote, f"{said}: within the budget of {rules.most_false_rejects:g}")]


def _conclude(findings: Sequence[_Finding], more: Needed | None) -> Verdict:
    for outcome in (Outcome.reject, Outcome.hold):
        reasons = [one.reason for one in findings if one.outcome is outcome]
        if reasons:
            return Verdict(outcome, tuple(reasons), more if outcome is Outcome.hold else None)
    return Verdict(Outcome.promote, tuple(one.reason for one in findings))


def say(change: Bounds) -> str:
    return f"{change.value:+.3f} ({change.low:+.3f} to {change.high:+.3f})"
