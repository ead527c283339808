"""activesel monitor as it is called: the table, JSON, what it writes, and the exit codes that schedules wait for."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Cli


def test_quiet_is_0(cli: Cli, workspace: Path) -> None:
    done = cli("monitor", "-w", workspace, "--set", "monitoring.least_labels=2")
    assert (done.code, done.err) == (0, "")
    assert "quiet" in done.out


def test_too_few_to_tell_is_5(cli: Cli, workspace: Path) -> None:
    done = cli("monitor", "-w", workspace)
    assert done.code == 5
    assert "there is too little to tell" in done.err
    assert (workspace / ".activesel" / "monitor" / "monitor.html").exists()


def test_old_images_ask_for_action(cli: Cli, workspace: Path) -> None:
    done = cli("monitor", "-w", workspace, "--set", "monitoring.stale_days=1e-9")
    assert done.code == 4
    assert "older than 1e-09 days" in done.err
    assert "activesel ingest" in done.out


def test_json_is_one_document_and_a_dry_run_writes_nothing(cli: Cli, workspace: Path) -> None:
    document = cli("monitor", "-w", workspace, "--json", "--dry-run", "--window", "6").json
    assert document["n_recent"] == 6
    assert document["n_reference"] == 18
    assert document["report"] is None
    assert {one["monitor"] for one in document["readings"]} >= {"labels per arm", "drift", "overrides", "freshness"}
    assert not (workspace / ".activesel" / "monitor").exists()


def test_a_window_that_is_none(cli: Cli, workspace: Path) -> None:
    done = cli("monitor", "-w", workspace, "--window", "soon")
    assert done.code == 3
    assert "events:500" in done.complaint
