"""Finished trials: read back equal, run again when anything that decides them differs, never trusted when broken."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from activesel.benchmark import kept as kept_module
from activesel.benchmark.dataset import Dataset
from activesel.benchmark.kept import KeptTrials, Trial
from activesel.benchmark.trial import Protocol
from tests.benchmark.test_curves import SHORT, dataset

TRIAL = Trial("default", 0, (6, 12), {"macro_f1": (0.1, 0.30000001192092896)}, tuple(range(12)))


def test_read_back_to_the_bit(tmp_path: Path) -> None:
    kept = KeptTrials(tmp_path, dataset(), SHORT)
    assert kept.read("default", 0) is None
    kept.write(TRIAL)
    assert kept.read("default", 0) == TRIAL
    assert kept.read("default", 1) is None
    assert kept.read("default/bandwidth=2", 0) is None


@pytest.mark.parametrize("change", ["vector", "class", "group", "protocol", "version"])
def test_what_decides_a_trial_names_it(tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = dataset()
    KeptTrials(tmp_path, data, SHORT).write(TRIAL)
    vectors, classes, groups = data.vectors.copy(), data.classes.copy(), data.groups.copy()
    vectors[5] = vectors[6] if change == "vector" else vectors[5]
    classes[5] = 1 if change == "class" else classes[5]
    groups[5] = 77 if change == "group" else groups[5]
    protocol: Protocol = replace(SHORT, head="fixed") if change == "protocol" else SHORT
    if change == "version":
        monkeypatch.setattr(kept_module, "version_of", lambda _: "activesel 99")
    changed = Dataset(vectors, classes, data.class_names, groups)
    assert KeptTrials(tmp_path, changed, protocol).read("default", 0) is None


@pytest.mark.parametrize(
    "broken",
    [
        "", "{", "[]", "null", '{"strategy": "default"}',
        json.dumps({"strategy": "badge", "seed": 0, "labels": [1], "scores": {"a": [1]}, "rows": [0]}),
        json.dumps({"strategy": "default", "seed": 0, "labels": [2], "scores": {"a": [1]}, "rows": [0]}),
        json.dumps({"strategy": "default", "seed": 0, "labels": [1], "scores": {"a": [1, 2]}, "rows": [0]}),
        json.dumps({"strategy": "default", "seed": 0, "labels": [1], "scores": {"a": [float("nan")]}, "rows": [0]}),
        json.dumps({"strategy": "default", "seed": 0, "labels": [1], "scores": {"a": [1]}, "rows": [9999]}),
    ],
)  # fmt: skip
def test_a_broken_file_is_no_trial(tmp_path: Path, broken: str) -> None:
    kept = KeptTrials(tmp_path, dataset(), SHORT)
    kept.path("default", 0).write_text(broken)
    assert kept.read("default", 0) is None
