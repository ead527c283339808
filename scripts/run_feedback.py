"""A line that is simulated tells what its operators, its rework and its customers say; `activesel feedback` makes of it
what it can, and since the truth is known here, every figure is checked against it.

    python scripts/run_feedback.py                # 2,000 images, a minute
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from activesel.annotations import LabelState
from activesel.catalog import Catalog
from activesel.pipelines.events import ingest_events
from activesel.pipelines.feedback import FeedbackRun, run_feedback
from activesel.pipelines.ingest import ingest
from activesel.records import Label
from activesel.workspace import Workspace, create_workspace

CLASSES, SHARES = ("good", "crack", "pit"), (0.9, 0.06, 0.04)
MODEL_RIGHT = {"good": 0.93, "crack": 0.7, "pit": 0.6}
CONSIDERED_RIGHT, QUICK_RIGHT = 0.96, 0.75  # of an operator who looks, and of one who clicks


@dataclass(frozen=True)
class Line:
    workspace: Workspace
    ids: tuple[str, ...]
    truth: tuple[str, ...]
    labelled: frozenset[int]
    wrong: frozenset[int]  # of the labels


def make_line(folder: Path, n: int, share_labelled: float, chance: random.Random) -> Line:
    """Ingest n images of noise; label some, one in fifty of them wrongly."""
    rng = np.random.default_rng(0)
    (folder / "photos").mkdir()
    for i in range(n):
        cv2.imwrite(str(folder / "photos" / f"{i:05d}.png"), rng.integers(0, 255, (8, 8), np.uint8))
    workspace = create_workspace(folder / "line", ["embedding.good=good", 'feedback.names={OK: good, NOK: "?"}'])
    ingest(workspace, str(folder / "photos"))
    truth = tuple(chance.choices(CLASSES, SHARES, k=n))
    labelled = frozenset(i for i in range(n) if chance.random() < share_labelled)
    wrong = frozenset(i for i in labelled if chance.random() < 0.02)
    with Catalog.open(workspace.catalog_place) as catalog:
        known = catalog.resolve()
        ids = tuple(known[str(folder / "photos" / f"{i:05d}.png")] for i in range(n))
        catalog.add_labels([Label(ids[i], _other(truth[i], chance) if i in wrong else truth[i], "people")
                            for i in sorted(labelled)])  # fmt: skip
    return Line(workspace, ids, truth, labelled, wrong)


def tell(line: Line, chance: random.Random) -> Iterator[dict[str, Any]]:
    """Yield what the line reports: the model on each image, operators on its alarms, rework, returns of what passed."""
    for i, truth in enumerate(line.truth):
        path, said = f"photos/{i:05d}.png", truth if chance.random() < MODEL_RIGHT[truth] else _other(truth, chance)
        yield _event(i, "prediction.made", verdict=said, prediction_id=f"p{i}", image_path=path)
        if said == "good":
            if truth != "good" and chance.random() < 0.5:
                yield _event(i, "downstream.return", image_path=path, **({"verdict": truth} if i % 2 else {}))
            continue
        quick = chance.random() < 0.4
        decided = truth if chance.random() < (QUICK_RIGHT if quick else CONSIDERED_RIGHT) else _other(truth, chance)
        spent = round(chance.uniform(0.3, 1.5) if quick else chance.uniform(2.5, 9), 1)
        if decided == said:
            yield _event(i, "operator.confirm", verdict=said, time_to_decide_s=spent, prediction_id=f"p{i}")
        else:
            yield _event(i, "operator.override", operator_verdict="OK" if decided == "good" else decided,
                         model_verdict=said, time_to_decide_s=spent, prediction_id=f"p{i}")  # fmt: skip
        if chance.random() < 0.3:
            right = chance.random() < 0.97
            fault = (truth != "good") is right
            found = {"result": "fault_found" if fault else "no_fault_found"}
            yield _event(
                i, "rework.result", image_path=path, **found, **({"verdict": truth} if fault and right else {})
            )


def _event(number: int, kind: str, **data: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "type": f"com.activesel.{kind}.v1", "source": "/simulated", "id": f"{kind}-{number}",
            "time": f"2026-01-{1 + number % 28:02d}T08:00:00Z", "data": data}  # fmt: skip


def _other(name: str, chance: random.Random) -> str:
    return chance.choice([one for one in CLASSES if one != name])


def show(line: Line, done: FeedbackRun) -> None:
    """Print the rules, and how right what followed from them is."""
    print(f"{'rule':20} {'images':>6} {'measured (95 %)':>22} {'estimated':>9} trusted")
    for one in done.table.rules:
        n, measured = round(one.summary.coverage * done.table.n_images), one.measured
        text = f"{measured.value:.2f} ({measured.low:.2f} to {measured.high:.2f})" if measured else "-"
        estimate = f"{one.estimate:.2f}" if one.estimate is not None else "-"
        print(f"{one.summary.name:20} {n:6d} {text:>22} {estimate:>9} {'yes' if one.trusted else 'no'}")
    row_of = {image_id: i for i, image_id in enumerate(line.ids)}
    with Catalog.open(line.workspace.catalog_place) as catalog:
        found = catalog.annotations.resolutions()
    weak = {row_of[i]: one.name for i, one in found.items() if one.state is LabelState.weak}
    right = sum(line.truth[row] == name for row, name in weak.items())
    print(f"\nweak labels          {len(weak)}, {right / max(1, len(weak)):.1%} of them right")
    folder = done.folder
    kept = json.loads((folder / "contradictions.json").read_text(encoding="utf8"))["contradictions"]
    doubted = {row_of[i] for i in kept}
    print(f"labels in doubt      {len(doubted)} of {len(line.labelled)}; {len(doubted & line.wrong)} are wrong, "
          f"of {len(line.wrong)} wrong labels in all")  # fmt: skip
    look = [row.split(",")[0] for row in (folder / "look.csv").read_text(encoding="utf8").splitlines()[1:]]
    n_defects = sum(line.truth[row_of[i]] != "good" for i in look)
    others = [i for i in range(len(line.truth)) if i not in line.labelled and i not in weak]
    share = sum(line.truth[i] != "good" for i in others) / max(1, len(others))
    print(f"to look at           {len(look)}, {n_defects / max(1, len(look)):.0%} of them defects; "
          f"{share:.1%} of all that have no label")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=2000, help="images")
    options = parser.parse_args()
    for share in (0.3, 0.03):
        chance = random.Random(0)
        with tempfile.TemporaryDirectory(prefix="run_feedback_") as name:
            line = make_line(Path(name), options.n, share, chance)
            file = Path(name) / "events.ndjson"
            file.write_text("".join(json.dumps(one) + "\n" for one in tell(line, chance)), encoding="utf8")
            told = ingest_events(line.workspace, [file])
            print(f"\n{options.n} images, {len(line.labelled)} of them labelled, {told.n_new} events")
            show(line, run_feedback(line.workspace))


if __name__ == "__main__":
    main()
