"""`activesel review` as a process of its own, which can be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from activesel.workspace import Workspace
from tests.web.browser import wait_for

START_S = 150  # the queue of --adjudicate brings torch along, which a crowded machine takes its time to import


@dataclass(frozen=True)
class Served:
    """urls: name -> the link that the command printed."""

    process: subprocess.Popen[bytes]
    urls: dict[str, str]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def stop(self) -> int:
        """End it as Ctrl-C does; return its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


@contextmanager
def served(workspace: Workspace, folder: Path, *arguments: str) -> Iterator[Served]:
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "activesel", "review", "-w", str(workspace.root), "--json", *arguments]
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        root = str(Path(__file__).resolve().parents[2])
        process = subprocess.Popen(command, stdout=out, stderr=err, env=os.environ | {"PYTHONPATH": root})
        try:
            out_file = folder / "out"
            wait_for(
                lambda: process.poll() is not None or out_file.read_text().rstrip().endswith("}"), "no start", START_S
            )
            assert process.poll() is None, (folder / "err").read_text()
            told = json.loads(out_file.read_text())
            yield Served(process, {one["name"]: one["url"] for one in told["annotators"]})
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(30)
