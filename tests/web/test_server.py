"""What the page asks and gets: images, answers, one after the other, whoever comes and whatever is sent twice."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from activesel.annotations import Annotation, Box, LabelState, Mask, Polygon, Role, Task
from activesel.catalog import Catalog
from tests.web.jobs import BATCH, SIZE, Job, draw, make_job, message_of, serve

BOX = {"kind": "box", "name": "crack", "x0": 4, "y0": 5, "x1": 20.5, "y1": 30}


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return make_job(tmp_path)


def test_an_answer_is_in_the_catalog_at_once(job: Job) -> None:
    with serve(job) as (anna,):
        first = anna.next()
        assert (first["image"]["id"], first["done"], first["total"]) == (job.ids[0], 0, 4)
        assert (first["image"]["width"], first["image"]["height"]) == SIZE
        second = anna.say(job.ids[0], "crack", shapes=[BOX]).json()
        assert second["saved"] is True
        assert (second["image"]["id"], second["done"], second["total"]) == (job.ids[1], 1, 4)
        assert [one["state"] for one in second["strip"]] == ["done", "current", "next", "next"]
        (one,) = job.opinions()
    assert (one.image_id, one.annotator, one.role, one.name) == (job.ids[0], "anna", Role.annotator, "crack")
    assert one.shapes == (Box("crack", 4, 5, 20.5, 30),)
    assert (one.source, one.guideline, one.prelabel) == ("review", "", "")
    assert one.created.endswith("+00:00")
    assert job.labels() == {job.ids[0]: "crack"}


def test_the_same_submission_twice_changes_nothing(job: Job) -> None:
    with serve(job) as (anna,):
        message = message_of(job.ids[0], "crack")
        assert anna.post("/api/answer", message).json()["saved"] is True
        before = job.opinions()
        again = anna.post("/api/answer", message).json()
        assert again["saved"] is False
        assert again["image"]["id"] == job.ids[1]
    assert job.opinions() == before


def test_a_second_tab_does_not_answer_twice(job: Job) -> None:
    with serve(job) as (anna,):
        anna.say(job.ids[0], "crack")
        answer = anna.say(job.ids[0], "good")
        assert answer.status_code == 409
        assert "already" in answer.json()["error"]
    assert job.labels() == {job.ids[0]: "crack"}


def test_going_back_corrects_the_same_opinion(job: Job) -> None:
    with serve(job) as (anna,):
        anna.say(job.ids[0], "crack", lead_time_s=0.0)
        anna.say(job.ids[1], "pit")
        back = anna.post("/api/back", {"image_id": job.ids[2]}).json()
        assert (back["image"]["id"], back["earlier"]["name"]) == (job.ids[1], "pit")
        back = anna.post("/api/back", {"image_id": job.ids[1]}).json()
        assert (back["image"]["id"], back["earlier"]["name"]) == (job.ids[0], "crack")
        assert anna.post("/api/back", {"image_id": job.ids[0]}).status_code == 409
        onward = anna.say(job.ids[0], "good", revises=True).json()
        assert onward["image"]["id"] == job.ids[2]
        assert anna.post("/api/open", {"image_id": job.ids[3]}).status_code == 409
    assert {one.image_id: one.name for one in job.opinions()} == {job.ids[0]: "good", job.ids[1]: "pit"}
    assert job.labels() == {job.ids[0]: "good", job.ids[1]: "pit"}


def test_a_skip_keeps_its_reason_and_is_no_label(job: Job) -> None:
    with serve(job) as (anna,):
        anna.say(job.ids[0], skipped="blurred <b>")
        (one,) = job.opinions()
    assert (one.name, one.skipped) == (None, "blurred <b>")
    assert job.labels() == {}


def test_the_pages_clock_is_bounded_by_ours(job: Job) -> None:
    with serve(job) as (anna,):
        anna.next()
        anna.say(job.ids[0], "crack", lead_time_s=5000.0)
        (one,) = job.opinions()
    assert one.lead_time_s is not None
    assert one.lead_time_s < 60


@pytest.mark.parametrize(
    "broken",
    [
        {"name": "unheard of"},
        {"name": None},
        {"name": "crack", "skipped": "and cannot tell"},
        {"name": "crack", "lead_time_s": -1},
        {"name": "crack", "lead_time_s": "NaN"},
        {"name": "crack", "submission": "short"},
        {"name": "crack", "submission": "../../../../etc/passwd"},
        {"name": "crack", "annotator": "ben"},
        {"name": "crack", "shapes": [BOX | {"kind": "circle"}]},
        {"name": "crack", "shapes": [BOX | {"x1": 4.2}]},
        {"name": "crack", "shapes": [BOX | {"x0": 900, "x1": 950}]},
        {"name": "crack", "shapes": [BOX | {"name": "unheard of"}]},
        {"name": "crack", "shapes": [BOX] * 201},
        {"name": "crack", "shapes": [{"kind": "polygon", "name": "crack", "points": [[1, 1], [2, 2]]}]},
        {"name": "crack", "shapes": [{"kind": "mask", "name": "crack", "left": 0, "top": 0, "width": 4, "height": 4,
                                      "runs": [3, 4]}]},
        {"name": "crack", "shapes": [{"kind": "mask", "name": "crack", "left": 62, "top": 0, "width": 4, "height": 4,
                                      "runs": [16]}]},
        {"name": "crack", "phase": "blind"},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(job: Job, broken: dict[str, object]) -> None:
    with serve(job) as (anna,):
        answer = anna.post("/api/answer", message_of(job.ids[0]) | broken)
        assert answer.status_code in (409, 422), answer.text
        assert answer.json()["error"]
    assert job.opinions() == []


def test_infinities_and_odd_json(job: Job) -> None:
    with serve(job) as (anna,):
        for body in (b"", b"null", b"[]", b"{", b'{"image_id": NaN}', b"\xff", b"[" * 100_000):
            answer = anna.client.post("/api/answer", content=body, headers=anna.headers)
            assert 400 <= answer.status_code < 500, body[:20]
        text = json.dumps(message_of(job.ids[0], "crack")).replace("0.0", "Infinity")
        assert anna.client.post("/api/answer", content=text, headers=anna.headers).status_code == 422


def test_shapes_are_cut_to_the_image(job: Job) -> None:
    polygon = {"kind": "polygon", "name": "pit", "points": [[-5, -5], [30, 2], [10, 999]]}
    mask = {"kind": "mask", "name": "pit", "left": 1, "top": 2, "width": 4, "height": 2, "runs": [1, 3, 4]}
    with serve(job) as (anna,):
        shapes = [BOX | {"x0": 70, "x1": 30, "y0": -3}, polygon, mask]
        assert anna.say(job.ids[0], None, shapes=shapes).status_code == 200
        (one,) = job.opinions()
    assert one.shapes == (Box("crack", 30, 0, 64, 30), Polygon("pit", ((0, 0), (30, 2), (10, 48))),
                          Mask("pit", 1, 2, 4, 2, (1, 3, 4)))  # fmt: skip
    assert one.name is None


def test_pictures_are_decoded_and_made_anew(tmp_path: Path) -> None:
    job = make_job(tmp_path, 1)
    path = tmp_path / "photos" / "evil.png"
    note = PngImagePlugin.PngInfo()
    note.add_text("Comment", "<script>document.body.dataset.hacked = 1</script>")
    with Image.open(tmp_path / "photos" / "000.png") as image:
        image.resize((300, 100)).save(path, pnginfo=note)
    path.write_bytes(path.read_bytes() + b"<script>after the end</script>")
    job = _with(tmp_path, job, path)
    with serve(job) as (anna,):
        answer = anna.get(f"/image/{job.ids[1]}")
        small = anna.get(f"/thumbnail/{job.ids[1]}")
    assert answer.headers["content-type"] == "image/png"
    assert "private" in answer.headers["cache-control"]
    assert b"script" not in answer.content
    with Image.open(io.BytesIO(answer.content)) as served, Image.open(path) as original:
        assert served.size == (300, 100)
        assert served.convert("RGB").tobytes() == original.convert("RGB").tobytes(), "faint defects stay as they are"
    with Image.open(io.BytesIO(small.content)) as served:
        assert served.size == (160, 53)


def _with(root: Path, job: Job, path: Path) -> Job:
    """The job with one more image, in its batch."""
    from activesel.pipelines.ingest import ingest

    ingest(job.workspace, str(path.parent))
    with Catalog.open(job.workspace.catalog_place) as catalog:
        image_id = catalog.image_at(str(path))
        assert image_id is not None, root
        ids = (*job.ids, image_id)
        catalog.annotations.assign(BATCH, [Task(BATCH, one) for one in ids])
    return Job(job.workspace, ids)


def test_a_large_image_is_shrunk_and_a_broken_one_says_so(tmp_path: Path) -> None:
    job = make_job(tmp_path, 1)
    path = tmp_path / "photos" / "large.png"
    draw(path, 9, (2000, 1000))
    job = _with(tmp_path, job, path)
    with serve(job) as (anna,):
        answer = anna.get(f"/image/{job.ids[1]}")
        with Image.open(io.BytesIO(answer.content)) as served:
            assert served.size == (1024, 512)
        path.write_bytes(path.read_bytes()[:500])
        broken = anna.get(f"/image/{job.ids[1]}")
        assert broken.status_code == 404
        assert anna.say(job.ids[1], skipped="cannot be shown").status_code == 200


def test_two_annotators_share_a_batch(job: Job) -> None:
    """Image 0 wants one opinion, 1 is an overlap, 2 is gold, 3 is for experts."""
    job.assign(Task(BATCH, job.ids[0]), Task(BATCH, job.ids[1], overlap=True), Task(BATCH, job.ids[2], gold=True),
               Task(BATCH, job.ids[3], route="expert"))  # fmt: skip
    with serve(job, "anna", "ben") as (anna, ben):
        assert anna.next()["image"]["id"] == job.ids[0]
        assert ben.next()["image"]["id"] == job.ids[1], "anna has the first before her"
        assert anna.say(job.ids[0], "good").json()["image"]["id"] == job.ids[1]
        assert ben.say(job.ids[1], "crack").json()["image"]["id"] == job.ids[2]
        assert anna.say(job.ids[1], "crack").json()["image"]["id"] == job.ids[2]
        assert ben.say(job.ids[2], "crack").json()["image"] is None
        done = anna.say(job.ids[2], "pit").json()
    assert (done["image"], done["done"], done["total"]) == (None, 3, 3)
    assert [one["said"] for one in done["strip"]] == ["good", "crack", "pit"]
    with Catalog.open(job.workspace.catalog_place) as catalog:
        found = catalog.annotations.resolutions()
    assert (found[job.ids[0]].name, found[job.ids[0]].state) == ("good", LabelState.raw)
    assert (found[job.ids[1]].name, found[job.ids[1]].state) == ("crack", LabelState.agreed)
    assert (found[job.ids[2]].name, found[job.ids[2]].state) == (None, LabelState.raw)


def test_a_restart_loses_nothing_that_was_answered(job: Job) -> None:
    with serve(job, "anna", "ben") as (anna, ben):
        anna.say(job.ids[0], "crack")
        assert ben.next()["image"]["id"] == job.ids[2], "anna has the second before her"
        token = anna.token
    with serve(job, "anna", "ben") as (anna, ben):
        assert anna.token != token
        told = anna.next()
        assert (told["image"]["id"], told["done"], told["total"]) == (job.ids[1], 1, 4)
        assert told["strip"][0] == {"id": job.ids[0], "state": "done", "said": "crack"}
        assert anna.post("/api/back", {"image_id": None}).json()["earlier"]["name"] == "crack"


def test_killed_between_the_opinion_and_what_counts(job: Job) -> None:
    job.add(Annotation(job.ids[0], "anna", name="crack", source="review", external_id="final:anna:x:submission"))
    assert job.labels() == {}
    with serve(job):
        assert job.labels() == {job.ids[0]: "crack"}


@pytest.mark.parametrize(("mode", "shown"), [("shown", True), ("hidden", False), ("", False)])
def test_the_models_answer_is_shown_where_the_task_says_so(job: Job, mode: str, shown: bool) -> None:
    job.assign(Task(BATCH, job.ids[0], prelabel=mode))
    for name in ("good", "crack"):
        job.add(Annotation(job.ids[0], "head", Role.model, name, (Box(name, 1, 2, 30, 40, 0.7),), score=0.8))
    with serve(job) as (anna,):
        told = anna.next()
        assert (told["suggestion"] is not None) is shown
        if shown:
            assert told["suggestion"]["name"] == "crack", "the newest"
            assert told["suggestion"]["shapes"][0]["x1"] == 30
        anna.say(job.ids[0], "crack")
    assert job.opinions()[-1].prelabel == mode


def test_classes_can_be_added_and_are_checked(job: Job) -> None:
    with serve(job) as (anna,):
        name = "<script>alert(1)</script>"
        assert anna.post("/api/classes", {"name": f"  {name} "}).json()["classes"][-1] == name
        assert anna.say(job.ids[0], name).status_code == 200
        for bad in ("", "   ", "x" * 101, "a\nb", "a\x00b"):
            assert anna.post("/api/classes", {"name": bad}).status_code == 422, bad
        for number in range(197):
            anna.post("/api/classes", {"name": f"class {number}"})
        assert anna.post("/api/classes", {"name": "one more"}).status_code == 422
    with serve(job, classes=("good",)) as (anna,):
        assert anna.next()["classes"] == ["good", name], "what has been answered is known after a restart"


def test_what_strangers_wrote_is_escaped(tmp_path: Path) -> None:
    job = make_job(tmp_path, 1, meta="<img src=x onerror=alert(1)>")
    with serve(job, "<b>anna</b>", classes=("<script>",)) as (anna,):
        page = anna.get("/").text
        told = anna.post("/api/next", {})
    assert "<b>anna" not in page
    assert "&lt;b&gt;anna" in page
    assert told.headers["content-type"] == "application/json"
    assert told.json()["image"]["meta"]["station"] == "<img src=x onerror=alert(1)>"
