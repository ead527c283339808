"""The server as a process of its own: it is ended, killed, dripped at, and goes on."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from activesel.pipelines.prediction_log import predictions_folder, read_predictions_made
from activesel.workspace import Workspace
from tests.serving.toys import make_workspace, picture

START_S = 150
ROOT = Path(__file__).resolve().parents[2]
RUN = """
import sys
from pathlib import Path
from activesel.cli.serve import _show_json
from activesel.cli.failures import Terminated, report_failure
from activesel.lots import Arm
from activesel.serving.request import ServeRequest
from activesel.serving.serve import serve_predictions
from activesel.workspace import find_workspace
from tests.serving.toys import Toy
import signal, time

class Slow(Toy):
    def probabilities(self, batch):
        time.sleep(0.2)
        return super().probabilities(batch)

def end(_signal, _frame):
    raise Terminated

signal.signal(signal.SIGTERM, end)
workspace = find_workspace(Path(sys.argv[1]), ["serving.read_timeout_s=1", "serving.sync_s=0.1"])
serve_predictions(workspace, ServeRequest({Arm.champion: "champion"}), lambda _folder, _device: Slow(), _show_json)
"""


@contextmanager
def served(workspace: Workspace) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    process = subprocess.Popen([sys.executable, "-c", RUN, str(workspace.root)], stdout=subprocess.PIPE,
                               env=os.environ | {"PYTHONPATH": str(ROOT)})  # fmt: skip
    assert process.stdout is not None
    try:
        text, until = b"", time.monotonic() + START_S
        while not text.rstrip().endswith(b"\n}") and time.monotonic() < until:
            line = process.stdout.readline()
            assert line, "the server did not start"
            text += line
        yield process, json.loads(text)["url"]
    finally:
        process.kill()
        process.wait(30)
        process.stdout.close()


def ask(url: str, body: bytes) -> dict[str, object]:
    with urllib.request.urlopen(urllib.request.Request(f"{url}/v1/predict?lot=L", body), timeout=60) as answer:
        return dict(json.load(answer))


def talk(url: str, content: bytes, pause_s: float = 0.0) -> bytes:
    """Send raw bytes, wait, and return all that comes back until the other side closes."""
    place = urlsplit(url)
    with socket.create_connection((str(place.hostname), int(place.port or 0)), timeout=30) as line:
        line.sendall(content)
        time.sleep(pause_s)
        received = b""
        while chunk := line.recv(65536):
            received += chunk
        return received


@pytest.mark.server
def test_it_answers_strangers_and_ends_when_told(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, "m1")
    with served(workspace) as (process, url):
        assert ask(url, picture(230))["verdict"] == "reject"
        head = b"POST /v1/predict HTTP/1.1\r\nhost: 127.0.0.1\r\n"
        for slow in (head, b"", head + b"content-length: 1000\r\n\r\nabc", b"GET /hea"):
            assert b" 408 " in talk(url, slow).split(b"\r\n")[0]
        assert b" 400 " in talk(url, b"\x00\xff\r\n\r\n").split(b"\r\n")[0]
        assert process.poll() is None
        assert ask(url, picture(20))["verdict"] == "accept"
        place = urlsplit(url)
        with socket.create_connection((str(place.hostname), int(place.port or 0)), timeout=30) as line:
            body = picture(230)
            line.sendall(head + b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
            time.sleep(0.1)
            process.send_signal(signal.SIGTERM)  # while the model is at it
            received = b""
            while chunk := line.recv(65536):
                received += chunk
        assert b" 200 " in received.split(b"\r\n")[0], "what was under way is answered"
        assert process.wait(30) == 0
    assert len(list(read_predictions_made(predictions_folder(workspace)))) == 3


@pytest.mark.server
def test_a_killed_one_has_logged_every_answer_that_left_it(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, "m1")
    told = []
    for _ in range(2):
        with served(workspace) as (process, url):
            told += [ask(url, picture(20 * i))["prediction_id"] for i in range(3)]
            process.send_signal(signal.SIGKILL)
            process.wait(30)
    logged = [event["data"]["prediction_id"] for event in read_predictions_made(predictions_folder(workspace))]
    assert logged == told
    assert len(list(predictions_folder(workspace).glob("*.jsonl"))) == 2
