"""The page in a real Chromium: two people label by keyboard and mouse, an expert decides, the catalog has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from activesel.annotations import Annotation, Box, LabelState, Polygon, Role, Task
from activesel.catalog import Catalog
from tests.web.browser import CHROMIUM, Chromium, Page, chromium
from tests.web.jobs import BATCH, SIZE, Job, make_job
from tests.web.served import served

pytestmark = [
    pytest.mark.browser,
    pytest.mark.server,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the PATH"),
]
N = 20
CLASSES = "good,crack,pit"
KEYS = {"good": "1", "crack": "2", "pit": "3"}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with chromium(tmp_path_factory.mktemp("browser")) as started:
        yield started


def wait_image(page: Page, before: str = "") -> str:
    """Wait until another image than ``before`` can be seen; return its id, empty where none is left."""
    page.wait(
        "((body) => 'image' in body.dataset && !body.classList.contains('busy') && (body.classList.contains('done') || "
        f"(body.dataset.image !== '{before}' && body.dataset.shown === body.dataset.image)))(document.body)"
    )
    return str(page.run("document.body.dataset.image"))


def answer(page: Page, *keys: str) -> str:
    """Press keys, the last of which saves, and return the id of the next image, empty at the end."""
    before = page.run("document.body.dataset.image")
    for key in keys:
        page.press(key)
    return wait_image(page, before)


def on_screen(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where a pixel of the image is on the screen."""
    left, top, width, height = page.run(
        "(() => { const box = document.querySelector('#picture').getBoundingClientRect(); "
        "return [box.left, box.top, box.width, box.height]; })()"
    )
    return left + x / SIZE[0] * width, top + y / SIZE[1] * height


def test_two_people_label_twenty_images_and_an_expert_decides(tmp_path: Path, browser: Chromium) -> None:
    job = make_job(tmp_path / "line", N)
    job.assign(*(Task(BATCH, image_id, n_wanted=2) for image_id in job.ids))
    truth = {image_id: list(KEYS)[row % 3] for row, image_id in enumerate(job.ids)}
    mistaken = {job.ids[3]: "crack", job.ids[10]: "good"}  # what ben says
    assert all(truth[image_id] != said for image_id, said in mistaken.items())

    with served(
        job.workspace, tmp_path / "label", "--annotator", "anna", "--annotator", "ben", "--classes", CLASSES
    ) as it:
        anna, ben = browser.open(it.urls["anna"]), browser.open(it.urls["ben"], 1920, 1080)
        image = wait_image(anna)
        assert "/enter" not in anna.run("location.href"), "the secret leaves the address"
        shapes = draw_shapes(anna)
        while image:
            image = answer(anna, KEYS[truth[image]], "Enter")
        image = wait_image(ben)
        skipped = job.ids[12]
        while image:
            if image == skipped:
                image = answer(ben, "s", "2")
            else:
                image = answer(ben, KEYS[mistaken.get(image, truth[image])], " ")
        assert anna.run("document.querySelector('#count').textContent") == f"{N} of {N}"
        assert anna.console == []
        assert ben.console == []
        assert it.stop() == 0

    said = {(one.image_id, one.annotator): one for one in job.opinions()}
    assert {key[0]: one.name for key, one in said.items() if key[1] == "anna"} == truth
    assert said[job.ids[3], "ben"].name == "crack"
    assert said[skipped, "ben"].skipped == "bad image"
    check_shapes(said[job.ids[0], "anna"], shapes)
    assert all(one.lead_time_s is not None and 0 < one.lead_time_s < 60 for one in said.values())
    agreed = {image_id: name for image_id, name in truth.items() if image_id not in mistaken}
    assert job.labels() == agreed

    adjudicate(browser, job, truth, tmp_path)
    assert job.labels() == truth
    with Catalog.open(job.workspace.catalog_place) as catalog:
        states = {image_id: one.state for image_id, one in catalog.annotations.resolutions().items()}
    decided = {*mistaken, skipped}
    assert states == {i: LabelState.adjudicated if i in decided else LabelState.agreed for i in job.ids}
    assert len(job.opinions()) == 2 * N + 2 * len(decided)


def draw_shapes(page: Page) -> tuple[Box, Polygon]:
    """Draw a box and a polygon with the mouse on the image that is shown; return what was meant, in image pixels."""
    page.press("b")
    page.drag(on_screen(page, 10, 12), on_screen(page, 30, 28))
    page.press("2")
    page.press("Escape")
    page.press("p")
    corners = ((40.0, 10.0), (55.0, 14.0), (50.0, 35.0), (60.0, 40.0))
    for corner in corners:
        page.click(*on_screen(page, *corner))
    page.press("Backspace")  # the last one was a slip
    page.press("Enter")
    page.press("3")
    page.press("Escape")
    assert page.run("document.querySelectorAll('#shapes li').length") == 2
    return Box("crack", 10, 12, 30, 28), Polygon("pit", corners[:3])


def check_shapes(one: Annotation, meant: tuple[Box, Polygon]) -> None:
    box, polygon = one.shapes
    assert isinstance(box, Box)
    assert isinstance(polygon, Polygon)
    assert (box.name, polygon.name) == ("crack", "pit")
    assert (box.x0, box.y0, box.x1, box.y1) == pytest.approx((10, 12, 30, 28), abs=0.2)
    for corner, wanted in zip(polygon.points, meant[1].points, strict=True):
        assert corner == pytest.approx(wanted, abs=0.2)


