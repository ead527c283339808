"""The command line in this process, and a finished job for commands that only read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from activesel.cli import run
from tests.cli.samples import tiny_backbone, write_labels, write_photos


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The one line that a failing command prints."""
        (line,) = self.err.splitlines()
        assert self.out == ""
        return line.removeprefix("activesel: ")


Cli = Callable[..., Outcome]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run one command as `activesel ARGUMENTS` would, in this process."""

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        return Outcome(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("images") / "photos", 24)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return tiny_backbone(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, photos: Path, tiny: list[str]) -> Path:
    """A workspace with 24 images, 8 labels and one batch of 5; its settings name the tiny backbone. Read only."""
    folder = tmp_path_factory.mktemp("finished") / "job"
    assert run(["init", str(folder)]) == 0
    settings = [word.replace("=", ": ", 1) for word in tiny if word != "--set"]
    pinned = {"embedding": [], "duplicates": []}
    for line in settings:
        section, _, rest = line.partition(".")
        pinned[section].append(f"  {rest}")
    text = "schema_version: 1\n" + "".join(f"{name}:\n" + "\n".join(rows) + "\n" for name, rows in pinned.items())
    (folder / "activesel.yaml").write_text(text, encoding="utf8")
    labels = write_labels(folder.parent / "labels.csv", photos, 8)
    assert run(["ingest", str(photos), "--labels", str(labels), "-w", str(folder)]) == 0
    assert run(["select", "--budget", "5", "-w", str(folder)]) == 0
    return folder


@pytest.fixture
def workspace(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished workspace, to write to."""
    return Path(shutil.copytree(finished, tmp_path / "job"))
