"""Who may ask, and what comes back with every answer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from activesel.web.guard import MAX_BODY_BYTES, People, csrf_of, is_own_host
from tests.web.jobs import Job, Person, make_job, message_of, serve

PATHS = ("/", "/image/{id}", "/thumbnail/{id}")
POSTS = ("/api/next", "/api/answer", "/api/back", "/api/open", "/api/classes")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return make_job(tmp_path)


def test_nothing_without_a_token(job: Job) -> None:
    with serve(job) as (anna,):
        for path in PATHS:
            answer = anna.client.get(path.format(id=job.ids[0]))
            assert answer.status_code == 401, path
        for path in POSTS:
            assert anna.client.post(path, json={}).status_code == 401, path
            cookie = f"{anna.headers['cookie'][:-1]}!"
            assert anna.post(path, {}, cookie=cookie).status_code == 401, path


def test_the_link_becomes_a_cookie_that_scripts_cannot_read(job: Job) -> None:
    with serve(job) as (anna,):
        answer = anna.client.get(f"/enter/{anna.token}")
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert anna.token not in answer.text
        page = anna.client.get("/")  # the client has kept the cookie
        assert page.status_code == 200
        assert anna.token not in page.text
        assert csrf_of(anna.token) in page.text
        assert anna.client.get("/enter/wrong").status_code == 401


def test_tokens_are_long_and_each_ones_own() -> None:
    people = People.invite(["anna", "ben"], 8000)
    assert {len(token) for token in people.tokens} == {43}  # 32 bytes in base64
    assert [people.find(token) for token in people.tokens] == ["anna", "ben"]
    assert [people.find(wrong) for wrong in (None, "", "ä" * 43, next(iter(people.tokens))[:-1])] == [None] * 4


@pytest.mark.parametrize(
    "headers",
    [
        {"x-csrf-token": ""},
        {"x-csrf-token": "0" * 64},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_post_from_elsewhere_changes_nothing(job: Job, headers: dict[str, str]) -> None:
    with serve(job) as (anna,):
        assert anna.post("/api/answer", message_of(job.ids[0], "crack"), **headers).status_code == 403
    assert job.opinions() == []


def test_one_persons_page_cannot_speak_for_another(job: Job) -> None:
    with serve(job, "anna", "ben") as (anna, ben):
        answer = anna.post("/api/answer", message_of(job.ids[0], "crack"), cookie=ben.headers["cookie"])
        assert answer.status_code == 403
        assert "another link" in answer.json()["error"]
    assert job.opinions() == []


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "10.0.0.7", "127.0.0.1.evil.example", "", "[", "@"]
)
def test_foreign_names_of_this_address_get_nothing(job: Job, host: str) -> None:
    with serve(job) as (anna,):
        assert anna.client.get("/", headers=anna.headers | {"host": host}).status_code == 421


def test_own_names() -> None:
    for host in ("127.0.0.1:80", "localhost:9000", "[::1]:80", "127.0.0.1"):
        assert is_own_host(host, "127.0.0.1"), host
        assert is_own_host(host, "0.0.0.0"), host
    assert is_own_host("10.0.0.7:80", "0.0.0.0")
    assert not is_own_host("evil.example:80", "0.0.0.0")
    assert is_own_host("station7.plant:80", "station7.plant")


def test_every_answer_carries_the_headers(job: Job) -> None:
    with serve(job) as (anna,):
        answers = [
            anna.get("/"), anna.get("/static/review.js"), anna.get(f"/image/{job.ids[0]}"), anna.client.get("/"),
            anna.get("/nothing"), anna.post("/api/next", {}), anna.client.get("/", headers={"host": "evil.example"}),
        ]  # fmt: skip
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';"), answer.url
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "server" not in answer.headers
    assert answers[0].headers["cache-control"] == "no-store"


def test_pages_have_nothing_inline_and_load_nothing_from_elsewhere() -> None:
    for page in (Path(__file__).parents[2] / "activesel" / "web").glob("*.*"):
        text = page.read_text(encoding="utf8")
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text) or page.suffix == ".py", page
        if page.suffix == ".j2":
            assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]* src=)|\|\s*safe", text), page
        if page.suffix == ".js":
            assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function", text), (
                page
            )


@pytest.mark.parametrize("told", [True, False])
def test_a_large_body_is_refused(job: Job, told: bool) -> None:
    with serve(job) as (anna,):
        body = b"[" + b" " * MAX_BODY_BYTES
        content = body if told else (body[i : i + 65536] for i in range(0, len(body), 65536))  # without its length
        answer = anna.client.post("/api/answer", content=content, headers=anna.headers)
        assert answer.status_code == 413
        assert anna.client.get("/").status_code == 401  # still there


@pytest.mark.parametrize("path", ["/static/../guard.py", "/static/%2e%2e%2fguard.py", "/static/app.py",
                                  "/image/../../catalog.sqlite", "/image/%2e%2e%2f%2e%2e%2fcatalog.sqlite",
                                  "/image/" + "0" * 32, "/image/x%00", "/docs", "/openapi.json"])  # fmt: skip
def test_only_our_files_and_the_batchs_images(job: Job, path: str) -> None:
    with serve(job) as (anna,):
        assert anna.get(path).status_code == 404


def test_a_stranger_learns_no_image(job: Job, tmp_path: Path) -> None:
    other = make_job(tmp_path / "other", 5).ids[4]
    with serve(job) as (anna,):
        assert anna.get(f"/image/{other}").status_code == 404
        assert isinstance(anna, Person)
