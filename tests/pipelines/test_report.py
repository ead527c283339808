"""The report of a batch, drawn again later: labels that came in, files that left, a snapshot that is damaged."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from activesel.catalog import Catalog
from activesel.errors import DataError
from activesel.pipelines import report as report_module
from activesel.pipelines.report import write_batch_report
from activesel.records import Quarantined
from activesel.report.data import ReportData
from tests.pipelines.workspaces import Job, fake_pages, make_job, make_vectors, write_predictions


@pytest.fixture
def job(tmp_path: Path) -> Job:
    made = make_job(tmp_path, meta={"station": ["A", "B"] * 20, "time": [f"12:{i:02d}" for i in range(40)]})
    made.label(range(8))
    return made


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[ReportData]:
    """What each report was drawn from; the page itself is tests/report's."""
    seen: list[ReportData] = []
    original = report_module.write_report

    def write(path: Path, data: ReportData) -> None:
        seen.append(data)
        original(path, data)

    monkeypatch.setattr(report_module, "write_report", write)
    return seen


def test_drawn_again_it_says_the_same(job: Job, drawn: list[ReportData]) -> None:
    result = job.select(6, "selection.explore=0.3")
    page = (result.folder / "report.html").read_bytes()
    assert write_batch_report(job.workspace, result.batch_id) == result.folder / "report.html"
    # float16 scores of the snapshot may move a bar's rounding; everything that is text is the same.
    first, again = drawn
    assert first.run == again.run
    assert first.picks == again.picks
    assert first.breakdowns == again.breakdowns
    assert first.settings_yaml == again.settings_yaml
    assert first.map is not None
    assert again.map is not None
    assert np.array_equal(first.map.roles, again.map.roles)
    assert np.array_equal(first.map.classes, again.map.classes)
    assert abs(len((result.folder / "report.html").read_bytes()) - len(page)) < 2000


def test_labels_that_came_in_since(job: Job, drawn: list[ReportData]) -> None:
    result = job.select(4)
    job.label_ids([pick.image_id for pick in result.picks[:2]])
    with Catalog.open(job.workspace.catalog_path) as catalog:
        catalog.add_quarantined([Quarantined("/broken.png", "truncated", "ends early")], "test")
    write_batch_report(job.workspace, result.batch_id)
    assert [pick.label for pick in drawn[0].picks] == [None] * 4
    expected = [job.kind_of(pick.image_id) for pick in result.picks[:2]]
    assert [pick.label for pick in drawn[1].picks] == [*expected, None, None]
    assert drawn[1].run.labelled_count == 8, "what was known when it was selected"
    assert drawn[1].quarantine.counts == {"truncated": 1}


def test_what_the_report_shows(job: Job, drawn: list[ReportData]) -> None:
    job.select(6)
    (data,) = drawn
    assert [table.column for table in data.breakdowns] == ["station", "time", "predicted class"]
    assert sum(row.picked for row in data.breakdowns[0].rows) == 6
    assert data.coverage is not None
    assert data.coverage.before is not None
    assert (data.coverage.after <= data.coverage.before + 1e-6).all()
    assert {sample.name for sample in data.scores} >= {"uncertainty", "novelty", "density"}
    assert data.run.source == str(job.photos)


def test_a_column_of_its_own_for_every_image_is_no_breakdown(tmp_path: Path, drawn: list[ReportData]) -> None:
    job = make_job(tmp_path, 120, meta={"serial": [str(i) for i in range(120)]})
    job.select(3)
    assert drawn[0].breakdowns == ()


def test_images_that_left_the_catalog(job: Job, drawn: list[ReportData]) -> None:
    result = job.select(6)
    gone = result.picks[0].path
    Path(gone).unlink()
    with Catalog.open(job.workspace.catalog_path) as catalog:
        catalog.add_quarantined([Quarantined(gone, "unreadable", "gone")], "test")
    write_batch_report(job.workspace, result.batch_id)
    assert drawn[1].picks[0].path == gone
    assert drawn[1].run.source == str(job.photos)


def test_notes_are_on_the_page(tmp_path: Path) -> None:
    job = make_job(tmp_path, vectors=np.repeat(make_vectors(8), 5, axis=0))
    assert "only 8 of 20 picks" in (job.select(20).folder / "report.html").read_text(encoding="utf8")


def test_every_picture_is_gone(job: Job) -> None:
    result = job.select(3)
    for path in job.paths:
        path.unlink()
    page = write_batch_report(job.workspace, result.batch_id).read_text(encoding="utf8")
    assert result.picks[0].image_id in page


