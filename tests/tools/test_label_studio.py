"""The adapter: both kinds of token, busy and broken servers, answers that are none."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from activesel.errors import ActiveselError, DataError, UnreachableError, UsageError
from activesel.tools import rest as rest_module
from activesel.tools.label_studio import LabelStudio
from activesel.tools.rest import MaybeDoneError, Rest
from tests.tools.fake_label_studio import LEGACY, PERSONAL, FakeLabelStudio

URL = "http://studio.example:8080"


def connect(handle: Callable[[httpx.Request], httpx.Response], token: str = LEGACY) -> tuple[LabelStudio, list[float]]:
    pauses: list[float] = []
    return LabelStudio(Rest(URL, transport=httpx.MockTransport(handle), sleep=pauses.append), token, "--token"), pauses


@pytest.mark.parametrize("token", [LEGACY, PERSONAL])
def test_both_kinds_of_token(token: str) -> None:
    tool, _ = connect(FakeLabelStudio().handle, token)
    assert tool.whoami() == "bot@example.com"


def test_access_that_has_run_out_is_bought_again() -> None:
    server = FakeLabelStudio()
    tool, _ = connect(server.handle, PERSONAL)
    tool.whoami()
    server.n_access += 1  # the former access is worth nothing from now on
    assert tool.users() == {1: "ann@x.example", 2: "bob@x.example"}


@pytest.mark.parametrize(("token", "kind"), [("wrong", "legacy token"), ("w.r.o", "personal access token")])
def test_a_token_that_is_refused(token: str, kind: str) -> None:
    tool, pauses = connect(FakeLabelStudio().handle, token)
    with pytest.raises(
        UnreachableError, match=rf"{URL}: .*refuses the {kind} from --token; found \w+.*nvalid"
    ) as caught:
        tool.whoami()
    assert token not in str(caught.value)
    assert pauses == []


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_busy_server_is_asked_again(status: int) -> None:
    server = FakeLabelStudio()
    server.before = lambda _: httpx.Response(status, headers={"retry-after": "3"}) if len(server.requests) < 4 else None
    tool, pauses = connect(server.handle)
    assert tool.whoami() == "bot@example.com"
    assert pauses == [3, 3, 3]


def test_a_server_that_stays_broken() -> None:
    tool, pauses = connect(lambda _: httpx.Response(500))
    with pytest.raises(UnreachableError, match="does not answer; found status 500; start it"):
        tool.whoami()
    assert pauses == [0.5, 1, 2, 4]


def test_nobody_there() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused", request=request)

    tool, _ = connect(refuse)
    with pytest.raises(
        UnreachableError, match=r"studio\.example:8080: the server does not answer; found Connection ref"
    ):
        tool.import_tasks(1, [{}])  # nothing was sent, so that trying again is safe


@pytest.mark.parametrize("answer", [httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("cut"), 500])
def test_what_may_have_been_done_is_not_sent_twice(answer: Exception | int) -> None:
    n_sent = 0

    def handle(_request: httpx.Request) -> httpx.Response:
        nonlocal n_sent
        n_sent += 1
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer)

    tool, _ = connect(handle)
    with pytest.raises(MaybeDoneError):
        tool.import_tasks(1, [{}])
    assert n_sent == 1


@pytest.mark.parametrize(
    ("response", "kind", "message"),
    [
        (httpx.Response(200, text="<html>another server</html>"), DataError, "not an answer of Label Studio"),
        (httpx.Response(200, json=[1]), DataError, "not an answer of Label Studio; found .1."),
        (httpx.Response(200, text="[" * 100_000), DataError, "not an answer"),
        (httpx.Response(403, json={"detail": "no\nright"}), DataError, "refuses GET /api/.*found 403: no right"),
        (httpx.Response(302, headers={"location": "http://elsewhere"}), DataError, "found 302"),
    ],
)
def test_answers_that_are_none(response: httpx.Response, kind: type[ActiveselError], message: str) -> None:
    tool, _ = connect(lambda _: response)
    with pytest.raises(kind, match=message):
        tool.whoami()


def test_an_answer_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_module, "_MOST_BYTES", 1000)
    tool, _ = connect(lambda _: httpx.Response(200, content=b"x" * 1001))
    with pytest.raises(DataError, match="too large"):
        tool.whoami()


@pytest.mark.parametrize("url", ["studio:8080", "ftp://studio", "file:///etc/passwd"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(UsageError, match="not the address"):
        Rest(url)


def test_titles_that_contain_ours_are_other_projects() -> None:
    server = FakeLabelStudio()
    tool, _ = connect(server.handle)
    for title in ("line-4 00012", "line-4 0001", "line-4 0001"):
        tool.create_project(title, "<View/>", "")
    found = tool.find_project("line-4 0001")
    assert found is not None
    assert found.project_id == 2
    assert tool.find_project("line-4 000") is None
