"""The collector: every format over HTTP, what is refused and how, and nothing lost or doubled by kill -9."""

from __future__ import annotations

import base64
import gzip
import json
import random
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from activesel.catalog import Catalog
from activesel.events.commit import GroupCommit
from activesel.events.drain import Drained, drain_step
from activesel.events.log import EventLog
from activesel.pipelines.events import drain_leftovers, log_folder, store_read
from activesel.web.collector import MOST_EVENTS, Collector, create_collector
from activesel.workspace import Workspace, create_workspace
from tests.events.payloads import BATCHES, CLOUDEVENT, DATA, MEASURED, SINGLES, TRACK
from tests.web.collecting import collecting, end

TOKEN = "a-secret-of-the-line"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PATHS = {"cloudevents": "/v1/events", "segment": "/v1/track", "snowplow": "/com.snowplowanalytics.snowplow/tp2",
         "ga4": "/mp/collect"}  # fmt: skip


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "work")


@dataclass
class Served:
    """The collector in this process; its log is drained when asked to, not in the background."""

    client: TestClient
    collector: Collector
    workspace: Workspace
    stored: Drained = field(default_factory=Drained)

    def post(self, value: Any, path: str = "/v1/events", **headers: str) -> Any:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.client.post(path, content=content, headers={**BEARER, **headers})

    def ids(self) -> list[str]:
        with Catalog.open(self.workspace.catalog_place) as catalog:
            while drain_step(self.collector.log, lambda read: store_read(self.workspace, catalog, read), self.stored):
                pass
            return [one.id for one in catalog.events.read()]

    def reasons(self) -> list[str]:
        self.ids()
        with Catalog.open(self.workspace.catalog_place) as catalog:
            return [one.reason for one in catalog.events.dead_letters()]


@pytest.fixture
def served(workspace: Workspace) -> Iterator[Served]:
    log = EventLog(log_folder(workspace))
    commit = GroupCommit(log.append)
    collector = Collector(log, commit, Drained(), TOKEN, 64 << 10, 256 << 10, 1 << 20)

    @asynccontextmanager
    async def live(_app: Starlette) -> AsyncIterator[None]:
        yield
        await commit.close()

    with TestClient(create_collector(collector, live)) as client:
        yield Served(client, collector, workspace)
    log.close()


@pytest.mark.parametrize(("name", "payload", "_source", "_id"), SINGLES)
def test_each_format_has_its_path(served: Served, name: str, payload: Any, _source: str, _id: str | None) -> None:
    answer = served.post(payload, PATHS[name])
    assert (answer.status_code, answer.json()) == (200, {"accepted": 1})
    assert len(served.ids()) == 1
    assert served.post(payload, PATHS[name]).status_code == 200, "again is no error"
    assert len(served.ids()) == 1, "and one event"


@pytest.mark.parametrize(("name", "payload"), BATCHES)
def test_batches(served: Served, name: str, payload: Any) -> None:
    path = "/v1/batch" if name == "segment" else PATHS[name]
    assert served.post(payload, path).json() == {"accepted": 2}
    assert len(served.ids()) == 2


def test_binary_mode(served: Served) -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "7%20a", "ce-source": "/line3", "ce-type": "operator.override",
               "ce-time": "2026-11-23T14:00:00Z", "content-type": "application/json"}  # fmt: skip
    assert served.post(DATA, **headers).json() == {"accepted": 1}
    assert served.ids() == ["7 a"]
    assert served.post(b"{", **headers).status_code == 400
    assert served.post(DATA, **{**headers, "ce-specversion": "0.3"}).status_code == 400


def test_lines(served: Served) -> None:
    lines = b"\n".join(json.dumps({**CLOUDEVENT, "id": one}).encode() for one in "abc") + b"\n\nbroken\n"
    answer = served.post(lines, **{"content-type": "application/x-ndjson"})
    assert (answer.status_code, answer.json()["accepted"], answer.json()["rejected"]) == (200, 3, 1)
    assert served.ids() == ["a", "b", "c"]


def test_what_is_no_event_is_told_and_kept(served: Served) -> None:
    mixed = served.post([CLOUDEVENT, {**CLOUDEVENT, "id": "2", "type": "nonsense"}])
    assert mixed.status_code == 200
    assert "not a type of event" in mixed.json()["reasons"][0]
    for bad in (b"", b"{", b"[]", b"\xff", b"[1, 2]", b"{}"):
        assert served.post(bad).status_code == 400
    assert served.ids() == ["01J"]
    assert len(served.reasons()) == 8


@pytest.mark.parametrize(
    ("headers", "path", "status"),
    [({}, "/v1/events", 401), ({"Authorization": "Bearer wrong"}, "/v1/events", 401),
     ({"Authorization": f"Basic {base64.b64encode(f'{TOKEN}:'.encode()).decode()}"}, "/v1/track", 200),
     ({"Authorization": "Basic %%%"}, "/v1/track", 401), ({}, f"/mp/collect?api_secret={TOKEN}", 200),
     ({}, f"/v1/track?api_secret={TOKEN}", 401), ({"Authorization": "Bearer \xe9"}, "/v1/track", 401)],
)  # fmt: skip
def test_tokens(served: Served, headers: dict[str, str], path: str, status: int) -> None:
    payload = MEASURED if path.startswith("/mp") else TRACK
    sent = {name: value.encode("latin1") for name, value in headers.items()}
    assert served.client.post(path, json=payload, headers=sent).status_code == status  # type: ignore[arg-type]
    assert len(served.ids()) == (status == 200)


