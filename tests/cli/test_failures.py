"""Whatever goes wrong: one line on stderr, nothing on stdout, and the exit code of docs/exit_codes.md."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

from activesel import cli as command_line
from activesel.cli import failures
from activesel.errors import ConfigError, LockedError, UnreachableError
from activesel.workspace import find_workspace
from tests.cli.conftest import Cli
from tests.cli.samples import KINDS, write_photos


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ConfigError("bad value", where="a.yaml"), 3, "a.yaml: bad value"),
        (UnreachableError("cannot write"), 6, "cannot write"),
        (LockedError("in use"), 7, "in use"),
        (KeyboardInterrupt(), 130, "interrupted; run the same command again to go on"),
        (failures.Terminated(), 143, "interrupted; run the same command again to go on"),
        (OSError(errno.ENOSPC, "No space left on device", "/mnt/x"), 6, "/mnt/x: No space left on device; free some"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), 6, "Disk quota exceeded; free some space"),
        (OSError(errno.EROFS, "Read-only file system", "/cd"), 6, "/cd: Read-only file system; free some space"),
        (RuntimeError("faiss: write error: No space left on device\nat line 3"), 6, "faiss: write error: No space"),
    ],
)
def test_errors_become_a_line_and_a_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failures.report_failure(error) == code
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"activesel: {line}")


def test_sqlite_disk_full_is_no_bug(capsys: pytest.CaptureFixture[str]) -> None:
    import sqlite3

    assert failures.report_failure(sqlite3.OperationalError("database or disk is full")) == 6
    assert capsys.readouterr().err.count("\n") == 1


def test_our_bugs_show_a_traceback(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble() -> None:
        raise AssertionError("rows out of order")

    monkeypatch.setattr("activesel.strategies.strategy_names", stumble)
    done = cli("strategies")
    assert done.code == 1
    assert "Traceback" in done.err
    assert done.err.splitlines()[-1].startswith("activesel: this is a bug in activesel")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["selct"], "No such command 'selct'"),
        (["select", "--budgit", "3"], "--budgit"),
        (["select"], "--budget"),
        (["select", "--budget", "many"], "Invalid value for '--budget': "),
        (["export", "--format", "xml", "--out", "x"], "Invalid value for '--format': "),
        (["config"], "Missing command; see `activesel config --help`"),
        (["ingest"], "nothing to ingest"),
        (["select", "x", "--budget", "3", "--option", "trust"], "--option trust: cannot read an option"),
    ],
)
def test_usage_errors_are_one_line_and_2(cli: Cli, arguments: list[str], part: str) -> None:
    done = cli(*arguments)
    assert done.code == 2
    assert part in done.complaint


def in_job(cli: Cli, folder: Path, *arguments: object) -> tuple[int, str]:
    done = cli("select", "-w", folder, *arguments)
    return done.code, done.complaint


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["--budget", 0], 3, "the budget must be above 0; found 0"),
        (["--budget=-5"], 3, "the budget must be above 0; found -5"),
        (["--budget", "nan"], 3, "the budget must be above 0; found nan"),
        (["--budget", 17], 3, "budget 17 is more than the 11 images that may be picked"),
        (["--budget", 3, "--strategy", "k-centre"], 2, "unknown strategy; found 'k-centre'; expected k-center"),
        (["--budget", 3, "--option", "trast=1"], 2, "has no option 'trast'"),
        (["--budget", 3, "--set", "selection.strategi=x"], 3, "unknown setting selection.strategi"),
        (["--budget", 3, "--set", "seed"], 3, "cannot read a setting"),
        (["--budget", 3, "--set", "seed=-1"], 3, "bad value for seed"),
        (["--budget", 3, "--explore", 2], 3, "bad value for selection.explore"),
        (["--budget", 3, "--where", "station=L9"], 3, "no image meets the filter"),
        (["--budget", 3, "--predictions", "nowhere.csv"], 3, "nowhere.csv: no such file"),
        (["--budget", 3, "--quota", "station"], 3, "quota"),
        (["--budget", 3, "--cost", "minutes"], 3, "minutes is not a cost"),
        (["--budget", 3, "--strategy", "exemplars"], 2, "exemplars"),
        (["--budget", 3, "--set", "embedding.backbone=resnet50"], 3, "unknown backbone"),
    ],
)
def test_bad_requests(cli: Cli, finished: Path, arguments: list[object], code: int, part: str) -> None:
    found, line = in_job(cli, finished, *arguments)
    assert (found, part in line) == (code, True), line


def test_no_workspace_here(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (["status"], ["select", "--budget", 3], ["embed"], ["ingest", "x"], ["report"]):
        done = cli(*command)
        assert done.code == 3
        assert "run `activesel init`" in done.complaint


def test_an_empty_workspace(cli: Cli, tmp_path: Path) -> None:
    cli("init", tmp_path)
    assert "run `activesel ingest IMAGES`" in cli("select", "--budget", 3, "-w", tmp_path).complaint
    assert "there is no batch yet" in cli("report", "-w", tmp_path).complaint


def test_bad_folders(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "corrupt").mkdir()
    for number in range(3):
        (tmp_path / "corrupt" / f"{number}.png").write_bytes(b"\x89PNG\r\n\x1a\nnot much more")
    (tmp_path / "file").write_text("x")
    for source, part in (("empty", "no image in this folder"), ("corrupt", "none of the 3 files is a usable image"),
                         ("absent", "no such folder or file")):  # fmt: skip
        done = cli("select", tmp_path / source, "--budget", 3, "--out", tmp_path / "out")
        assert done.code == 3
        assert part in done.complaint
    done = cli("select", tmp_path / "empty", "--budget", 3, "--out", tmp_path / "file")
    assert done.code == 2
    assert "--out is not a folder" in done.complaint


def test_bad_labels(cli: Cli, workspace: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("path,label\nelsewhere.png,crack\n")
    done = cli("select", "--budget", 3, "--labels", labels, "-w", workspace)
    assert done.code == 3
    assert "1 label is for an unknown image; found 'elsewhere.png'" in done.complaint
    done = cli("ingest", "--labels", tmp_path / "absent.csv", "-w", workspace)
    assert (done.code, "absent.csv: no such label file" in done.complaint) == (3, True)


def test_a_class_with_one_example_is_fine(cli: Cli, workspace: Path, photos: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text(f"path,label\n{photos}/photo-20.png,one of a kind\n")
    done = cli("select", "--budget", 3, "--labels", labels, "--strategy", "margin", "-w", workspace)
    assert done.code == 0, done.err


def test_predictions_with_nan(cli: Cli, finished: Path, photos: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    paths = [str(path) for path in sorted(photos.iterdir())]
    probs = np.full((len(paths), len(KINDS)), 1 / len(KINDS))
    probs[7, 2] = np.nan
    pq.write_table(pa.table({"path": paths, "probs": probs.tolist()}), tmp_path / "preds.parquet")
    done = cli("select", "--budget", 3, "--predictions", tmp_path / "preds.parquet", "-w", finished)
    assert done.code == 3
    assert "preds.parquet" in done.complaint


def test_a_locked_workspace_is_7(cli: Cli, workspace: Path, photos: Path) -> None:
    with find_workspace(workspace).lock("embed"):
        for command in (["ingest", photos], ["embed"], ["select", "--budget", 3]):
            done = cli(*command, "-w", workspace)
            assert done.code == 7
            assert "`activesel embed`" in done.complaint
        assert cli("init", workspace).code == 7
        assert cli("status", "-w", workspace).code == 0, "reading needs no lock"


def test_ctrl_c_inside_a_command(cli: Cli, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("activesel.pipelines.select.select_batch", interrupt)
    done = cli("select", "--budget", 3, "-w", workspace)
    assert (done.code, done.complaint) == (130, "interrupted; run the same command again to go on")
    with find_workspace(workspace).lock("test"):
        pass  # the lock is free again


def test_a_reader_that_goes_away_is_no_news() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "activesel", "strategies"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    _, complaint = process.communicate(timeout=120)
    assert (process.returncode, complaint) == (141, b"")


def test_main_exits_with_the_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        for arguments, code in ([], 0), (["--version"], 0), (["nonsense"], 2):
            monkeypatch.setattr("sys.argv", ["activesel", *arguments])
            with pytest.raises(SystemExit) as stop:
                command_line.main()
            assert stop.value.code == code
        with pytest.raises(failures.Terminated):
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "Usage: activesel" in capsys.readouterr().out


def test_typer_still_has_the_error_that_we_look_for() -> None:
    assert failures.CommandLineError.__name__ == "ClickException"
    assert issubclass(typer.BadParameter, failures.CommandLineError)


def test_more_photos_do_not_change_the_first(tmp_path: Path) -> None:
    """The samples themselves: other tests count on equal seeds giving equal files."""
    first, second = write_photos(tmp_path / "a", 3), write_photos(tmp_path / "b", 5)
    assert (first / "photo-02.png").read_bytes() == (second / "photo-02.png").read_bytes()
