"""init, ingest, embed, status, report, export, strategies, config, doctor: what each prints and leaves."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from activesel.strategies import strategy_names
from activesel.workspace import find_workspace
from tests.cli.conftest import Cli
from tests.cli.samples import write_labels


def test_init_ingest_embed_status(cli: Cli, photos: Path, tiny: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "line 4"
    made = cli("init", folder)
    assert made.code == 0
    assert "activesel ingest" in made.out
    assert cli("status", "-w", folder, *tiny, "--json").json["next_step"].endswith("activesel ingest IMAGES")
    first = cli("ingest", photos, "-w", folder, "--json").json
    assert (first["n_new"], first["n_known"]) == (24, 0)
    second = cli("ingest", photos, "-w", folder, "--json").json
    assert (second["n_new"], second["n_known"]) == (0, 24)
    embedded = cli("embed", "-w", folder, *tiny)
    assert embedded.code == 0, embedded.err
    assert "24" in embedded.out
    assert cli("embed", "-w", folder, *tiny, "--json").json["n_new"] == 0
    status = cli("status", "-w", folder, *tiny, "--json").json
    assert (status["n_images"], status["n_vectors"], status["batches"]) == (24, 24, [])
    assert cli("init", folder).code == 0, "an existing workspace stays as it is"
    assert cli("status", "-w", folder, *tiny, "--json").json["n_images"] == 24


def test_ingest_labels_alone(cli: Cli, workspace: Path, photos: Path, tmp_path: Path) -> None:
    labels = write_labels(tmp_path / "week12.csv", photos, 16)
    done = cli("ingest", "--labels", labels, "-w", workspace)
    assert done.code == 0, done.err
    assert done.out.splitlines()[0].split() == ["labels", "16"]
    assert cli("ingest", "--labels", labels, "-w", workspace, "--json").json["n_by_class"]["stripe"] == 4
    assert cli("status", "-w", workspace, "--json").json["n_labelled"] == 16


def test_status_for_people(cli: Cli, finished: Path) -> None:
    done = cli("status", "-w", finished)
    assert done.code == 0
    lines = {line.split("  ")[0]: line for line in done.out.splitlines()}
    assert "24 (24 files)" in lines["images"]
    assert "dark 2, dot 2, plain 2, stripe 2" in lines["labelled"]
    assert "label 5 images of batch 0001" in lines["next"]
    assert lines["0001"].split()[-3:] == ["default", "5", "0"]


def test_report_is_drawn_again(cli: Cli, workspace: Path) -> None:
    path = workspace / ".activesel/batches/0001/report.html"
    path.unlink()
    done = cli("report", "1", "-w", workspace)
    assert (done.code, done.out) == (0, f"{path}\n")
    assert path.stat().st_size > 10_000


@pytest.mark.parametrize("name", ["csv", "json", "coco", "list"])
def test_export(cli: Cli, finished: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "batch.out"
    done = cli("export", "--format", name, "--out", out, "-w", finished)
    assert done.code == 0, done.err
    assert "photo-" in out.read_text()
    assert cli("export", "9", "--format", name, "--out", out, "-w", finished).complaint.startswith(
        f"{finished}: there is"
    )


def test_strategies(cli: Cli) -> None:
    text = cli("strategies").out
    listed = cli("strategies", "--json").json
    assert [one["name"] for one in listed] == strategy_names()
    for one in listed:
        assert one["summary"]
        assert f"\n{one['name']} " in f"\n{text}"


def test_config_show_is_a_settings_file(cli: Cli, finished: Path, tmp_path: Path) -> None:
    shown = cli("config", "show", "--set", "seed=7", "-w", finished).out
    assert yaml.safe_load(shown)["seed"] == 7
    (tmp_path / ".activesel").mkdir()
    (tmp_path / "activesel.yaml").write_text(shown)
    assert find_workspace(tmp_path).config == find_workspace(finished, ["seed=7"]).config


def test_config_schema(cli: Cli) -> None:
    text = cli("config", "schema").out
    assert re.search(r"^duplicates\.similarity = 0\.\d+\n    number, above 0, at most 1\. Cosine", text, flags=re.M)
    assert cli("config", "schema", "--json").json["properties"]["seed"]["type"] == "integer"


def test_doctor_on_a_healthy_workspace(cli: Cli, finished: Path) -> None:
    done = cli("doctor", "-w", finished)
    assert done.code == 0, done.out
    assert "24 images, 8 labelled" in done.out
    assert "fail" not in done.out


def test_doctor_names_what_is_wrong(cli: Cli, workspace: Path) -> None:
    (workspace / ".activesel/catalog.sqlite").write_bytes(b"no database" * 1000)
    done = cli("doctor", "-w", workspace, "--set", "embedding.checkpoint=/nowhere.pt", "--json")
    assert done.code == 6
    failed = {one["name"]: one for one in done.json if one["state"] == "fail"}
    assert {"catalog", "timm:test_resnet weights"} <= set(failed)
    assert all(one["remedy"] or "activesel" in one["found"] or "expected" in one["found"] or "set " in one["found"]
               for one in failed.values())  # fmt: skip


def test_version(cli: Cli) -> None:
    from activesel import __version__

    assert cli("--version").out == f"activesel {__version__}\n"


def test_json_of_every_reading_command_is_one_document(cli: Cli, finished: Path) -> None:
    for command in (["status"], ["doctor"], ["config", "show"], ["report"]):
        if command == ["report"]:
            continue  # draws into the shared workspace; test_report_is_drawn_again has it
        done = cli(*command, "-w", finished, "--json")
        assert done.code == 0
        json.loads(done.out)
        assert done.err == ""


def test_export_for_a_tool_and_import(cli: Cli, workspace: Path, tmp_path: Path) -> None:
    out = tmp_path / "tasks.json"
    told = cli("export", "--to", "label-studio", "--out", out, "--dry-run", "--json", "-w", workspace).json
    assert (told["dry_run"], out.exists()) == (True, False)
    done = cli("export", "--to", "label-studio", "--out", out, "-w", workspace)
    assert "written" in done.out
    tasks = json.loads(out.read_text())
    tasks[0]["annotations"] = [{"result": [], "was_cancelled": True, "unique_id": "1", "completed_by": 3}]
    out.write_text(json.dumps(tasks))
    assert "a dry run, nothing recorded" in cli("import", out, "--dry-run", "-w", workspace).out
    first = cli("import", out, "--json", "-w", workspace).json
    assert (first["format_name"], first["n_new"], first["n_skipped"]) == ("label-studio", 1, 1)
    assert "nothing changed" in cli("import", out, "-w", workspace).out
    wrong = cli("import", out, "--format", "yolo", "-w", workspace)
    assert wrong.code == 3
    assert wrong.complaint.startswith(f"{out}: not a folder and not a zip")
    both = cli("export", "--to", "csv", "--format", "csv", "--out", out, "-w", workspace)
    assert both.code == 2
