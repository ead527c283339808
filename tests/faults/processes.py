"""Real processes that run a command, to be killed; forked from a server that has imported torch already."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from activesel.cli import main

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["tests.faults.warm"])
TIMEOUT_S = 120


@dataclass(frozen=True)
class Ended:
    """code: the exit code, or minus the number of the signal that ended the process."""

    code: int
    out: str
    err: str


class Process:
    """A command under way. Its output goes to files, so that a full pipe never blocks it."""

    def __init__(self, arguments: list[str], folder: Path, *, max_file_bytes: int | None = None) -> None:
        self._out, self._err = folder / "stdout", folder / "stderr"
        self._process = _SERVER.Process(target=_run, args=(arguments, str(self._out), str(self._err), max_file_bytes))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
            if self._process.exitcode is None:
                os.kill(self.pid, number)

    def wait_until(self, happened: Callable[[], bool]) -> bool:
        """Watch until ``happened`` or the process ends; return whether it happened first."""
        deadline = time.monotonic() + TIMEOUT_S
        while self._process.exitcode is None:
            if happened():
                return True
            assert time.monotonic() < deadline, "the process hangs"
            time.sleep(0.001)
        return False

    def end(self) -> Ended:
        self._process.join(TIMEOUT_S)
        code = self._process.exitcode
        if code is None:
            self._process.kill()
            raise AssertionError(f"the process hangs; its stderr: {self._err.read_text()}")
        self._process.close()
        return Ended(code, _read(self._out), _read(self._err))


def run_process(arguments: list[str], folder: Path, *, max_file_bytes: int | None = None) -> Ended:
    return Process(arguments, folder, max_file_bytes=max_file_bytes).end()


def _read(path: Path) -> str:
    return path.read_text(encoding="utf8") if path.exists() else ""


def _run(arguments: list[str], out: str, err: str, max_file_bytes: int | None) -> None:
    """Become `activesel ARGUMENTS`."""
    for path, number in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    if max_file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_bytes, max_file_bytes))
    sys.argv = ["activesel", *arguments]
    main()