def test_bodies_are_bounded(served: Served) -> None:
    assert served.post(b" " * (65 << 10)).status_code == 413
    packed = gzip.compress(b" " * 10**6)
    assert served.post(packed, **{"content-encoding": "gzip"}).status_code == 413
    assert (
        served.post(gzip.compress(json.dumps(CLOUDEVENT).encode()), **{"content-encoding": "gzip"}).status_code == 200
    )
    assert served.post(b"nonsense", **{"content-encoding": "gzip"}).status_code == 400
    assert served.post(b"nonsense", **{"content-encoding": "br"}).status_code == 415
    assert served.post(b"[" + b"1," * MOST_EVENTS + b"1]").status_code == 413
    assert served.post(b"<a/>", **{"content-type": "text/xml"}).status_code == 415
    assert served.client.post("/v1/events", content=iter([b" " * (40 << 10)] * 2), headers=BEARER).status_code == 413
    assert served.collector.waiting == 0, "what was made room for is given back"


def test_too_much_is_sent_away_for_a_while(served: Served) -> None:
    served.collector.waiting = served.collector.max_waiting
    answer = served.post(CLOUDEVENT)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    served.collector.waiting = 0
    served.collector.max_backlog = 0
    assert served.post(CLOUDEVENT).status_code == 200, "the log is empty"
    assert served.post(CLOUDEVENT).status_code == 503, "it is not"
    assert served.ids() == ["01J"]
    assert served.post(CLOUDEVENT).status_code == 200


def test_a_full_disk_is_no_200(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_records: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(served.collector.commit, "_write", fail)
        answer = served.post(CLOUDEVENT)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "space" in answer.json()["error"]
    assert served.post(CLOUDEVENT).status_code == 200


def test_health_metrics_and_schemas(served: Served) -> None:
    served.post(CLOUDEVENT)
    assert served.client.get("/health").json()["status"] == "ok"
    served.collector.drained.complaint = "the catalog is in use"
    assert served.client.get("/health").status_code == 503
    metrics = served.client.get("/metrics").text
    assert "activesel_events_accepted_total 1\n" in metrics
    assert 'requests_total{status="200"} 1\n' in metrics
    schema = served.client.get("/schemas/com.activesel/operator_override/jsonschema/1-0-0").json()
    assert schema["self"]["name"] == "operator_override"
    assert served.client.get("/schemas/../default.yaml").status_code == 404
    assert served.client.get("/v1/events").status_code == 405


def test_bytes_that_are_anything_leave_it_alive(served: Served, rng: Any) -> None:
    whole = json.dumps([CLOUDEVENT, MEASURED, TRACK]).encode()
    for path in (*PATHS.values(), "/v1/batch"):
        for _ in range(40):
            raw = bytearray(whole)
            for at in rng.integers(0, len(raw), 4):
                raw[at] = rng.integers(0, 256)
            assert served.post(bytes(raw), path).status_code in (200, 400)
    assert served.post(CLOUDEVENT).status_code == 200


@pytest.mark.server
@pytest.mark.timeout(600)
def test_nothing_is_lost_or_doubled_by_kill_9(workspace: Workspace, tmp_path: Path) -> None:
    """Five times: send from three connections, kill at a random instant, go on. Then all that was answered is there."""
    chance, answered, sent = random.Random(0), set[str](), set[str]()
    for life in range(5):
        with collecting(workspace, tmp_path / str(life)) as (process, sender):

            def send(worker: int, life: int = life, sender: Any = sender) -> None:
                own = type(sender)(*sender.address)
                for number in range(10_000):
                    ids = [f"{life}-{worker}-{number}-{i}" for i in range(1 + number % 3)]
                    sent.update(ids)
                    answer = own.post([{**CLOUDEVENT, "id": one} for one in ids])
                    if answer is None:
                        break
                    assert answer == (200, {"accepted": len(ids)})
                    answered.update(ids)
                own.close()

            threads = [threading.Thread(target=send, args=(worker,)) for worker in range(3)]
            for thread in threads:
                thread.start()
            time.sleep(chance.uniform(0.3, 1.5))
            process.kill()
            for thread in threads:
                thread.join(60)
    assert len(answered) > 50
    drain_leftovers(workspace)
    with Catalog.open(workspace.catalog_place) as catalog:
        stored = [one.id for one in catalog.events.read()]
        assert catalog.events.dead_letters() == []
    assert len(stored) == len(set(stored)), "none twice"
    assert answered <= set(stored) <= sent


@pytest.mark.server
def test_a_terminated_collector_stores_what_it_holds(workspace: Workspace, tmp_path: Path) -> None:
    with collecting(workspace, tmp_path / "run") as (process, sender):
        for number in range(20):
            assert sender.post([{**CLOUDEVENT, "id": str(number)}]) == (200, {"accepted": 1})
        assert end(process) == 0
    assert not list(log_folder(workspace).glob("*.log"))
    with Catalog.open(workspace.catalog_place) as catalog:
        assert len(list(catalog.events.read())) == 20
