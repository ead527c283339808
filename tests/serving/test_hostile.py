"""Whatever is sent, the answer is a status of the client's fault in one line, and the next request is answered."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from activesel.errors import UsageError
from activesel.lots import Arm
from activesel.serving.request import ServeRequest, check_request
from activesel.serving.serve import serve_predictions
from tests.serving.clients import client, logged
from tests.serving.hostile import MULTIPARTS, bad_bodies
from tests.serving.toys import Toy, make_workspace, picture

GOOD = picture(200)


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with client(make_workspace(tmp_path_factory.mktemp("w"), "m1"), {"m1": Toy()}) as one:
        yield one


@pytest.mark.parametrize("name", bad_bodies())
def test_bad_bodies(http: TestClient, name: str) -> None:
    body, statuses = bad_bodies()[name]
    answer = http.post("/v1/predict", content=body)
    assert answer.status_code in statuses, answer.text
    assert list(answer.json()) == ["error"]
    assert "\n" not in answer.json()["error"]
    assert http.post("/v1/predict", content=GOOD).status_code == 200


@pytest.mark.parametrize("name", MULTIPARTS)
def test_bad_multiparts(http: TestClient, name: str) -> None:
    kind, body = MULTIPARTS[name]
    answer = http.post("/v1/predict", content=body, headers={"content-type": kind})
    assert answer.status_code in (400, 413), answer.text
    assert http.post("/v1/predict", content=GOOD).status_code == 200


def test_too_long_bodies_said_and_unsaid(http: TestClient) -> None:
    assert http.post("/v1/predict", content=bytes(1_000_001)).status_code == 413
    assert http.post("/v1/predict", content=(bytes(65536) for _ in range(20))).status_code == 413
    held = http.app.state.door.room  # type: ignore[attr-defined]
    assert held._free == 16_000_000, "every byte was given back"


def test_a_picture_with_too_many_pixels_takes_no_memory(http: TestClient) -> None:
    tracemalloc.start()
    assert http.post("/v1/predict", content=bad_bodies()["png of 60,000 x 60,000"][0]).status_code == 413
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("query", ["lot=" + "x" * 300, "image_id=a%00b", "station=%0a"])
def test_names_are_short_and_printable(http: TestClient, query: str) -> None:
    answer = http.post(f"/v1/predict?{query}", content=GOOD)
    assert answer.status_code == 400
    assert "printable" in answer.json()["error"]


@pytest.mark.parametrize("path", ["/", "/v1/predict/../../etc/passwd", "/static/x", "/docs", "/openapi.json"])
def test_nothing_else_is_served(http: TestClient, path: str) -> None:
    answer = http.get(path)
    assert answer.status_code in (404, 405)
    assert list(answer.json()) == ["error"]
    assert http.get("/v1/predict").status_code == 405


def test_a_head_without_end(http: TestClient) -> None:
    assert http.post("/v1/predict", content=GOOD, headers={"x-big": "x" * 70_000}).status_code == 431


def test_pages_of_others_get_nothing(http: TestClient) -> None:
    for headers in ({"host": "evil.example"}, {"origin": "https://evil.example"}, {"host": "[::1"}):
        assert http.post("/v1/predict", content=GOOD, headers=headers).status_code == 421
        assert http.get("/v1/model", headers=headers).status_code == 421


def test_a_token_is_asked_for_where_there_is_one(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, "m1")
    with client(workspace, {"m1": Toy()}, token="secret") as http:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "secret"}):
            answer = http.post("/v1/predict", content=GOOD, headers=headers)
            assert answer.status_code == 401
            assert http.get("/metrics", headers=headers).status_code == 401
        assert http.get("/health").status_code == 200
        assert logged(workspace) == []
        known = {"authorization": "Bearer secret", "host": "line-4.plant"}
        assert http.post("/v1/predict", content=GOOD, headers=known).status_code == 200


def test_an_open_address_needs_a_token(tmp_path: Path) -> None:
    request = ServeRequest({Arm.champion: "champion"}, host="0.0.0.0")
    with pytest.raises(UsageError, match="token"):
        serve_predictions(make_workspace(tmp_path, "m1"), request, lambda _f, _d: Toy(), lambda _s: None)


@pytest.mark.parametrize(("more", "said"), [({"by": "shift"}, "--by"), ({"engine": "abacus"}, "--engine")])
def test_requests_that_do_not_fit(more: dict[str, str], said: str) -> None:
    known = {"by": "lot", "engine": "torch", "host": "127.0.0.1", "port": 0, "token": "", "share": 0.2}
    with pytest.raises(UsageError, match=said):
        check_request("champion", None, None, **(known | more))  # type: ignore[arg-type]
