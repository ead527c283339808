"""A real Label Studio for the tests: its own environment, folder, port and people."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent.parent
TOKEN = "0123456789abcdef0123456789abcdef01234567"
_START_S = 500  # 22 s on an idle machine: it brings up its database first; 4 s with one that is up


class NoLabelStudioError(Exception):
    """Why there can be none here."""


@dataclass(frozen=True)
class RealLabelStudio:
    url: str
    folder: Path

    @property
    def images(self) -> Path:
        """What the server may show from its own disk."""
        return self.folder / "served"

    def client(self, token: str = TOKEN) -> httpx.Client:
        return httpx.Client(
            base_url=self.url, headers={"Authorization": f"Token {token}"}, timeout=120, trust_env=False
        )

    def add_user(self, name: str) -> str:
        """Make a person and return the token; their own command for it takes a start of Django each time."""
        with self.client() as client:
            asked = {"email": f"{name}@example.com", "username": name, "password": "not-used-12345"}
            user = client.post("/api/users/", json=asked).raise_for_status().json()
        with contextlib.closing(sqlite3.connect(self.folder / "data" / "label_studio.sqlite3")) as database:
            found = database.execute("SELECT key FROM authtoken_token WHERE user_id = ?", (user["id"],)).fetchall()
        ((token,),) = found
        return str(token)


def annotate(client: httpx.Client, task_id: int, result: list[dict[str, Any]], **more: Any) -> None:
    client.post(f"/api/tasks/{task_id}/annotations/", json={"result": result, **more}).raise_for_status()


@contextlib.contextmanager
def run_label_studio() -> Iterator[RealLabelStudio]:
    """Start the server on loopback.

    Raises:
        NoLabelStudioError: it is not installed.
    """
    home = Path(os.environ.get("ACTIVESEL_LABEL_STUDIO_VENV", ROOT / "build" / "label-studio-venv"))
    program = home / "bin" / "label-studio"
    if not program.exists():
        raise NoLabelStudioError(f"no Label Studio in {home}; run python scripts/install_server.py label-studio")
    memory = Path("/dev/shm")  # hundreds of migrations, each of which waits for the disk
    folder = Path(tempfile.mkdtemp(prefix="activesel-label-studio-", dir=memory if memory.is_dir() else None))
    (folder / "served").mkdir()
    (folder / "data").mkdir()
    database, kept = folder / "data" / "label_studio.sqlite3", home / "first-start.sqlite3"
    if kept.exists():
        shutil.copy(kept, database)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(program), "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port), "--data-dir",
               str(folder / "data"), "--log-level", "WARNING"]  # fmt: skip
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | _environment(folder)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        server = RealLabelStudio(f"http://127.0.0.1:{port}", folder)
        _wait(process, server.url, folder / "log")
        if not kept.exists():
            _keep(database, kept)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _keep(database: Path, kept: Path) -> None:
    """Copy the database of a first start, so that the next one has nothing to bring up."""
    draft = kept.with_suffix(f".{os.getpid()}")
    with contextlib.closing(sqlite3.connect(database)) as source, contextlib.closing(sqlite3.connect(draft)) as copy:
        source.backup(copy)
    draft.replace(kept)


def _environment(folder: Path) -> dict[str, str]:
    return {
        "LABEL_STUDIO_USERNAME": "bot@example.com", "LABEL_STUDIO_PASSWORD": "bot-pass-123",
        "LABEL_STUDIO_USER_TOKEN": TOKEN, "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true", "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(folder / "served"),
        "COLLECT_ANALYTICS": "false", "LATEST_VERSION_CHECK": "false", "SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": "",
    }  # fmt: skip


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url + "/health", timeout=5, trust_env=False).json() == {"status": "UP"}:
                return
        time.sleep(0.5)
    raise AssertionError(f"Label Studio did not start: {log.read_text()[-2000:]}")
