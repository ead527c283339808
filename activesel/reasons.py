"""Say in a sentence why an image was picked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from activesel.records import FloatArray, IntArray

Kind = Literal["strategy", "explore", "evaluation"]


@dataclass(frozen=True)
class Evidence:
    """What is known about each pick, aligned to the picks.

    probs: (b, c) or None. class_names: c names or None. n_stands_for: (b,) pool images nearest to this pick, itself
    included. propensity: (b,) chance of a random draw. label_distance: (b,) to the nearest labelled image, 0..2, or
    None at a cold start. pick_distance: (b,) to the nearest pick before it, inf for the first.
    """

    kinds: Sequence[Kind]
    probs: FloatArray | None
    class_names: Sequence[str] | None
    n_stands_for: IntArray
    propensity: FloatArray
    label_distance: FloatArray | None
    pick_distance: FloatArray


def explain(lead: str, evidence: Evidence) -> tuple[str, ...]:
    """Return one sentence per pick; ``lead`` is what the strategy looks for.

    For example "covers a thinly known region; between crack and fray, margin 0.03; stands for 12 unlabelled images;
    nearest label 0.61 away".
    """
    return tuple("; ".join(_parts(lead, evidence, i)) for i in range(len(evidence.kinds)))


def _parts(lead: str, evidence: Evidence, i: int) -> list[str]:
    kind = evidence.kinds[i]
    if kind != "strategy":
        purpose = (
            "random draw against blind spots" if kind == "explore" else "random draw for evaluation, never train on it"
        )
        return [f"{purpose}, chance 1 in {max(1, round(1.0 / evidence.propensity[i]))}"]
    parts = [lead]
    if evidence.probs is not None:
        parts.append(_describe_doubt(evidence.probs[i], evidence.class_names))
    others = int(evidence.n_stands_for[i]) - 1
    if others > 0:
        parts.append(f"stands for {others} unlabelled image{'s' if others > 1 else ''}")
    if evidence.label_distance is not None:
        parts.append(f"nearest label {evidence.label_distance[i]:.2f} away")
    elif np.isfinite(evidence.pick_distance[i]):
        parts.append(f"{evidence.pick_distance[i]:.2f} from the nearest pick before it")
    return parts


def _describe_doubt(probs: FloatArray, class_names: Sequence[str] | None) -> str:
    """Name the two likeliest classes and their margin, or how sure the model is of the first."""
    order = np.argsort(-probs, kind="stable")
    name = [class_names[c] if class_names else f"class {c}" for c in order[:2]]
    margin = float(probs[order[0]] - probs[order[1]]) if len(order) > 1 else 1.0
    if margin <= 0.5:
        return f"between {name[0]} and {name[1]}, margin {margin:.2f}"
    return f"looks like {name[0]} ({probs[order[0]]:.0%})"
