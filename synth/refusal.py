"""Whether a set as a whole is refused: by a rule on the set that judged it and found it wanting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from synth.records import Verdict


def why_refused(verdicts: Sequence[Verdict]) -> list[str]:
    """Return rule, reason, what was measured and what would do, for each rule that refuses; [] = nothing against it.

    A rule that could not judge, for want of real examples, lets the set pass.
    """
    return [f"{one.rule}: {one.reason}" for one in verdicts if not one.ok]


def refused_of(run: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the same of a finished set's run.json; of sets from before the field by their verdicts."""
    if "refused" in run:
        return tuple(map(str, run["refused"]))
    return tuple(f"{one['rule']}: {one['reason']}" for one in run.get("verdicts", ()) if not one["ok"])
