"""The weekly job with its catalog on a PostgreSQL server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.samples import write_labels
from tests.postgres import PASSWORD, PostgresServer


@pytest.mark.server
def test_ingest_select_status(
    cli: Cli, photos: Path, tiny: list[str], tmp_path: Path, postgres: PostgresServer
) -> None:
    folder, place = tmp_path / "line-4", postgres.new_catalog()
    assert cli("init", folder).code == 0
    settings = folder / "activesel.yaml"
    settings.write_text(f"schema_version: 1\ncatalog:\n  url: {place.url}\n  namespace: {place.namespace}\n")
    assert cli("ingest", photos, "-w", folder, "--json").json["n_new"] == 24
    labels = write_labels(tmp_path / "labels.csv", photos, 8)
    assert cli("ingest", "--labels", labels, "-w", folder).code == 0
    select = ("select", "--budget", 5, "--evaluation", 0.2, "-w", folder, *tiny, "--set", f"catalog.url={place.url}")
    first = cli(*select, "--json")
    assert first.code == 0, first.err
    again = cli(*select, "--json")
    assert again.json["batch_id"] == first.json["batch_id"], "the same request brings the same batch"
    status = cli("status", "-w", folder, *tiny, "--json")
    assert (status.json["n_images"], status.json["n_labelled"], len(status.json["batches"])) == (24, 8, 1)
    assert cli("doctor", "-w", folder, *tiny).code == 0
    assert not (folder / ".activesel" / "catalog.sqlite").exists()
    told = [path for path in folder.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]
    assert told == [settings], "the password stays where its owner wrote it"
    shown = cli("config", "show", "-w", folder)
    assert PASSWORD not in shown.out + status.out + first.out + first.err
    assert "tests:***@" in shown.out
