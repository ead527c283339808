"""The adapter against a server made of dictionaries: what it says to refusals, broken lines and strange answers."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from activesel.errors import DataError, UnreachableError
from activesel.tools.mlflow import Entry, Mlflow
from activesel.tools.rest import Rest

ENTRY = Entry("a" * 12, 1_700_000_000_000, {"trainer": "head"}, {"recall": 0.9}, {"activesel.dataset": "d"})
Handler = Callable[[httpx.Request], httpx.Response]


def connect(handler: Handler, token: str = "") -> Mlflow:
    return Mlflow(Rest("http://mlflow", transport=httpx.MockTransport(handler), sleep=lambda _: None), token)


def test_the_token_is_sent_and_a_refusal_says_where_it_is_from() -> None:
    seen = []

    def refuse(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("authorization"))
        return httpx.Response(401, json={"message": "no"})

    with pytest.raises(UnreachableError, match="MLFLOW_TRACKING_TOKEN"):
        connect(refuse, "secret").open_model("line")
    assert seen == ["Bearer secret"]


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"experiment": 3}', b'{"experiment": {}}'])
def test_a_strange_answer_is_no_answer(body: bytes) -> None:
    with pytest.raises(DataError, match="MLflow"):
        connect(lambda _: httpx.Response(200, content=body)).open_model("line")


def test_a_deleted_experiment_is_told() -> None:
    answer = {"experiment": {"experiment_id": "1", "lifecycle_stage": "deleted"}}
    with pytest.raises(DataError, match="was deleted there"):
        connect(lambda _: httpx.Response(200, json=answer)).open_model("line")


def test_what_may_have_been_done_is_not_sent_again() -> None:
    sent = []

    def cut(request: httpx.Request) -> httpx.Response:
        sent.append(request.url.path.rpartition("mlflow/")[2])
        if "search" in request.url.path:
            return httpx.Response(200, json={})
        raise httpx.ReadError("cut")

    with pytest.raises(UnreachableError, match="nothing is made twice"):
        connect(cut).push("line", "1", ENTRY)
    assert sent == ["runs/search", "runs/create"]