def test_predictions_without_names_and_boxes_have_a_report(job: Job, tmp_path: Path, drawn: list[ReportData]) -> None:
    plain = write_predictions(job, tmp_path / "p.parquet", probs=[[0.2, 0.3, 0.5]] * 40)
    boxes = write_predictions(job, tmp_path / "b.parquet", box_probs=[[[0.5]]] * 40)
    for preds in (plain, boxes):
        write_batch_report(job.workspace, job.select(3, predictions=preds).batch_id)
    assert [row.value for row in drawn[0].breakdowns[-1].rows] == ["class 2"]
    assert [table.column for table in drawn[2].breakdowns] == ["station", "time"]


def test_a_pool_of_one(tmp_path: Path) -> None:
    job = make_job(tmp_path, 1, vectors=make_vectors(1).astype(np.float16))
    assert (job.select(1).folder / "report.html").exists()


def test_a_large_pool_is_sampled(job: Job, drawn: list[ReportData], monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves and histograms look at some images, counts and picks at all; size does not grow with the pool."""
    job.select(6)
    monkeypatch.setattr(report_module, "MAX_SAMPLE", 10)
    result = job.select(6, "seed=1", "report.map_points=10")
    whole, sampled = drawn
    assert whole.coverage is not None
    assert sampled.coverage is not None
    assert (len(whole.coverage.after), len(sampled.coverage.after)) == (40, 10)
    assert {len(score.pool) for score in sampled.scores} == {10}
    assert {len(score.picked) for score in sampled.scores} == {6}
    assert [row.pool for row in sampled.breakdowns[0].rows] == [20, 20]
    assert sampled.run.source == str(job.photos)
    with np.load(result.folder / "report.npz") as stored:
        assert len(stored["near_known"]) <= 10 + 6 + 8 + 10, "sample, picks, labels, map"
    write_batch_report(job.workspace, result.batch_id)
    assert drawn[2].breakdowns == sampled.breakdowns
    assert drawn[2].picks == sampled.picks


def test_folders_of_a_large_pool(tmp_path: Path, drawn: list[ReportData], monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job(tmp_path, 12, names=[f"lot-{i}/a.png" for i in range(12)])
    job.select(2)
    monkeypatch.setattr(report_module, "MAX_SAMPLE", 5)
    job.select(2, "seed=1")
    assert [data.run.source for data in drawn] == [f"{job.photos} (12 folders)", f"{job.photos} (5 folders or more)"]


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    middle = len(content) // 3
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


def change(**arrays: np.ndarray | None) -> Callable[[bytes], bytes]:
    def apply(content: bytes) -> bytes:
        with np.load(io.BytesIO(content)) as stored:
            kept = {name: value for name, value in (dict(stored) | arrays).items() if value is not None}
        stream = io.BytesIO()
        np.savez_compressed(stream, **kept)
        return stream.getvalue()

    return apply


def as_npy(_content: bytes) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    return stream.getvalue()


def pickled(_content: bytes) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, xy=np.array([{"a": 1}], dtype=object))
    return stream.getvalue()


def liar(_content: bytes) -> bytes:
    """A member whose header claims terabytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        array = io.BytesIO()
        np.lib.format.write_array_header_1_0(array, {"descr": "<f8", "fortran_order": False, "shape": (1 << 52,)})
        archive.writestr("xy.npy", array.getvalue())
    return stream.getvalue()


DAMAGES = {
    "empty": lambda _: b"",
    "garbage": lambda _: b"garbage" * 50,
    "cut": cut,
    "flipped": flip,
    "an .npy": as_npy,
    "pickled": pickled,
    "a liar": liar,
    "an array gone": change(near_known=None),
    "no names": change(class_names=None),
    "a stranger": change(stranger=np.zeros(3)),
    "no sample": change(sample=None),
    "no words": change(about=np.frombuffer(b"{}", np.uint8)),
    "other words": change(about=np.frombuffer(b'{"source": "", "breakdowns": [{"column": 3}]}', np.uint8)),
    "a name too few": change(map_names=np.array(["one"])),
    "a row beyond the pool": change(picked=np.array([40])),
    "a class beyond the names": change(predicted=np.full(40, 9)),
    "another length": change(near_known=np.zeros(7)),
    "another shape": change(xy=np.zeros((3, 3))),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_snapshot_is_one_line(job: Job, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_pages(monkeypatch)
    result = job.select(3)
    path = result.folder / "report.npz"
    path.write_bytes(DAMAGES[kind](path.read_bytes()))
    page = (result.folder / "report.html").read_bytes()
    with pytest.raises(DataError, match="the report's data cannot be read") as caught:
        write_batch_report(job.workspace, result.batch_id)
    assert "\n" not in str(caught.value)
    assert (result.folder / "report.html").read_bytes() == page


def test_no_snapshot(job: Job) -> None:
    (job.select(3).folder / "report.npz").unlink()
    with pytest.raises(DataError, match="the report's data cannot be read"):
        write_batch_report(job.workspace, "0001")
