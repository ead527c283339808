"""A real PostgreSQL server for the tests: its own folder, port and password, gone with the session."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from activesel.records import CatalogServer

PASSWORD = "s3cret-of-the-tests"
_START_S = 60
# A locale that sorts "B" after "a", as servers of plants have one: our order must not depend on it.
_LOCALE = ("--locale-provider=icu", "--icu-locale=en-US")


class NoServerError(Exception):
    """Why there can be none here."""


@dataclass
class PostgresServer:
    port: int
    process: subprocess.Popen[bytes]
    _numbers: Iterator[int] = field(default_factory=count)

    def url(self, password: str = PASSWORD, database: str = "postgres") -> str:
        return f"postgresql://tests:{password}@127.0.0.1:{self.port}/{database}"

    def new_catalog(self) -> CatalogServer:
        """Return a place that holds nothing yet; each has a schema of its own, which is faster made than a database."""
        return CatalogServer(self.url(), f"test_{next(self._numbers)}")


def find_program(name: str) -> str:
    """Debian leaves initdb and postgres off the PATH."""
    found = shutil.which(name) or next(
        (str(path) for path in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)), None
    )
    if found is None:
        raise NoServerError(f"PostgreSQL's {name} is not installed")
    return found


@contextlib.contextmanager
def run_server() -> Iterator[PostgresServer]:
    """Start a server on loopback.

    Raises:
        NoServerError: its programs are absent, or refuse root where there is nobody else to run them.
    """
    initdb, postgres, who = find_program("initdb"), find_program("postgres"), _pick_user()
    folder = Path(tempfile.mkdtemp(prefix="activesel-postgres-"))  # pytest's folders let only their owner in
    try:
        secret, cluster = folder / "password", folder / "cluster"
        secret.write_text(PASSWORD)
        for path in (folder, secret):
            shutil.chown(path, who.get("user"), who.get("group"))
        make = [initdb, "-D", str(cluster), "-U", "tests", "-E", "UTF8", "-A", "scram-sha-256", f"--pwfile={secret}"]
        options: dict[str, Any] = {"cwd": folder, "capture_output": True, **who}
        made = subprocess.run([*make, *_LOCALE], check=False, **options)
        if made.returncode:  # before version 15
            shutil.rmtree(cluster, ignore_errors=True)
            made = subprocess.run(make, check=False, **options)
        assert made.returncode == 0, made.stderr.decode()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [postgres, "-D", str(cluster), "-h", "127.0.0.1", "-p", str(port), "-k", "", "-c", "fsync=off"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, **who)
        try:
            _wait(process, port, folder / "log")
            yield PostgresServer(port, process)
        finally:
            process.send_signal(signal.SIGINT)  # ends its clients' sessions, too
            process.wait(_START_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _pick_user() -> dict[str, Any]:
    """PostgreSQL refuses root: run it as somebody who owns nothing."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise NoServerError("PostgreSQL refuses root, and there is no user postgres or nobody to run it")


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise AssertionError(f"PostgreSQL did not start: {log.read_text()[-2000:]}")
