"""The story of `activesel gate`: the challenger against the champion on the same images, and a line in the log."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from activesel.catalog import Catalog
from activesel.errors import DataError, UsageError
from activesel.gate import Needed, Rule, Rules, Verdict, Wish, judge, judge_first, spend
from activesel.models import PREDICTIONS, Alias, Decision
from activesel.pipelines.tested import (
    Tested,
    codes_of,
    gather_tested,
    good_of,
    join_classes,
    keep_test_set,
    overlap_with,
    read_model,
    sit,
)
from activesel.rivals import Comparison, Exam, calibrate, compare, false_reject_rate, recall_alone
from activesel.seeds import derive_rng
from activesel.workspace import Workspace

RULES_VERSION = 1  # raised when the same answers would be judged otherwise
_SAME_SET = 0.5  # share of a test set seen before from which on it is the same one, looked at again


@dataclass(frozen=True)
class Gated:
    """decision: the line of the log. is_new: False where this pair was looked at before on the same data. n_stream,
    n_frozen: test images drawn at random, and others. good: the class without a defect. shares: class -> its share of
    the random ones, empty without any. more: what would settle a hold."""

    decision: Decision
    verdict: Verdict
    is_new: bool
    n_frozen: int
    n_stream: int
    good: str | None
    shares: Mapping[str, float]
    notes: tuple[str, ...]

    @property
    def more(self) -> Needed | None:
        return self.verdict.more


def run_gate(
    workspace: Workspace, challenger: str | None = None, dataset: str | None = None, *, dry_run: bool = False
) -> Gated:
    """Judge a challenger and log the verdict; the caller holds the workspace's lock.

    challenger: id or alias; None = the model named challenger, else the newest that is not champion. dataset: the
    version that tests, None = the newest. The same pair on the same images under the same rules is no new look: the
    verdict is that of the log again, and nothing is written.

    Raises:
        DataError: no model, no images to test on. UsageError: the challenger is the champion.
    """
    names = _pair(workspace, challenger)
    cards = [read_model(workspace, name) for name in names if name is not None]
    images = gather_tested(workspace, cards, dataset)
    rules = read_rules(workspace)
    basis = _basis(workspace, images, rules, [card.files.get(PREDICTIONS, "") for card in cards])
    with Catalog.open(workspace.catalog_place) as catalog:
        known = catalog.models.decisions()
    before = _find_before(known, names, images.digest, basis)
    look = before.look if before else 1 + count_looks(workspace, known, images)
    verdict, details = _judge(workspace, names, images, rules, look)
    details |= {"basis": basis, "error": spend(rules.error, look), "dataset": images.dataset}
    decision = before or Decision("gate", names[0], names[1], verdict.outcome.value, "; ".join(verdict.reasons),
                                  _now(), images.digest, look, details)  # fmt: skip
    if not dry_run:
        keep_test_set(workspace, images)
        _write(workspace, decision, is_new=before is None)
    return Gated(decision, verdict, before is None, int((images.is_test & ~images.is_stream).sum()),
                 int(images.is_stream.sum()), details["good"], _shares(images), images.notes)  # fmt: skip


def read_rules(workspace: Workspace) -> Rules:
    gate = workspace.config.gate
    critical = workspace.config.routing.critical if gate.critical is None else gate.critical
    return Rules(gate.false_rejects, gate.most_false_rejects, gate.margin, gate.class_margin, gate.error,
                 gate.must_gain, tuple(sorted(critical)), gate.least_defects, gate.least_class,
                 gate.least_recall)  # fmt: skip


def count_looks(workspace: Workspace, known: Sequence[Decision], images: Tested) -> int:
    """Return how often a gate has looked at this test set before; one that is half the same counts as the same."""
    earlier = [one.test_set for one in known if one.kind == "gate"]
    shares = {digest: overlap_with(workspace, images, digest) for digest in set(earlier)}
    return sum(shares[digest] >= _SAME_SET for digest in earlier)


def _pair(workspace: Workspace, challenger: str | None) -> tuple[str, str | None]:
    """Return the ids of challenger and champion."""
    with Catalog.open(workspace.catalog_place) as catalog:
        aliases, cards = catalog.models.aliases(), catalog.models.cards()
    champion = aliases.get(Alias.champion)
    if challenger is None:
        others = [card.model_id for card in cards if card.model_id != champion]
        challenger = others[-1] if others else None
    if challenger is None:
        raise DataError("there is no challenger", where=str(workspace.root), found=f"{len(cards)} models",
                        hint="run `activesel train`")  # fmt: skip
    model_id = read_model(workspace, challenger).model_id
    if model_id == champion:
        raise UsageError("the challenger is the champion already", where="--challenger", found=model_id)
    return model_id, champion


def _judge(
    workspace: Workspace, names: tuple[str, str | None], images: Tested, rules: Rules, look: int
) -> tuple[Verdict, dict[str, Any]]:
    cards = [read_model(workspace, name) for name in names if name is not None]
    classes, good = join_classes(cards, images), good_of(cards, images)
    code = None if good is None else classes.index(good)
    exam = Exam(classes, codes_of(images, classes), images.groups, images.is_test, code)
    if not (exam.is_test & ~exam.is_good).any():
        raise DataError("no image with a defect tests", where=f"dataset {images.dataset}",
                        hint="label some, then run `activesel dataset build`")  # fmt: skip
    scores = [exam.score(sit(workspace, card, images, classes).probs) for card in cards]
    error, n_resamples = spend(rules.error, look), workspace.config.gate.resamples
    rng = derive_rng(workspace.config.seed, "gate", *(name or "" for name in names), images.basis)
    rejects = false_reject_rate(exam, scores[0], rules.false_rejects, error=error)
    details: dict[str, Any] = {
        "good": good, "false_rejects": None if rejects is None else asdict(rejects),
        "threshold": None if good is None else calibrate(exam, scores[0], rules.false_rejects),
    }  # fmt: skip
    if len(cards) == 1:
        recall = recall_alone(exam, scores[0], rules.false_rejects, rng, error=error, n_resamples=n_resamples)
        n_defects = len(np.unique(exam.groups[exam.is_test & ~exam.is_good]))
        return judge_first(recall, n_defects, rejects, rules, look), details | {"recall": asdict(recall)}
    found = compare(exam, scores[1], scores[0], rules.false_rejects, rng, error=error, n_resamples=n_resamples)
    parts = _by_part(exam, images, scores, rules.false_rejects)
    return judge(found, rejects, rules, look), details | {"comparison": _plain(found), "parts": parts}


def _by_part(
    exam: Exam, images: Tested, scores: Sequence[npt.NDArray[np.float64]], false_rejects: float
) -> dict[str, dict[str, float]]:
    """Return the share of defects that challenger and champion find, in the frozen set and the stream apart; shown,
    not judged: both thresholds are the calibrated ones."""
    found = {}
    for name, rows in (("frozen", ~images.is_stream), ("stream", images.is_stream)):
        kept = rows & exam.is_test & ~exam.is_good
        if kept.any():
            at = [0.5 if exam.good is None else calibrate(exam, one, false_rejects) for one in scores]
            found[name] = {"defects": float(kept.sum()), "challenger": float((scores[0][kept] > at[0]).mean()),
                           "champion": float((scores[1][kept] > at[1]).mean())}  # fmt: skip
    return found


def _write(workspace: Workspace, decision: Decision, *, is_new: bool) -> None:
    with Catalog.open(workspace.catalog_place) as catalog:
        if is_new:
            catalog.models.log(decision)
        if catalog.models.aliases().get(Alias.challenger) != decision.challenger:
            catalog.models.name(Alias.challenger, decision.challenger)


def _find_before(
    known: Sequence[Decision], names: tuple[str, str | None], digest: str, basis: str
) -> Decision | None:  # fmt: skip
    for one in reversed(known):
        same = one.kind == "gate" and (one.challenger, one.champion, one.test_set) == (*names, digest)
        if same and one.details.get("basis") == basis:
            return one
    return None


def _basis(workspace: Workspace, images: Tested, rules: Rules, predictions: Sequence[str]) -> str:
    """Return 16 hex digits of all that a verdict follows from: images, what the models say of them, rules, seed."""
    follows = [
        RULES_VERSION,
        images.basis,
        list(predictions),
        asdict(rules),
        workspace.config.gate.resamples,
        workspace.config.seed,
    ]
    return hashlib.sha256(json.dumps(follows, sort_keys=True).encode()).hexdigest()[:16]


def _shares(images: Tested) -> dict[str, float]:
    drawn = [label for label, random in zip(images.labels, images.is_stream.tolist(), strict=True) if random]
    return {name: n / len(drawn) for name, n in Counter(drawn).items()}


def _plain(found: Comparison) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(found)))  # type: ignore[no-any-return]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def say_more(gated: Gated) -> str | None:
    """Return what a hold waits for, as a person would be told: every rule that holds, with what would settle it."""
    more = gated.more
    if more is None:
        return None
    told = [_say_wish(one, gated) for one in more.wishes if one.defects or one.good]
    near = [one.name or one.rule.value for one in more.wishes if not one.defects and not one.good]
    parts = []
    if told:
        parts.append(f"in the test set, {'; '.join(told)} would likely settle it")
    if near:
        parts.append(f"{' and '.join(near)}: too near to the limit for labels to tell")
    return "; ".join(parts)


def _say_wish(wish: Wish, gated: Gated) -> str:
    kind = f"of {wish.name}" if wish.rule is Rule.critical else "with a defect"
    asked = [f"{n} more parts {what}" for n, what in ((wish.defects, kind), (wish.good, "without a defect")) if n]
    good = gated.shares.get(gated.good or "", 0.0)
    share = gated.shares.get(wish.name, 0.0) if wish.rule is Rule.critical else 1.0 - good
    drawn = [n / one for n, one in ((wish.defects, share), (wish.good, good)) if n and one]
    told = " and ".join(asked) + (f" for {wish.name or wish.rule.value}" if wish.good or not wish.name else "")
    if gated.shares and len(drawn) == len(asked):
        told += f" (about {round(max(drawn))} images drawn at random)"
    return told
