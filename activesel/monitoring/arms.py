"""What images drawn at random say about a model that chooses its own lessons; each monitor a function."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from activesel.calibration import expected_calibration_error
from activesel.exploration import effective_size, good_turing, round_weights
from activesel.monitoring.signals import Labelled, Limits, Reading, Signals, State
from activesel.proof import Interval, wilson
from activesel.records import BoolArray, FloatArray

UNKNOWN, QUIET, ACT, ABSENT = State.unknown, State.quiet, State.act, State.absent


def watch_arms(signals: Signals, limits: Limits) -> list[Reading]:
    """Whether enough labels come from images that nothing chose: without them a blind spot stays out of sight."""
    name, seen = "labels per arm", signals.labelled
    if seen is None or not len(seen.classes):
        return [Reading(name, ABSENT, "no batch has a label yet")]
    n, explored = len(seen.classes), int(seen.explored.sum())
    total = n + signals.n_evaluation
    weights, _ = round_weights(seen.rounds, seen.explored, seen.pool_sizes)
    worth = effective_size(weights[seen.explored])
    value = (f"{explored} of {total} drawn at random (worth {worth:.0f}), {n - explored} chosen, "
             f"{signals.n_evaluation} for evaluation")  # fmt: skip
    span = wilson(explored, n, limits.confidence)
    if n < limits.least_labels:
        return [Reading(name, UNKNOWN, value, f"{n} labels of batches, {limits.least_labels} tell", span=span)]
    low = explored < limits.least_explore * n
    return [Reading(name, ACT if low else QUIET, value,
                    f"less than {limits.least_explore:.0%} of the labels are of images that nothing chose" if low else
                    "", span=span, limit=limits.least_explore,
                    command=f"activesel select --budget {limits.budget} --explore {_share(limits):g}" if low else "",
                    )]  # fmt: skip


def watch_new_types(signals: Signals, limits: Limits) -> list[Reading]:
    """Classes that no label knew when a batch met them: the model cannot have looked for them, and older labels may
    call them something else."""
    name, seen = "new types", signals.labelled
    if seen is None or not len(seen.classes):
        return [Reading(name, ABSENT, "no batch has a label yet")]
    codes = np.setdiff1d(np.unique(seen.classes), [seen.good, *seen.before]).tolist()
    found = [one for code in codes for one in _new_type(name, seen, code, limits)]
    return found or [Reading(name, QUIET, f"none in {len(seen.classes)} labels")]


def _new_type(name: str, seen: Labelled, code: int, limits: Limits) -> list[Reading]:
    own = seen.classes == code
    first = int(seen.rounds[own].min())
    met = own & (seen.rounds == first)
    if (seen.predicted[met] < 0).all():
        return []  # without a model there was nothing yet to be blind
    kind, passed = seen.names[code], seen.sure[met & (seen.predicted == seen.good)]
    passed = passed[np.isfinite(passed)]
    since = int((own & (seen.rounds > first)).sum())
    value = f"{int(met.sum())} in batch {first + 1}, {int((met & seen.explored).sum())} of them drawn at random"
    if first < int(seen.rounds.max()) - 1 or since >= limits.least_labels:
        return [Reading(name, QUIET, value, f"{since} labelled since", kind)]
    told = f"; the model was {passed.max():.0%} sure that it is {seen.names[seen.good]}" if len(passed) else ""
    return [Reading(name, ACT, value, f"no label was {kind} before, and older ones may call it otherwise{told}", kind,
                    command=_seek(kind, limits))]  # fmt: skip


def watch_unseen(signals: Signals, limits: Limits) -> list[Reading]:
    """The chance that the next random image shows a class never seen (Good-Turing)."""
    name, seen = "unseen types", signals.labelled
    if seen is None or not seen.explored.any():
        return [_without_explore(name)]
    kinds = seen.classes[seen.explored]
    mass, error = good_turing(kinds)
    span = Interval(mass, max(0.0, mass - 1.96 * error), min(1.0, mass + 1.96 * error))
    value = f"{1000 * mass:.0f} in 1,000 images ({len(np.unique(kinds))} classes in {len(kinds)})"
    if len(kinds) < limits.least_labels:
        return [Reading(name, UNKNOWN, value, f"{limits.least_labels} random images with a label tell", span=span)]
    p = _at_least(round(mass * len(kinds)), len(kinds), limits.most_unseen)
    large = mass > limits.most_unseen
    return [Reading(name, ACT if large else QUIET, value,
                    f"more than {limits.most_unseen:.0%} of the line may be of kinds nobody has labelled" if large else
                    "", p=p, span=span, limit=limits.most_unseen,
                    command=f"activesel select --budget {limits.budget} --explore 0.5" if large else "")]  # fmt: skip


def watch_starved(signals: Signals, limits: Limits) -> list[Reading]:
    """Defects that turn up less among chosen images than among random ones: the selection avoids them."""
    from scipy.stats import fisher_exact

    name, seen = "explored against selected", signals.labelled
    if seen is None or not seen.explored.any():
        return [_without_explore(name)]
    n_random, n_chosen = int(seen.explored.sum()), int((~seen.explored).sum())
    if min(n_random, n_chosen) < limits.least_labels:
        return [Reading(name, UNKNOWN, f"{n_random} random, {n_chosen} chosen",
                        f"{limits.least_labels} of each tell")]  # fmt: skip
    readings = []
    for code in np.setdiff1d(np.unique(seen.classes), [seen.good]).tolist():
        own = seen.classes == code
        a, b = int((own & seen.explored).sum()), int((own & ~seen.explored).sum())
        p = float(fisher_exact([[a, n_random - a], [b, n_chosen - b]], alternative="greater").pvalue)
        less = a / n_random > b / n_chosen
        readings.append(Reading(
            name, ACT if less else QUIET, f"{a / n_random:.1%} of random, {b / n_chosen:.1%} of chosen",
            "the selection takes fewer than chance would" if less else "", seen.names[code], p,
            _seek(seen.names[code], limits) if less else "", wilson(a, n_random, limits.confidence), b / n_chosen,
        ))  # fmt: skip
    return readings or [Reading(name, QUIET, "no defect in either")]


def watch_recall(signals: Signals, limits: Limits) -> list[Reading]:
    """Recall of each kind of defect on random images, by what the model said before it learned of them, against that
    of the other kinds there. Recall on chosen images stands beside it and judges nothing: a selection by the model's
    own word bends it either way."""
    name, seen = "recall per arm", signals.labelled
    if seen is None or not seen.explored.any():
        return [_without_explore(name)]
    defect = (seen.classes != seen.good) & (seen.predicted >= 0)
    rejected = seen.predicted != seen.good
    of_random, of_chosen = defect & seen.explored, defect & ~seen.explored
    n, m = int(of_random.sum()), int(of_chosen.sum())
    if not n:
        return [Reading(name, UNKNOWN, f"no random defect, {m} chosen", "one at least tells something")]
    a, b = int((rejected & of_random).sum()), int((rejected & of_chosen).sum())
    span = wilson(a, n, limits.confidence)
    overall = Reading(name, QUIET, f"{a} of {n} random defects, {b} of {m} chosen ones", span=span,
                      limit=b / m if m else None)  # fmt: skip
    kinds = np.unique(seen.classes[of_random]).tolist()
    return [overall, *(_recall_of(name, seen, of_random, code, limits) for code in kinds if len(kinds) > 1)]


def _recall_of(name: str, seen: Labelled, of_random: BoolArray, code: int, limits: Limits) -> Reading:
    from scipy.stats import fisher_exact

    own = of_random & (seen.classes == code)
    other, found = of_random & ~own, seen.predicted != seen.good
    (a, n), (b, m) = ((int((found & rows).sum()), int(rows.sum())) for rows in (own, other))
    p = float(fisher_exact([[a, n - a], [b, m - b]], alternative="less").pvalue)
    low, kind = b / m - a / n >= limits.recall_drop, seen.names[code]
    return Reading(name, ACT if low else QUIET, f"{a} of {n} random ones, {b} of {m} other random defects",
                   "the model misses this kind more than others" if low else "", kind, p,
                   _seek(kind, limits) if low else "", wilson(a, n, limits.confidence), b / m)  # fmt: skip


def watch_escapes(signals: Signals, limits: Limits) -> list[Reading]:
    """Defects among random images that the model called good, against how many it said itself that there would be."""
    name, seen = "escapes", signals.labelled
    if seen is None or not seen.explored.any():
        return [_without_explore(name)]
    rows = seen.explored & (seen.predicted == seen.good) & np.isfinite(seen.sure)
    if not rows.any():
        return [Reading(name, UNKNOWN, "no random image was called good", "the model's word of each is needed")]
    claimed = 1.0 - np.asarray(seen.sure[rows], np.float64)
    wrong = seen.classes[rows] != seen.good
    n, found, foreseen = len(claimed), int(wrong.sum()), float(claimed.sum())
    p = chance_of_as_many(np.minimum(1.0, claimed * limits.surprise), found)
    many = found > foreseen * limits.surprise
    worst = seen.names[int(np.bincount(seen.classes[rows][wrong]).argmax())] if found else ""
    return [Reading(name, ACT if many else QUIET, f"{found} in {n} called good, {foreseen:.1f} foreseen",
                    f"the model passes defects that it is sure are good: most of them {worst}" if many else "", p=p,
                    command=_seek(worst, limits) if many else "", span=wilson(found, n, limits.confidence),
                    limit=min(1.0, limits.surprise * foreseen / n))]  # fmt: skip


def watch_calibration(signals: Signals, limits: Limits) -> list[Reading]:
    """Whether the model is right as often as it says, on random images; the chosen ones stand beside it."""
    name, seen = "calibration per arm", signals.labelled
    if seen is None or not seen.explored.any():
        return [_without_explore(name)]
    known = (seen.predicted >= 0) & np.isfinite(seen.sure)
    right = seen.predicted == seen.classes
    n = int((known & seen.explored).sum())
    if n < limits.least_labels:
        return [Reading(name, UNKNOWN, f"{n} random images", f"{limits.least_labels} tell")]
    random, chosen = _gap(seen, known & seen.explored), _gap(seen, known & ~seen.explored)
    claimed = 1.0 - np.asarray(seen.sure[known & seen.explored], np.float64)
    wrong = int((~right[known & seen.explored]).sum())
    p = chance_of_as_many(np.minimum(1.0, claimed * limits.surprise), wrong)
    many = wrong > limits.surprise * float(claimed.sum())
    return [Reading(name, ACT if many else QUIET,
                    f"{wrong} of {n} wrong, {claimed.sum():.1f} claimed; error {random} random, {chosen} chosen",
                    "its confidence holds where it chose the images, not on the line" if many else "", p=p,
                    command=f"activesel select --budget {limits.budget} --explore 0.5" if many else "",
                    span=wilson(wrong, n, limits.confidence),
                    limit=min(1.0, limits.surprise * float(claimed.mean())))]  # fmt: skip


def chance_of_as_many(chances: FloatArray, found: int) -> float:
    """Return the chance that ``found`` or more happen of events with these chances (n,): exact, Poisson-binomial.

    >>> chance_of_as_many(np.array([0.5, 0.5]), 1)
    0.75
    """
    held: npt.NDArray[np.float64] = np.zeros(len(chances) + 1)
    held[0] = 1.0
    for chance in np.asarray(chances, np.float64):
        held[1:] = held[1:] * (1 - chance) + held[:-1] * chance
        held[0] *= 1 - chance
    return float(min(1.0, held[found:].sum()))


def _at_least(found: int, n: int, share: float) -> float:
    from scipy.stats import binom

    return float(binom.sf(found - 1, n, share))


def _gap(seen: Labelled, rows: BoolArray) -> str:
    if not rows.any():
        return "–"
    return f"{expected_calibration_error(seen.sure[rows], seen.predicted[rows] == seen.classes[rows]):.2f}"


def _without_explore(name: str) -> Reading:
    return Reading(name, ABSENT, "no random image has a label", "select with --explore")


def _seek(kind: str, limits: Limits) -> str:
    """Look again at old labels that may be of this class, and label more of the images like it."""
    import shlex

    name = shlex.quote(kind)
    select = f"activesel select --budget {limits.budget} --explore {_share(limits):g} --focus {name}"
    return f"activesel label-errors --like {name} && {select}"


def _share(limits: Limits) -> float:
    return round(2 * limits.least_explore, 4) or 0.1
