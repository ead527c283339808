"""May the challenger become the champion? Promote, hold or reject, with reasons; findings in, a verdict out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from activesel.power import Spread, labels_for_change, normal_quantile, parts_for_gain, parts_for_share
from activesel.rivals import Bounds, ClassChange, Comparison, Rejects


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


class Rule(StrEnum):
    recall = "recall"
    critical = "critical class"
    false_rejects = "false rejects"


@dataclass(frozen=True)
class Wish:
    """Further labels after which one rule that holds decides in 80 of 100 such cases. defects, good: groups (parts) of
    either; name: of the critical class that the rule is about and the defects are of. Both 0: no number would do."""

    rule: Rule
    defects: int = 0
    good: int = 0
    name: str = ""


@dataclass(frozen=True)
class Needed:
    """What every rule that holds waits for, one wish each."""

    wishes: tuple[Wish, ...]

    @property
    def defects(self) -> int:
        """Parts with a defect that serve all rules: those of a critical class are defects, too."""
        of_classes = sum(self.classes.values())
        return max([of_classes, *(one.defects for one in self.wishes if one.rule is Rule.recall)])

    @property
    def good(self) -> int:
        return max((one.good for one in self.wishes), default=0)

    @property
    def classes(self) -> dict[str, int]:
        return {one.name: one.defects for one in self.wishes if one.rule is Rule.critical}


@dataclass(frozen=True)
class Verdict:
    """reasons: sentences, of the rules that decided. more: what would settle a hold."""

    outcome: Outcome
    reasons: tuple[str, ...]
    more: Needed | None = None


@dataclass(frozen=True)
class _Finding:
    """One rule's word: reject, hold or promote, and why; what a hold waits for."""

    outcome: Outcome
    reason: str
    wish: Wish | None = None


def spend(error: float, look: int) -> float:
    """Return the part of an error that the look (1, 2, ...) at a test set may spend; all looks together spend it once.

    Half of what is left each time: the first look decides most, and there is always a next one.

    >>> [spend(0.05, look) for look in (1, 2, 3)]
    [0.025, 0.0125, 0.00625]
    """
    assert look >= 1
    return error / 2.0**look


def judge(found: Comparison, false_rejects: Rejects | None, rules: Rules, look: int) -> Verdict:
    """Say whether the challenger may replace the champion. Bounds in ``found`` are for ``spend(rules.error, look)``.

    false_rejects: the challenger's own, at its calibrated threshold, None where no class is good.
    """
    findings = [
        *_judge_recall(found, rules, look), *_judge_classes(found, rules, look),
        *_judge_false_rejects(false_rejects, rules, look), *_judge_number(found.n_defects, rules),
    ]  # fmt: skip
    return _conclude(findings)


def judge_first(
    recall: Bounds, n_defects: int, false_rejects: Rejects | None, rules: Rules, look: int = 1
) -> Verdict:  # fmt: skip
    """Say whether a model may be champion where none is: absolute requirements only."""
    said = f"recall {recall.value:.3f}, surely at least {recall.low:.3f}"
    if recall.low >= rules.least_recall:
        first = _Finding(Outcome.promote, f"there is no champion; {said}: at least {rules.least_recall:g}")
    elif recall.high < rules.least_recall:
        first = _Finding(Outcome.reject, f"recall {recall.value:.3f}, at most {recall.high:.3f}: surely below "
                         f"{rules.least_recall:g}")  # fmt: skip
    else:
        spread = (recall.high - recall.low) / (2 * normal_quantile(1 - spend(rules.error, look)))
        wish = _wish(Rule.recall, labels_for_change(abs(recall.value - rules.least_recall), Spread(spread, n_defects),
                                                    Spread(0.0, 0), spend(rules.error, look + 1)))  # fmt: skip
        first = _Finding(Outcome.hold, f"{said}: not surely {rules.least_recall:g}", wish)
    findings = [first, *_judge_false_rejects(false_rejects, rules, look), *_judge_number(n_defects, rules)]
    return _conclude(findings)


def _wish_for_recall(found: Comparison, rules: Rules, look: int) -> Wish:
    """Towards promotion where the change is not below 0, else towards rejection."""
    change, error = found.change.value, spend(rules.error, look + 1)
    goal = 0.0 if rules.must_gain else -rules.margin
    more = labels_for_change(change - goal if change >= 0 else -change, Spread(found.spread_found, found.n_defects),
                             Spread(found.spread_threshold, found.n_good), error)  # fmt: skip
    if not rules.must_gain or change < 0 or more is None:
        return _wish(Rule.recall, more)
    pairs = parts_for_gain(found.votes.fixed, found.votes.broken, found.votes.n, error)
    return _wish(Rule.recall, None if pairs is None else (max(more[0], pairs - found.votes.n), more[1]))


