"""The log: whole lines, files of a size, nothing of an older file touched, a full disk survived, the schema kept."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from activesel.models import ModelCard
from activesel.pipelines.prediction_log import read_predictions_made
from activesel.serving.lineup import Opened
from activesel.serving.log import PredictionLog, prediction_event
from activesel.serving.verdict import judge
from tests.serving.toys import CREATED, Toy


def event(number: int) -> dict[str, Any]:
    return prediction_event("test", {"prediction_id": f"p{number}", "image_id": "i", "text": "ü\n"})


def test_lines_come_back_in_their_order_over_several_files(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, max_bytes=500, sync_s=0.01)
    assert all(log.write(event(i)) for i in range(10))
    log.close()
    assert len(list(tmp_path.glob("*.jsonl"))) > 2
    found = list(read_predictions_made(tmp_path))
    assert [one["id"] for one in found] == [f"p{i}" for i in range(10)]
    assert found[0] == {**event(0), "time": found[0]["time"]}
    assert (found[0]["specversion"], found[0]["type"], found[0]["subject"]) == ("1.0", "prediction.made", "i")


def test_a_line_cut_short_is_left_out_and_nothing_is_written_behind_it(tmp_path: Path) -> None:
    first = PredictionLog(tmp_path, max_bytes=10_000, sync_s=10)
    first.write(event(0))
    first.close()
    (path,) = tmp_path.glob("*.jsonl")
    path.write_bytes(path.read_bytes() + b'{"type": "predi')
    second = PredictionLog(tmp_path, max_bytes=10_000, sync_s=10)
    second.write(event(1))
    second.close()
    assert [one["id"] for one in read_predictions_made(tmp_path)] == ["p0", "p1"]


def test_a_disk_that_is_full_costs_lines_and_no_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = PredictionLog(tmp_path, max_bytes=10_000, sync_s=10)
    log.write(event(0))
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda handle, line: write(handle, line[:10]))  # the disk takes a part
        assert log.write(event(1)) is False
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", _full)
        assert log.write(event(2)) is False
    assert log.write(event(3))
    log.close()
    assert log.n_lost == 2
    assert [one["id"] for one in read_predictions_made(tmp_path)] == ["p0", "p3"]


def _full(_handle: int, _line: bytes) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_many_classes_stay_within_a_text_of_an_event() -> None:
    classes = tuple(f"class {i} with a rather long name" for i in range(300))
    card = ModelCard("m", "toy", "d", classes, None, 0, CREATED)
    row = np.full(300, 1 / 300, np.float32)
    row[7] = 0.5
    verdict = judge(Opened(card, Toy(), threshold=0.4), row)
    assert (verdict.label, verdict.score, verdict.decision) == (classes[7], 0.5, "reject")
    assert len(verdict.probs_as_text()) <= 2000
    assert classes[7] in verdict.probs_as_text()
