"""Say in a sentence why an image was picked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from activesel.nearest import to_distance
from activesel.records import FloatArray, IntArray

Kind = Literal["strategy", "explore", "evaluation"]


def explain(
    kinds: Sequence[Kind],
    gain_text: str,
    *,
    probs: FloatArray | None,
    class_names: Sequence[str] | None,
    nearest_label: FloatArray | None,
    n_stands_for: IntArray,
    propensity: FloatArray,
) -> tuple[str, ...]:
    """Return one sentence per pick: what the model is torn between, what it stands for, how new it is.

    All arrays are aligned to the picks. probs: (b, c). nearest_label: (b,) largest cosine to a labelled image.
    """
    sentences = []
    for i, kind in enumerate(kinds):
        if kind == "explore":
            parts = [f"random draw against blind spots, chance 1 in {_one_in(propensity[i])}"]
        elif kind == "evaluation":
            parts = [f"random draw for evaluation, keep out of training, chance 1 in {_one_in(propensity[i])}"]
        else:
            parts = [_describe_doubt(probs[i], class_names) if probs is not None else f"picked for {gain_text}"]
        if n_stands_for[i] > 1:
            parts.append(f"stands for {n_stands_for[i] - 1} unlabelled images")
        if nearest_label is not None:
            parts.append(f"nearest label {to_distance(nearest_label[i : i + 1])[0]:.2f} away")
        sentences.append("; ".join(parts))
    return tuple(sentences)


def _describe_doubt(probs: FloatArray, class_names: Sequence[str] | None) -> str:
    """Name the two likeliest classes and their margin, or how sure the model is of the first."""
    second, first = np.argsort(probs, kind="stable")[-2:] if len(probs) > 1 else (0, 0)
    names = [class_names[c] if class_names else f"class {c}" for c in (first, second)]
    margin = float(probs[first] - probs[second])
    if margin <= 0.5 and first != second:
        return f"between {names[0]} and {names[1]}, margin {margin:.2f}"
    return f"looks like {names[0]} ({probs[first]:.0%}) in a region with few labels"


def _one_in(chance: float) -> int:
    return max(1, round(1.0 / chance)) if chance > 0 else 0
