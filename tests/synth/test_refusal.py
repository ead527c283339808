"""A set that a rule on the whole refuses says so wherever somebody may look; one that no rule can judge does not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from synth.gates import Batch
from synth.generate import generate
from synth.records import Verdict
from synth.refusal import refused_of, why_refused
from synth.stocking import GenerateRequest
from tests.synth.sets import write_set

BAD = Verdict("two-sample", False, 0.95, (None, 0.75), "a classifier tells <them>: 0.95; 0.75 or less is wanted")


def request(labels: Path, out: Path) -> GenerateRequest:
    return GenerateRequest(labels, "scratch", out, count=3, seed=7, most_proposals=64)


def test_a_refused_set_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = write_set(tmp_path / "data")
    monkeypatch.setattr(Batch, "judge_set", lambda *_: [BAD])
    summary = generate(request(labels, tmp_path / "set"))
    said = ("two-sample: a classifier tells <them>: 0.95; 0.75 or less is wanted",)
    assert summary.refused == said
    assert json.loads((tmp_path / "set" / ".synth" / "run.json").read_text())["refused"] == list(said)
    sheet = (tmp_path / "set" / "sheet.html").read_text()
    assert "<b>refused</b>" in sheet
    assert "a classifier tells &lt;them&gt;: 0.95; 0.75 or less is wanted" in sheet
    assert generate(request(labels, tmp_path / "set")).refused == said


def test_three_real_defects_are_too_few_to_refuse_by(tmp_path: Path) -> None:
    """Three donors: the two-sample rule cannot judge; whatever it cannot judge is not held against the set."""
    summary = generate(request(write_set(tmp_path / "data"), tmp_path / "set"))
    by_rule = {one["rule"]: one for one in summary.verdicts}
    assert by_rule["two-sample"]["value"] is None
    assert by_rule["two-sample"]["ok"] is True
    assert not [one for one in summary.refused if one.startswith("two-sample")]


def test_sets_from_before_the_field_are_judged_by_their_verdicts() -> None:
    old = {"verdicts": [{"rule": "diversity", "ok": False, "reason": "too few"}, {"rule": "x", "ok": True}]}
    assert refused_of(old) == ("diversity: too few",)
    assert refused_of({**old, "refused": []}) == ()
    assert why_refused([BAD, Verdict("x", True, float(np.nan), (None, None), "not judged")]) == [
        "two-sample: a classifier tells <them>: 0.95; 0.75 or less is wanted"
    ]
