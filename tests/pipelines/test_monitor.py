"""`activesel monitor` on small jobs: what it reads, what it says, what it leaves."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from activesel.annotations import LabelState, Resolution
from activesel.catalog import Catalog
from activesel.errors import DataError
from activesel.models import PREDICTIONS, Decision, ModelCard
from activesel.monitoring import Reading, State
from activesel.pipelines.monitor import MonitorRequest, Watched, watch_workspace
from activesel.pipelines.monitor_files import monitor_folder, write_monitor
from tests.pipelines.workspaces import Job, fake_pages, make_job, write_predictions

N = 160
BLIND = 3  # kind "pit": no label knows it at first


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_pages(monkeypatch)


def watch(job: Job, *settings: str, **fields: str) -> Watched:
    request = MonitorRequest(embeddings=job.embeddings, ids=job.ids_file, **fields)
    return watch_workspace(job.open("monitoring.good=free", "monitoring.images=8", *settings), request, None)


def of(watched: Watched, monitor: str) -> list[Reading]:
    return [one for one in watched.readings if one.monitor == monitor]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    times = [f"2026-{1 + number // 20:02}-01" for number in range(N)]
    stations = ["A" if number % 2 else "B" for number in range(N)]
    return make_job(tmp_path, N, meta={"time": times, "station": stations})


def start(job: Job) -> None:
    job.label([number for number in range(48) if number % 4 != BLIND])


def test_a_class_that_a_random_image_shows_first_asks_for_action(job: Job) -> None:
    start(job)
    for _ in range(2):
        result = job.select(20, "selection.explore=0.5", where=("time=2026-04-01,2026-05-01,2026-06-01",))
        job.label_ids([pick.image_id for pick in result.picks])
    watched = watch(job)
    (reading,) = [one for one in of(watched, "new types") if one.subject == "pit"]
    assert watched.state is State.act
    assert "--focus pit" in reading.command
    assert watched.signals.labelled is not None
    assert watched.signals.labelled.before == {watched.signals.labelled.names.index(one) for one in
                                               ("crack", "fray", "free")}  # fmt: skip
    assert watched.line is not None
    assert watched.line.prevalence is not None
    assert watched.line.prevalence.share.low < 0.75 < watched.line.prevalence.share.high


def test_without_random_images_it_says_that_nothing_can_be_seen(job: Job) -> None:
    start(job)
    result = job.select(24)
    job.label_ids([pick.image_id for pick in result.picks])
    watched = watch(job)
    (reading,) = of(watched, "labels per arm")
    assert reading.state is State.act
    assert "--explore" in reading.command
    assert of(watched, "recall per arm")[0].state is State.absent
    assert watched.line is None


def test_evaluation_labels_steer_nothing(job: Job) -> None:
    start(job)
    result = job.select(20, "selection.evaluation=1")
    job.label_ids([pick.image_id for pick in result.picks])
    watched = watch(job)
    assert watched.signals.labelled is None
    assert watched.signals.n_evaluation == 20


def test_labels_by_the_model_alone_are_counted(job: Job) -> None:
    start(job)
    with Catalog.open(job.workspace.catalog_path) as catalog:
        catalog.annotations.resolve(
            [Resolution(one, "free", LabelState.weak, 0.99, "model") for one in job.ids[60:160]]
        )
    (reading,) = of(watch(job), "labels by the model alone")
    assert (reading.state, reading.value) == (State.act, "100 of 136")


def test_recent_images_of_another_kind_are_noticed(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(N, 12)).astype(np.float32)
    vectors[120:, 0] += 2.5  # another lamp
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    job = make_job(tmp_path, N, vectors=vectors)
    job.label(list(range(24)))
    assert of(watch(job), "drift")[0].state is State.absent  # no window and no times
    (reading,) = [one for one in of(watch(job, window="40"), "drift") if one.subject == "vectors: all"]
    assert reading.state is State.act
    (before,) = [one for one in of(watch(job, window="40", reference="training"), "drift")
                 if one.subject == "vectors: all"]  # fmt: skip
    assert before.state is State.act


@pytest.mark.parametrize(
    ("window", "n"), [("25", 25), ("time>=2026-08", 20), ("time<2026-02-01", 20), ("station=A", 80), (None, 40)]
)
def test_windows(job: Job, window: str | None, n: int) -> None:
    start(job)
    watched = watch(job, **({} if window is None else {"window": window}))
    assert watched.sides is not None
    assert int(watched.sides.recent.sum()) == n
    assert int(watched.sides.reference.sum()) == N - n


@pytest.mark.parametrize(
    ("window", "said"),
    [("last week", "cannot read a window"), ("tim>=3", "no image has such a column"), ("time>=2027", "no image lies"),
     ("time>=2020", "no image is left to compare with")],
)  # fmt: skip
def test_windows_that_are_none(job: Job, window: str, said: str) -> None:
    start(job)
    with pytest.raises(DataError, match=said):
        watch(job, window=window)


def report(job: Job, rows: list[tuple[str, str, str, dict[str, str]]]) -> None:
    """Record events: type, prediction, image, data."""
    with sqlite3.connect(job.workspace.catalog_path) as connection:
        connection.executemany(
            "INSERT INTO events (source, id, type, image_id, prediction_id, time, received, data) "
            "VALUES ('line', ?, ?, ?, ?, ?, '', ?)",
            [(str(number), kind, image, prediction, f"2026-01-01T00:00:{number:09}", json.dumps(data))
             for number, (kind, prediction, image, data) in enumerate(rows)],
        )  # fmt: skip


def test_overrides_are_counted_by_the_place_of_event_prediction_or_image(job: Job) -> None:
    start(job)
    made = [("prediction.made", f"p{n}", job.ids[n], {"station": "C"} if n < 40 else {}) for n in range(120)]
    answers = [
        ("operator.override", f"p{n}", "", {"shift": "late"} if n % 2 else {"shift": "early"}) for n in range(24)
    ]
    answers += [("operator.override", "", job.ids[150], {})]  # of a prediction that was never reported
    report(job, made + answers)
    watched = watch(job)
    by_column = {one.column: dict(one.counts) for one in watched.signals.overrides}
    assert by_column["station"] == {"A": (0, 40), "B": (1, 41), "C": (24, 40)}
    (reading,) = [one for one in of(watched, "overrides") if one.subject == "station C"]
    assert reading.state is State.act
    assert "--where station=C" in reading.command


def test_where_operators_confirm_the_rate_is_of_what_they_answered(job: Job) -> None:
    start(job)
    report(job, [("prediction.made", f"p{n}", job.ids[n], {}) for n in range(100)]
           + [("operator.override" if n % 4 == 0 else "operator.confirm", f"p{n}", str(job.paths[n]), {}) for n in
              range(40)])  # fmt: skip
    (column,) = watch(job).signals.overrides
    assert dict(column.counts) == {"A": (0, 20), "B": (10, 20)}


def test_predictions_without_an_id_are_told_apart_by_their_image_and_answered_once(job: Job) -> None:
    start(job)
    made = [("prediction.made", "", job.ids[n], {}) for n in range(60)]
    twice = [("operator.override", "", str(job.paths[0]), {}), ("operator.override", "", job.ids[0], {})]
    report(job, [*made, *twice, ("operator.override", "", "unknown.png", {"station": "A"})])
    (column,) = watch(job).signals.overrides
    assert dict(column.counts) == {"A": (1, 31), "B": (1, 30)}


def test_the_images_of_the_last_events_are_a_window(job: Job) -> None:
    start(job)
    report(job, [("image.captured", "", str(job.paths[n]), {}) for n in range(30)])
    watched = watch(job, window="events:10")
    assert watched.sides is not None
    assert int(watched.sides.recent.sum()) == 10


def test_the_champion_speaks_of_images_that_have_no_label(job: Job) -> None:
    start(job)
    card = ModelCard("0123456789ab", "head", "d1", ("crack", "free"), "free", 0, "2026-01-01T00:00:00+00:00")
    with Catalog.open(job.workspace.catalog_path) as catalog:
        catalog.models.register(card)
        catalog.models.promote(Decision("force", card.model_id, None, "done", "test", card.created))
    folder = job.workspace.state / "models" / card.model_id
    folder.mkdir(parents=True)
    probs = [[0.9, 0.1] if number >= 120 else [0.1, 0.9] for number in range(N)]
    write_predictions(job, folder / PREDICTIONS, classes=("crack", "free"), probs=probs)
    watched = watch(job)
    assert any("champion 0123456789ab" in note for note in watched.notes)
    assert watched.shares["crack"] == (0.0, 1.0)
    (reading,) = [one for one in of(watched, "drift") if one.subject == "class: predicted"]
    assert reading.state is State.act
    assert [one.state for one in of(watched, "freshness") if one.subject == "champion"] == [State.act]


def test_the_files_hold_what_is_said(job: Job) -> None:
    start(job)
    folder = monitor_folder(job.workspace)
    watched = watch(job)
    write_monitor(job.workspace, watched, folder)
    document = json.loads((folder / "monitor.json").read_text(encoding="utf8"))
    assert document["state"] == watched.state.value
    assert len(document["readings"]) == len(watched.readings)
    assert "defect score" in (folder / "monitor.html").read_text(encoding="utf8")