def adjudicate(browser: Chromium, job: Job, truth: dict[str, str], folder: Path) -> None:
    """Decide as the truth is; of the first image another thing blind, then changed on seeing the answers."""
    with served(job.workspace, folder / "decide", "--adjudicate", "--annotator", "lee", "--classes", CLASSES) as it:
        lee = browser.open(it.urls["lee"])
        image, first = wait_image(lee), True
        while image:
            assert lee.run("document.querySelector('#reveal').hidden")
            lee.press("3" if first else KEYS[truth[image]])
            lee.press("Enter")
            lee.wait("document.body.dataset.phase === 'final' && !document.body.classList.contains('busy')")
            assert lee.run("document.querySelectorAll('#others li').length") == 2
            assert "anna" not in lee.run("document.body.textContent")
            image, first = answer(lee, *([KEYS[truth[image]]] if first else []), "Enter"), False
        assert lee.console == []


def test_going_back_corrects_and_a_new_class_is_there(tmp_path: Path, browser: Chromium) -> None:
    job = make_job(tmp_path / "line", 3, meta="<img src=x onerror=document.body.dataset.hacked=1>")
    evil = "<script>document.body.dataset.hacked=1</script>"
    with served(job.workspace, tmp_path / "label", "--annotator", "anna", "--classes", f"good,{evil}") as it:
        anna = browser.open(it.urls["anna"])
        first = wait_image(anna)
        assert answer(anna, "2", "Enter") == job.ids[1]
        assert answer(anna, "Backspace") == first
        assert anna.run("document.querySelector('.class[aria-pressed=true]').dataset.name") == evil
        anna.press("c")
        anna.type("scratch")
        anna.press("Enter")
        anna.wait("document.querySelectorAll('.class').length === 3 && !document.body.classList.contains('busy')")
        anna.wait("document.querySelector('.class[aria-pressed=true]').dataset.name === 'scratch'")
        assert answer(anna, "Enter") == job.ids[1]
        assert answer(anna, "2", "Enter") == job.ids[2]
        assert "onerror" in anna.run("document.querySelector('#facts').textContent")
        assert anna.run("document.body.dataset.hacked") is None
        assert anna.console == []
    assert job.labels() == {job.ids[0]: "scratch", job.ids[1]: evil}


def test_the_models_answer_is_filled_in_and_can_be_moved(tmp_path: Path, browser: Chromium) -> None:
    job = make_job(tmp_path / "line", 1)
    job.assign(Task(BATCH, job.ids[0], prelabel="shown"))
    job.add(Annotation(job.ids[0], "head", Role.model, "crack", (Box("crack", 10, 10, 30, 30, 0.9),), score=0.9))
    with served(job.workspace, tmp_path / "label", "--annotator", "anna", "--classes", CLASSES) as it:
        anna = browser.open(it.urls["anna"])
        wait_image(anna)
        anna.click(*on_screen(anna, 20, 20))  # selects
        anna.drag(on_screen(anna, 20, 20), on_screen(anna, 30, 25))
        anna.drag(on_screen(anna, 40, 35), on_screen(anna, 45, 40))  # its lower right corner
        anna.press("+")
        assert answer(anna, "Enter") == ""
    said = job.opinions()[-1]
    assert (said.name, said.prelabel) == ("crack", "shown")
    (box,) = said.shapes
    assert isinstance(box, Box)
    assert (box.x0, box.y0, box.x1, box.y1) == pytest.approx((20, 15, 45, 40), abs=0.3)


def test_killing_the_server_loses_no_saved_answer(tmp_path: Path, browser: Chromium) -> None:
    job = make_job(tmp_path / "line", 8)
    with served(job.workspace, tmp_path / "label", "--annotator", "anna", "--classes", CLASSES) as it:
        anna = browser.open(it.urls["anna"])
        image, saved = wait_image(anna), []
        for _ in range(5):
            saved.append(image)
            image = answer(anna, "2", "Enter")
        it.kill()
        anna.press("1")
        anna.press("Enter")
        anna.wait("document.querySelector('#trouble').textContent.includes('Not saved')")
    assert job.labels() == dict.fromkeys(saved, "crack")
    with served(job.workspace, tmp_path / "again", "--annotator", "anna", "--classes", CLASSES) as it:
        anna = browser.open(it.urls["anna"])
        assert wait_image(anna) == image
        assert anna.run("document.querySelector('#count').textContent") == "5 of 8"
        while image:
            image = answer(anna, "1", "Enter")
    assert job.labels() == {i: "crack" if i in saved else "good" for i in job.ids}
    assert len(job.opinions()) == 8


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1920, 1080), (1024, 700)])
def test_everything_fits(tmp_path: Path, browser: Chromium, width: int, height: int) -> None:
    job = make_job(tmp_path / "line", 16)
    names = ",".join(f"class-of-defect-number-{number}" for number in range(30))
    with served(job.workspace, tmp_path / "label", "--annotator", "anna" * 12, "--classes", names) as it:
        page = browser.open(it.urls["anna" * 12], width, height)
        wait_image(page)
        for _ in range(9):
            answer(page, "1", "Enter")
        sticking = page.run(
            "[...document.querySelectorAll('header *, aside > *, aside .foot *, #tools *, #strip, .current')]"
            ".filter((e) => { const b = e.getBoundingClientRect(); return b.width && (b.right > innerWidth + 1 || "
            "b.bottom > innerHeight + 1 || b.left < -1 || b.top < -1); })"
            ".map((e) => `${e.tagName}.${e.className}#${e.id}`)"
        )
        assert sticking == []
        assert page.run("document.documentElement.scrollWidth") <= width
        assert page.run("document.documentElement.scrollHeight") <= height
