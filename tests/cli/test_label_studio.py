"""label-studio push and pull from the command line, without a server."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Cli


@pytest.mark.parametrize("command", ["push", "pull"])
def test_no_server_is_one_line_and_exit_code_6(
    cli: Cli, workspace: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activesel.tools.rest._N_TRIES", 1)
    monkeypatch.setenv("ACTIVESEL_LABEL_STUDIO_TOKEN", "0" * 40)
    monkeypatch.setenv("NO_PROXY", "*")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and never listening: refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        (workspace / ".activesel" / "label_studio.json").write_text(
            f'{{"servers": {{"{url}": {{"0001": {{"project_id": 1, "title": "a b", "names": [], "cursor": ""}}}}}}}}'
        )
        done = cli("label-studio", command, "--url", url, "-w", workspace)
    assert done.code == 6
    assert done.complaint.startswith(f"{url}: the server does not answer; found ")


def test_a_token_is_needed(cli: Cli, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACTIVESEL_LABEL_STUDIO_TOKEN", raising=False)
    done = cli("label-studio", "pull", "--url", "http://studio.example", "-w", workspace)
    assert done.code == 2
    assert "a token is needed; expected --token or $ACTIVESEL_LABEL_STUDIO_TOKEN" in done.complaint


def test_without_httpx(cli: Cli, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("activesel.tools.rest", "activesel.tools.label_studio"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "httpx", None)
    done = cli("label-studio", "pull", "--url", "http://studio.example", "--token", "x", "-w", workspace)
    assert done.code == 6
    assert "pip install 'activesel[label-studio]'" in done.complaint


def test_a_batch_that_does_not_exist(cli: Cli, workspace: Path) -> None:
    done = cli("label-studio", "push", "77", "--url", "http://studio.example", "--token", "x", "-w", workspace)
    assert done.code == 3
    assert "there is no batch '77'" in done.complaint
