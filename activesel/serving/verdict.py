"""From probabilities to what is done with a part."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from activesel.serving.batching import Row
from activesel.serving.lineup import Opened

_MOST_TEXT = 2000  # characters of a text in an event (activesel.events.schemas)
_MOST_CLASSES = 24  # whose probabilities are logged where all of them would be too long


@dataclass(frozen=True)
class Verdict:
    """label: the likeliest class. score: the probability of any defect, 0..1, where there is a good class, else the
    label's. decision: "reject" above the threshold, else "accept"; None where the model was given none."""

    label: str
    probs: Mapping[str, float]
    score: float
    threshold: float | None
    decision: str | None

    def probs_as_text(self) -> str:
        """Return the probabilities as JSON, of many classes those of the likeliest, so that a log's line stays one."""
        text = json.dumps(self.probs, ensure_ascii=False)
        if len(text) <= _MOST_TEXT:
            return text
        likeliest = sorted(self.probs, key=lambda name: -self.probs[name])[:_MOST_CLASSES]
        text = json.dumps({name[:40]: self.probs[name] for name in likeliest}, ensure_ascii=False)
        return text if len(text) <= _MOST_TEXT else "{}"


def judge(opened: Opened, row: Row) -> Verdict:
    """Return the verdict on one image's probabilities (c,)."""
    card = opened.card
    shares = row.clip(0, 1).astype(float).round(6).tolist()
    probs = dict(zip(card.classes, shares, strict=True))
    label = card.classes[int(row.argmax())]
    score = 1 - float(row[card.classes.index(card.good)]) if card.good in probs else probs[label]
    decision = None if opened.threshold is None else "reject" if score > opened.threshold else "accept"
    return Verdict(label, probs, round(min(max(score, 0.0), 1.0), 6), opened.threshold, decision)
