"""Logged predictions meet labels and events: what counts, what is left out, and which exit the comparison takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from activesel.abtest import Stop
from activesel.catalog import Catalog
from activesel.catalog.writing import FileStamp
from activesel.errors import DataError, InconclusiveError, RefusedError
from activesel.lots import Arm, Split
from activesel.pipelines.ab import analyse, as_document, check_ruling
from activesel.pipelines.prediction_log import predictions_folder
from activesel.records import Event, ImageRow, Label
from activesel.workspace import Workspace
from tests.serving.toys import make_workspace

NOW = "2026-01-01T00:00:00.000000+00:00"
EACH = 10  # parts of a lot; every fifth is defective


def log(workspace: Workspace, records: list[dict[str, Any]], name: str = "a", tail: str = "") -> None:
    lines = [json.dumps({"type": "prediction.made", "source": "s", "id": one["prediction_id"], "data": one})
             for one in records]  # fmt: skip
    folder = predictions_folder(workspace)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n" + tail)


def record(number: int, arm: str = "champion", lot: str | None = "L1", **more: Any) -> dict[str, Any]:
    model = {"champion": "m1", "challenger": "m2", "shadow": "m2"}[arm]
    return {"prediction_id": f"p{number}", "image_id": f"{number:032x}", "given_id": None, "model_version": model,
            "arm": arm, "lot": lot, "decision": "accept"} | more  # fmt: skip


def history(n_lots: int, recalls: dict[Arm, float], seed: int = 0) -> tuple[list[dict[str, Any]], list[Label]]:
    """Return predictions of lots in their order, and the labels of their images."""
    rng, split = np.random.default_rng(seed), Split(0.5, "m2")
    records, labels = [], []
    for number in range(n_lots * EACH):
        lot, defective = f"L{number // EACH}", number % 5 == 0
        arm = split.arm_of(lot)
        rejected = rng.random() < (recalls[arm] if defective else 0.02)
        records.append(record(number, arm.value, lot, decision="reject" if rejected else "accept"))
        labels.append(Label(f"{number:032x}", "crack" if defective else "good", "test"))
    return records, labels


def know(workspace: Workspace, labels: list[Label]) -> None:
    with Catalog.open(workspace.catalog_place) as catalog:
        rows = [(ImageRow(one.image_id, f"/x/{one.image_id}.png", 8, 8, "PNG"), FileStamp(1, 1)) for one in labels]
        catalog.add_images(rows, "x")
        catalog.add_labels(labels)


def report(workspace: Workspace, *events: tuple[str, str, str, dict[str, Any]]) -> None:
    """events: type, image, prediction, data."""
    with Catalog.open(workspace.catalog_place) as catalog:
        catalog.events.add([Event("line", str(i), kind, image, prediction, NOW, NOW, data)
                            for i, (kind, image, prediction, data) in enumerate(events)])  # fmt: skip


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path, "m1", "m2")


def test_a_challenger_that_misses_more_is_taken_back(workspace: Workspace) -> None:
    records, labels = history(200, {Arm.champion: 0.95, Arm.challenger: 0.4})
    log(workspace, records)
    know(workspace, labels)
    analysis = analyse(workspace)
    missed = analysis.compared[0]
    assert analysis.ruling.stop is Stop.harm
    assert missed.challenger.value == pytest.approx(0.6, abs=0.1)
    assert missed.champion.value == pytest.approx(0.05, abs=0.05)
    with pytest.raises(RefusedError, match="missed defects"):
        check_ruling(analysis)
    assert json.loads(json.dumps(as_document(analysis), allow_nan=False))["ruling"]["stop"] == "harm"


def test_one_that_misses_fewer_wins(workspace: Workspace) -> None:
    records, labels = history(400, {Arm.champion: 0.4, Arm.challenger: 0.95})
    log(workspace, records)
    know(workspace, labels)
    analysis = analyse(workspace)
    assert analysis.ruling.stop is Stop.gain
    check_ruling(analysis)


def test_too_few_lots_go_on(workspace: Workspace) -> None:
    records, labels = history(20, {Arm.champion: 0.8, Arm.challenger: 0.8})
    log(workspace, records)
    know(workspace, labels)
    with pytest.raises(InconclusiveError, match="not known yet"):
        check_ruling(analyse(workspace))


def test_what_does_not_count_is_said(workspace: Workspace) -> None:
    log(workspace, [
        record(1), record(2, "challenger", "L2"), record(2, "challenger", "L2"), record(3, lot=None),
        record(4, decision=None), record(5, "shadow"), record(6, lot="L3"), record(7, "challenger", "L3"),
        record(8, model_version="m0"), {"prediction_id": 9},
    ], tail='{"type": "prediction.made", "da')  # fmt: skip
    analysis = analyse(workspace, champion="m1")
    assert {name: n for name, n in analysis.left_out.items() if n} == {
        "logged twice": 1, "without a lot": 1, "without a threshold": 1, "of a shadow": 1,
        "of lots that both judged": 2, "of other models": 1, "not of activesel serve": 1,
    }  # fmt: skip
    assert (analysis.coverage["champion"].n_parts, analysis.coverage["challenger"].n_parts) == (1, 1)


def test_events_tell_the_truth_by_prediction_and_by_image(workspace: Workspace) -> None:
    log(
        workspace,
        [record(1), record(2, "challenger", "L2", decision="reject"), record(3, given_id="part 3"), record(4)],
    )
    report(workspace, ("rework.result", "", "p1", {"result": "fault_found"}),
           ("rework.result", f"{2:032x}", "", {"result": "no_fault_found"}), ("downstream.return", "part 3", "", {}),
           ("operator.override", "", "p4", {"operator_verdict": "crack"}))  # fmt: skip
    analysis = analyse(workspace)
    missed, false = analysis.compared
    assert (missed.champion.value, false.challenger.value) == (1.0, 1.0)
    champion = analysis.coverage["champion"]
    assert (champion.n_accepted, champion.n_accepted_known) == (3, 2), "an override is no truth about the model"


def test_a_label_counts_before_an_event_and_the_contradiction_is_told(workspace: Workspace) -> None:
    log(workspace, [record(1, decision="reject"), record(2, "challenger", "L2")])
    know(workspace, [Label(f"{1:032x}", "good", "test")])
    report(workspace, ("rework.result", f"{1:032x}", "", {"result": "fault_found"}))
    analysis = analyse(workspace)
    assert analysis.compared[1].champion.value == 1.0
    assert "contradict" in analysis.notes[-1]


def test_a_truth_that_only_rejected_parts_have_is_told(workspace: Workspace) -> None:
    records, labels = history(40, {Arm.champion: 0.9, Arm.challenger: 0.9})
    log(workspace, records)
    rejected = {one["image_id"] for one in records if one["decision"] == "reject"}
    know(workspace, [label for label in labels if label.image_id in rejected])
    assert sum("recall is overstated" in note for note in analyse(workspace).notes) == 2


def test_without_a_challenger_there_is_nothing_to_compare(workspace: Workspace) -> None:
    log(workspace, [record(1)])
    with pytest.raises(DataError, match="challenger"):
        analyse(workspace)
