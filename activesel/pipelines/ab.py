"""The story of `activesel ab`: logged predictions meet the truth that came later, lot by lot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from activesel.abtest import Compared, Outcomes, Rules, Ruling, Stop, decide
from activesel.catalog import Catalog
from activesel.errors import DataError, InconclusiveError, RefusedError
from activesel.lots import Arm
from activesel.pipelines.ab_truth import Truth, read_truth
from activesel.pipelines.prediction_log import predictions_folder, read_predictions_made
from activesel.seeds import derive_rng
from activesel.workspace import Workspace

_ARMS = (Arm.champion, Arm.challenger)


@dataclass(frozen=True)
class Part:
    """One logged prediction of a lot. rejected: what the model decided."""

    prediction_id: str
    image_id: str
    given_id: str
    arm: Arm
    model_id: str
    lot: str
    rejected: bool


@dataclass(frozen=True)
class Coverage:
    """Of one arm: parts and lots, and of how many rejected and accepted parts the truth is known."""

    n_lots: int
    n_parts: int
    n_rejected: int
    n_rejected_known: int
    n_accepted: int
    n_accepted_known: int


@dataclass(frozen=True)
class Analysis:
    """champion, challenger: ids. left_out: reason -> predictions. notes: what to be careful about."""

    champion: str
    challenger: str
    ruling: Ruling
    compared: tuple[Compared, ...]
    coverage: Mapping[str, Coverage]
    left_out: Mapping[str, int]
    notes: tuple[str, ...]


def analyse(workspace: Workspace, *, challenger: str | None = None, champion: str | None = None) -> Analysis:
    """Compare two models on the lots of each. challenger, champion: ids; None = of the newest prediction of that arm.

    Raises:
        DataError: no prediction of a challenger is logged, or no label names the class without a defect.
    """
    left_out: Counter[str] = Counter()
    parts = list(_read_parts(workspace, left_out))
    theirs, ours = challenger or _newest(parts, Arm.challenger), champion or _newest(parts, Arm.champion)
    wanted = {Arm.challenger: theirs, Arm.champion: ours}
    kept = [part for part in parts if wanted[part.arm] == part.model_id]
    left_out["of other models"] += len(parts) - len(kept)
    kept = _of_one_arm(kept, left_out)
    with Catalog.open(workspace.catalog_place) as catalog:
        truth = read_truth(catalog, theirs, {part.image_id for part in kept})
    known = [(part, defective) for part in kept if (defective := _look_up(truth, part)) is not None]
    settings = workspace.config.serving
    rules = Rules(settings.ab_error, settings.ab_margin, settings.ab_most_lots)
    ruling, compared = decide(_to_outcomes(known), rules, derive_rng(workspace.config.seed, "ab"))
    coverage = {arm.value: _cover(arm, kept, known) for arm in _ARMS}
    return Analysis(ours, theirs, ruling, compared, coverage, dict(left_out), tuple(_notes(coverage, truth)))


def check_ruling(analysis: Analysis) -> None:
    """Raises:
    RefusedError: the comparison should end without the challenger. InconclusiveError: it should go on.
    """
    stop, reason = analysis.ruling.stop, analysis.ruling.reason
    if stop in (Stop.harm, Stop.limit):
        raise RefusedError("the comparison should end without the challenger", where=analysis.challenger, found=reason,
                           hint="serve without --ab")  # fmt: skip
    if stop is Stop.go_on:
        raise InconclusiveError("which of the two is better is not known yet", where=analysis.challenger, found=reason)


def _read_parts(workspace: Workspace, left_out: Counter[str]) -> Iterator[Part]:
    """Yield every prediction that may count, each once, in the order of the log."""
    seen: set[str] = set()
    for event in read_predictions_made(predictions_folder(workspace)):
        data = event["data"]
        reason = _why_not(data, seen)
        if reason is not None:
            left_out[reason] += 1
            continue
        seen.add(data["prediction_id"])
        yield Part(data["prediction_id"], str(data.get("image_id", "")), str(data.get("given_id") or ""),
                   Arm(data["arm"]), str(data.get("model_version", "")), str(data["lot"]),
                   data["decision"] == "reject")  # fmt: skip


def _why_not(data: Mapping[str, Any], seen: set[str]) -> str | None:
    if not isinstance(data.get("prediction_id"), str) or data.get("arm") not in tuple(Arm):
        return "not of activesel serve"
    if data["arm"] == Arm.shadow:
        return "of a shadow"
    if data["prediction_id"] in seen:
        return "logged twice"
    if data.get("lot") is None:
        return "without a lot"
    return "without a threshold" if data.get("decision") not in ("reject", "accept") else None


def _newest(parts: Sequence[Part], arm: Arm) -> str:
    found = next((part.model_id for part in reversed(parts) if part.arm is arm), None)
    if found is None:
        raise DataError(f"no prediction of a {arm.value} with a lot and a verdict is logged",
                        hint="run `activesel serve --ab challenger`")  # fmt: skip
    return found


def _of_one_arm(parts: Sequence[Part], left_out: Counter[str]) -> list[Part]:
    """Leave out lots that both models judged: a salt or a share was changed meanwhile."""
    arms: dict[str, set[Arm]] = {}
    for part in parts:
        arms.setdefault(part.lot, set()).add(part.arm)
    kept = [part for part in parts if len(arms[part.lot]) == 1]
    left_out["of lots that both judged"] += len(parts) - len(kept)
    return kept


def _look_up(truth: Truth, part: Part) -> bool | None:
    for known, key in ((truth.by_prediction, part.prediction_id), (truth.by_image, part.image_id),
                       (truth.by_image, part.given_id)):  # fmt: skip
        if key in known:
            return known[key]
    return None


def _to_outcomes(known: Sequence[tuple[Part, bool]]) -> Outcomes:
    lots = {lot: code for code, lot in enumerate(dict.fromkeys(part.lot for part, _ in known))}
    challenger = np.zeros(len(lots), bool)
    for part, _ in known:
        challenger[lots[part.lot]] = part.arm is Arm.challenger
    return Outcomes(
        np.array([lots[part.lot] for part, _ in known], np.int64), challenger,
        np.array([defective for _, defective in known], bool), np.array([part.rejected for part, _ in known], bool),
    )  # fmt: skip


def _cover(arm: Arm, kept: Sequence[Part], known: Sequence[tuple[Part, bool]]) -> Coverage:
    mine, told = [part for part in kept if part.arm is arm], [part for part, _ in known if part.arm is arm]
    rejected, rejected_known = sum(part.rejected for part in mine), sum(part.rejected for part in told)
    return Coverage(len({part.lot for part in mine}), len(mine), rejected, rejected_known, len(mine) - rejected,
                    len(told) - rejected_known)  # fmt: skip


def _notes(coverage: Mapping[str, Coverage], truth: Truth) -> Iterator[str]:
    for arm, one in coverage.items():
        shares = [known / n if n else 0.0 for known, n in ((one.n_rejected_known, one.n_rejected),
                                                           (one.n_accepted_known, one.n_accepted))]  # fmt: skip
        if one.n_accepted and shares[0] > 2 * shares[1]:
            yield (f"{arm}: the truth is known of {shares[0]:.0%} of the rejected parts and of {shares[1]:.0%} of the "
                   "accepted ones: recall is overstated; have accepted parts drawn at random looked at")  # fmt: skip
    if truth.n_contradicting:
        yield f"{truth.n_contradicting} images have events that contradict each other or their label; the label counts"


def as_document(analysis: Analysis) -> dict[str, Any]:
    """Return the analysis as plain values; what is not known is null."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(key): plain(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [plain(inner) for inner in value]
        return None if isinstance(value, float) and not np.isfinite(value) else value

    document: dict[str, Any] = plain(asdict(analysis))
    return document
