"""`activesel events serve` as a process of its own, which can be killed, and a client that keeps its connection."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from activesel.workspace import Workspace
from tests.web.browser import wait_for

START_S = 60


class Sender:
    """Posts JSON; a connection that breaks gives None: nobody knows whether it arrived."""

    def __init__(self, url: str, token: str) -> None:
        self.address = (url, token)
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/cloudevents-batch+json"}

    def post(self, value: Any, path: str = "/v1/events") -> tuple[int, Mapping[str, Any]] | None:
        try:
            self._connection.request("POST", path, json.dumps(value), self._headers)
            response = self._connection.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, http.client.HTTPException):
            return None

    def close(self) -> None:
        self._connection.close()


@contextmanager
def collecting(workspace: Workspace, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Sender]]:
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "activesel", "events", "serve", "-w", str(workspace.root), "--port", "0", "--json"]
    root = str(Path(__file__).resolve().parents[2])
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, env=os.environ | {"PYTHONPATH": root})
    try:
        said = folder / "out"
        wait_for(lambda: process.poll() is not None or said.read_text().rstrip().endswith("}"), "no start", START_S)
        assert process.poll() is None, (folder / "err").read_text()
        told = json.loads(said.read_text())
        with contextlib.closing(Sender(told["url"], told["token"])) as sender:
            yield process, sender
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(30)


def end(process: subprocess.Popen[bytes]) -> int:
    """End it as a service manager does; what it still holds is stored first."""
    process.send_signal(signal.SIGTERM)
    return process.wait(60)
