"""Plans and verdicts as JSON values: nothing is lost, and what JSON cannot hold is null."""

from __future__ import annotations

import json
from dataclasses import asdict
from types import MappingProxyType

import numpy as np
import pytest

from synth.errors import SynthError
from synth.record import plain, plan_from_json, plan_to_json, verdict_to_json, versions
from synth.records import Plan, Verdict

PLAN = Plan(7, "pit", "donor", "d" * 16, "h" * 16, (3, -4), "alpha", 1.1, 0.1 + 0.2, True, 0.9,
            {"elastic": [[0.1, -0.2], [1e-17, 3.0]], "fit": (4, 5), "branch": None})  # fmt: skip


def test_a_plan_comes_back_with_every_digit() -> None:
    written = plan_to_json(PLAN)
    assert list(written) == list(asdict(PLAN))
    back = plan_from_json(json.loads(json.dumps(written, allow_nan=False)))
    assert back.angle_rad == PLAN.angle_rad
    assert back.top_left == (3, -4)
    assert back.numbers == {**PLAN.numbers, "fit": [4, 5]}
    with pytest.raises(SynthError, match="not a plan of this version"):
        plan_from_json({**written, "colour": 1})


@pytest.mark.parametrize(("value", "expected"), [
    (float("nan"), None), (float("inf"), None), (np.float32(0.5), 0.5), (np.int64(3), 3), (np.bool_(True), True),
    (np.float64("nan"), None), (np.array([[1, 2]]), [[1, 2]]), ((1, (2.5, None)), [1, [2.5, None]]),
    (MappingProxyType({1: (True, "a")}), {"1": [True, "a"]}),
])  # fmt: skip
def test_values_that_json_does_not_know(value: object, expected: object) -> None:
    assert plain(value) == expected
    assert type(plain(value)) is type(expected)


def test_a_verdict_without_a_number_says_null() -> None:
    written = verdict_to_json(Verdict("seam", False, float("nan"), (None, 0.5), "no ring"))
    assert written == {"rule": "seam", "ok": False, "value": None, "limits": [None, 0.5], "reason": "no ring"}


def test_versions_name_the_renderer_first() -> None:
    assert next(iter(versions())) == "renderer"