def _wish_for_class(one: ClassChange, found: Comparison, rules: Rules, look: int) -> Wish:
    """Towards no more than the margin lost where that was seen, else towards more."""
    more = labels_for_change(abs(one.change.value + rules.class_margin), Spread(one.spread_found, one.n),
                             Spread(one.spread_threshold, found.n_good), spend(rules.error, look + 1))  # fmt: skip
    return _wish(Rule.critical, more, one.name)


def _wish(rule: Rule, more: tuple[int, int] | None, name: str = "") -> Wish:
    return Wish(rule, *(more or (0, 0)), name)


def _judge_recall(found: Comparison, rules: Rules, look: int) -> list[_Finding]:
    change, votes, error = found.change, found.votes, spend(rules.error, look)
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
    held = ""
    if change.low <= -rules.margin:
        held = f": it may be worse by more than {rules.margin:g}"
    elif change.value < 0:
        held = f": no more than {rules.margin:g} worse, but nothing speaks for it"
    elif rules.must_gain and (change.low <= 0 or votes.better > error):
        held = (f"; {votes.fixed} parts fixed, {votes.broken} broken (McNemar, p {votes.better:.2g}): not surely "
                "better")  # fmt: skip
    if held:
        return [_Finding(Outcome.hold, said + held, _wish_for_recall(found, rules, look))]
    surely = "surely better" if change.low > 0 else f"surely not worse by {rules.margin:g}"
    return [_Finding(Outcome.promote, f"{said}: {surely}; {votes.fixed} parts fixed, {votes.broken} broken")]


def _judge_classes(found: Comparison, rules: Rules, look: int) -> list[_Finding]:
    findings, error = [], spend(rules.error, look)
    watched = [one for one in found.classes if one.n >= rules.least_class]
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
                                     f"{rules.class_margin:g}", _wish_for_class(one, found, rules, look)))  # fmt: skip
    counts = {one.name: one.n for one in found.classes}
    few = [name for name in rules.critical if counts.get(name, 0) < rules.least_class]
    findings += [
        _Finding(Outcome.hold, f"{name} is critical, and {counts.get(name, 0)} parts of it test; it takes "
                 f"{rules.least_class}", Wish(Rule.critical, rules.least_class - counts.get(name, 0), name=name))
        for name in few
    ]  # fmt: skip
    return findings


def _judge_false_rejects(found: Rejects | None, rules: Rules, look: int) -> list[_Finding]:
    if found is None:
        return []
    said = f"false rejects {found.value:.4f} ({found.low:.4f} to {found.high:.4f}) at its threshold"
    if found.low > rules.most_false_rejects:
        return [_Finding(Outcome.reject, f"{said}: surely above the budget of {rules.most_false_rejects:g}")]
    if found.high > rules.most_false_rejects:
        wanted = parts_for_share(found.value, rules.most_false_rejects, spend(rules.error, look + 1))
        wish = Wish(Rule.false_rejects, good=0 if wanted is None else max(1, wanted - found.n))
        return [_Finding(Outcome.hold, f"{said}: they may be above the budget of {rules.most_false_rejects:g}", wish)]
    return [_Finding(Outcome.promote, f"{said}: within the budget of {rules.most_false_rejects:g}")]


def _judge_number(n_defects: int, rules: Rules) -> list[_Finding]:
    if n_defects >= rules.least_defects:
        return []
    return [_Finding(Outcome.hold, f"{n_defects} parts with a defect test; it takes {rules.least_defects} to say "
                     "anything", Wish(Rule.recall, rules.least_defects - n_defects))]  # fmt: skip


def _conclude(findings: Sequence[_Finding]) -> Verdict:
    for outcome in (Outcome.reject, Outcome.hold):
        reasons = [one.reason for one in findings if one.outcome is outcome]
        if reasons:
            return Verdict(outcome, tuple(reasons), _join(findings) if outcome is Outcome.hold else None)
    return Verdict(Outcome.promote, tuple(one.reason for one in findings))


def _join(findings: Sequence[_Finding]) -> Needed:
    """Return one wish for each rule and class, the larger where two findings are of one rule."""
    joined: dict[tuple[Rule, str], Wish] = {}
    for one in (found.wish for found in findings if found.wish is not None):
        before = joined.setdefault((one.rule, one.name), one)
        joined[one.rule, one.name] = Wish(one.rule, max(before.defects, one.defects), max(before.good, one.good),
                                          one.name)  # fmt: skip
    return Needed(tuple(joined.values()))


def say(change: Bounds) -> str:
    return f"{change.value:+.3f} ({change.low:+.3f} to {change.high:+.3f})"
