"""What the line, its people and the pool show; each monitor a function."""

from __future__ import annotations

import numpy as np

from activesel.drift import Drift
from activesel.monitoring.signals import Limits, Overrides, Reading, Regions, Signals, State
from activesel.proof import wilson

UNKNOWN, QUIET, ACT, ABSENT = State.unknown, State.quiet, State.act, State.absent
LEAST_REGION = 10  # images of a region worth a look


def watch_only_model(signals: Signals, limits: Limits) -> list[Reading]:
    """How many labels nobody but a model or rule gave: it learns from itself."""
    name = "labels by the model alone"
    if signals.by_model is None or not signals.by_model[1]:
        return [Reading(name, ABSENT, "no label counts yet")]
    own, n = signals.by_model
    many = own > limits.most_by_model * n
    return [Reading(name, ACT if many else QUIET, f"{own} of {n}", f"more than {limits.most_by_model:.0%}: the model "
                    "learns what it believes already" if many else "", span=wilson(own, n, limits.confidence),
                    limit=limits.most_by_model,
                    command=f"activesel select --budget {limits.budget} --explore 0.5" if many else "")]  # fmt: skip


def watch_anchoring(signals: Signals, limits: Limits) -> list[Reading]:
    """Whether people follow a pre-label because they see it; the arm from whom it was hidden tells."""
    name, found = "anchoring", signals.anchoring
    if found is None or not found.shown.n + found.hidden.n:
        return [Reading(name, ABSENT, "nobody had a pre-label")]
    value = f"{found.shown.n} saw it, {found.hidden.n} did not"
    if found.difference is None or found.p is None or min(found.shown.n, found.hidden.n) < limits.least_labels:
        return [Reading(name, UNKNOWN, value, f"{limits.least_labels} of each tell: raise quality.blind_arm")]
    value = f"{found.shown.acceptance:.0%} keep what they see, {found.hidden.acceptance:.0%} agree without"
    follow = found.difference.value >= limits.anchoring
    p = found.p / 2 if found.difference.value > 0 else 1.0
    return [Reading(name, ACT if follow else QUIET, value, "people agree with the model because they see its answer" if
                    follow else "", p=p, span=found.difference, limit=limits.anchoring,
                    command="activesel assign --set quality.blind_arm=0.5" if follow else "")]  # fmt: skip


def watch_regions(signals: Signals, limits: Limits) -> list[Reading]:
    """Regions of look-alikes that no pick ever came from, and that no label is near."""
    name, regions = "never-eligible regions", signals.regions
    if regions is None or not len(regions.images):
        return [Reading(name, ABSENT, "there are no vectors yet")]
    picked, n = int(regions.picked.sum()), int(regions.images.sum())
    if picked < limits.least_labels:
        return [Reading(name, UNKNOWN, f"{picked} picked of {n}", f"{limits.least_labels} picks tell")]
    found = [
        _region(name, regions, number, limits) for number in np.flatnonzero(regions.images >= LEAST_REGION).tolist()
    ]
    bare = [one for one in found if one.state is ACT]
    return bare or [Reading(name, QUIET, f"{int((regions.picked > 0).sum())} of {len(regions.images)} regions picked "
                            f"from, {float(regions.covered @ regions.images) / n:.0%} near a label")]  # fmt: skip


def _region(name: str, regions: Regions, number: int, limits: Limits) -> Reading:
    images, picked, n = int(regions.images[number]), int(regions.picked[number]), int(regions.images.sum())
    p = float((1 - images / n) ** int(regions.picked.sum()))  # none of so many random picks would have been here
    bare = picked == 0 and regions.covered[number] < 0.5
    file = regions.files[number] if number < len(regions.files) else ""
    command = f"activesel select --budget {min(limits.budget, images)} --strategy exemplars --exemplars {file}"
    return Reading(
        name, ACT if bare else QUIET, f"{images} images, {picked} picked, {regions.covered[number]:.0%} near a label",
        "nothing was ever picked here, and random picks would have been" if bare else "", f"region {number + 1}", p,
        command if bare and file else f"activesel select --budget {limits.budget} --explore 0.5" if bare else "",
    )  # fmt: skip


def watch_overrides(signals: Signals, limits: Limits) -> list[Reading]:
    """Where people at the line overrule the model more than elsewhere."""
    name = "overrides"
    found = [one for column in signals.overrides for one in _of_column(name, column, limits)]
    return found or [Reading(name, ABSENT, "no operator has answered a prediction")]


def _of_column(name: str, column: Overrides, limits: Limits) -> list[Reading]:
    from scipy.stats import fisher_exact

    total, n_all = (sum(one[i] for one in column.counts.values()) for i in (0, 1))
    readings = []
    for value, (own, n) in sorted(column.counts.items()):
        if not n:
            continue
        rest, n_rest = total - own, n_all - n
        span, subject = wilson(own, n, limits.confidence), f"{column.column} {value}" if value else column.column
        text = f"{own} of {n} ({own / n:.1%}), elsewhere {rest / n_rest:.1%}" if n_rest else f"{own} of {n}"
        if n < limits.least_labels:
            readings.append(Reading(name, UNKNOWN, text, f"{limits.least_labels} predictions tell", subject, span=span))
            continue
        p = float(fisher_exact([[own, n - own], [rest, n_rest - rest]], alternative="greater").pvalue)
        more = n_rest > 0 and own / n > limits.override_ratio * rest / n_rest
        readings.append(Reading(
            name, ACT if more else QUIET, text, "people overrule the model here more than elsewhere" if more else "",
            subject, p if n_rest else None, _at_place(column.column, value, limits) if more else "", span,
            rest / n_rest if n_rest else None,
        ))  # fmt: skip
    return readings


def _at_place(column: str, value: str, limits: Limits) -> str:
    import shlex

    return f"activesel select --budget {limits.budget} --where {shlex.quote(f'{column}={value}')}"


def watch_drift(signals: Signals, limits: Limits) -> list[Reading]:
    """Whether recent images, scores and classes are as those before."""
    found = [_drift(one, signals.window, limits) for one in signals.drifts]
    return found or [Reading("drift", ABSENT, "nothing to compare")]


def _drift(one: Drift, window: str, limits: Limits) -> Reading:
    limit = limits.domain_auc if one.kind == "vectors" else limits.drift
    value = f"{one.statistic} {one.effect:.2f} ({one.n_recent} against {one.n_reference})"
    if min(one.n_recent, one.n_reference) < limits.least_labels:
        return Reading("drift", UNKNOWN, value, f"{limits.least_labels} of each tell", f"{one.kind}: {one.name}")
    far = one.effect >= limit
    where = f"--where {window}" if "=" in window and ">" not in window else "--explore 0.5"
    return Reading("drift", ACT if far else QUIET, value, "recent images are unlike those before" if far else "",
                   f"{one.kind}: {one.name}", one.p, f"activesel select --budget {limits.budget} {where}" if far else
                   "")  # fmt: skip


def watch_freshness(signals: Signals, limits: Limits) -> list[Reading]:
    """Whether images, labels and the model are of these days."""
    commands = {"labels": "activesel select", "images": "activesel ingest", "champion": "activesel train"}
    found = []
    for what, days in signals.ages.items():
        if days is None:
            continue
        old = days > limits.stale_days
        found.append(Reading("freshness", ACT if old else QUIET, f"{days:.1f} days", f"older than "
                             f"{limits.stale_days:g} days" if old else "", what,
                             command=commands.get(what, "") if old else ""))  # fmt: skip
    return found or [Reading("freshness", ABSENT, "no time is known")]
