"""activesel select: with and without a workspace, its files, its flags, its two kinds of output."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.samples import write_labels


def tree(folder: Path) -> dict[str, float]:
    return {str(path.relative_to(folder)): path.stat().st_mtime for path in folder.rglob("*")}


def picked_names(batch_csv: Path) -> list[str]:
    with batch_csv.open(encoding="utf8", newline="") as stream:
        return [Path(row["path"]).name for row in csv.DictReader(stream)]


def test_one_command_without_a_project(cli: Cli, photos: Path, tiny: list[str], tmp_path: Path) -> None:
    out = tmp_path / "batch"
    done = cli("select", photos, "--budget", 6, "--out", out, *tiny)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1].split() == ["report", str(out / "report.html")]
    assert {path.name for path in out.iterdir() if not path.name.startswith(".")} == {
        "activesel.yaml", "batch.csv", "batch.json", "report.html", "stands_for.csv",
    }  # fmt: skip
    names = picked_names(out / "batch.csv")
    assert len(set(names)) == 6
    assert [Path(p["path"]).name for p in json.loads((out / "batch.json").read_text())["picks"]] == names


def test_a_second_run_does_nothing_twice(cli: Cli, photos: Path, tiny: list[str], tmp_path: Path) -> None:
    out = tmp_path / "batch"
    assert cli("select", photos, "--budget", 6, "--out", out, *tiny).code == 0
    before = {name: at for name, at in tree(out).items() if "sqlite" not in name and not name.endswith("lock")}
    again = cli("select", photos, "--budget", 6, "--out", out, *tiny, "--json")
    assert again.code == 0
    assert again.json["reused"] is True
    after = tree(out)
    assert {name: after[name] for name in before if not Path(out, name).is_dir()} == {
        name: at for name, at in before.items() if not Path(out, name).is_dir()
    }
    # Another question is another batch, and the folder shows the newest.
    assert cli("select", photos, "--budget", 3, "--out", out, *tiny).code == 0
    assert len(picked_names(out / "batch.csv")) == 3


def test_default_folder_and_labels(
    cli: Cli, photos: Path, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    labels = write_labels(tmp_path / "labels.csv", photos, 12)
    done = cli("select", photos, "--budget", 4, "--labels", labels, "--strategy", "margin", *tiny)
    assert done.code == 0, done.err
    assert Path("activesel-batch/report.html").is_file()
    labelled = {f"photo-{seed:02d}.png" for seed in range(12)}
    assert not labelled & set(picked_names(Path("activesel-batch/batch.csv")))


def test_workspace_is_found_upwards(cli: Cli, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = workspace / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    done = cli("select", "--budget", 3, "--strategy", "random", "--seed", 4, "--json")
    assert done.code == 0, done.err
    assert done.json["strategy"] == "random"
    assert done.json["batch_id"] == "0002"
    stored = json.loads((workspace / ".activesel/batches/0002/batch.json").read_text())
    assert stored["seed"] == 4


def test_focus_chooses_its_strategy(cli: Cli, workspace: Path, photos: Path) -> None:
    asked = ("select", "--budget", 3, "-w", workspace, "--focus", "crease", "--json")
    refused = cli(*asked)
    assert (refused.code, "--focus crease: no image is labelled so" in refused.complaint) == (3, True)
    done = cli(*asked, "--exemplars", sorted(photos.iterdir())[0])
    assert done.code == 0, done.err
    assert done.json["strategy"] == "focus"


def test_json_is_one_document_and_nothing_else(cli: Cli, workspace: Path) -> None:
    done = cli("select", "--budget", 3, "--explore", 0.34, "-w", workspace, "--json")
    assert done.code == 0, done.err
    assert done.json["n_picks"] == len(done.json["picks"]) == 3
    assert done.json["n_by_kind"] == {"strategy": 2, "explore": 1}
    assert Path(done.json["report"]).is_file()


def test_what_the_batch_brings_is_said(cli: Cli, workspace: Path, photos: Path, tmp_path: Path) -> None:
    asked = ("select", "--budget", 2, "-w", workspace, "--set", "duplicates.similarity=1.0")
    assert "worth   no estimate of what more labels bring: too few labels" in cli(*asked).out
    first = cli(*asked, "--labels", write_labels(tmp_path / "more.csv", photos, 20))
    line = next(line for line in first.out.splitlines() if line.startswith("worth"))
    assert line.split(maxsplit=1)[1].startswith("the next 2 labels are expected to raise macro-F1 by ")
    told = cli(*asked, "--json").json
    assert told["worth_text"] in line
    assert told["worth"]["n_labels"] == 20


def test_flags_win_over_set(cli: Cli, workspace: Path) -> None:
    done = cli("select", "--budget", 2, "--set", "selection.strategy=random", "--strategy", "k-center", "-w", workspace,
               "--json")  # fmt: skip
    assert done.json["strategy"] == "k-center"


def test_labels_alone_then_select(cli: Cli, workspace: Path, photos: Path, tmp_path: Path) -> None:
    more = write_labels(tmp_path / "more.csv", photos, 16)
    assert cli("select", "--budget", 2, "--labels", more, "-w", workspace).code == 0
    assert cli("status", "-w", workspace, "--json").json["n_labelled"] == 16


def test_out_beside_a_workspace_gets_copies(cli: Cli, workspace: Path, tmp_path: Path) -> None:
    out = tmp_path / "for-the-boss"
    assert cli("select", "--budget", 2, "-w", workspace, "--out", out).code == 0
    assert sorted(path.name for path in out.iterdir()) == ["batch.csv", "batch.json", "report.html", "stands_for.csv"]


@pytest.mark.parametrize("as_json", [False, True])
def test_dry_run_writes_nothing(
    cli: Cli, workspace: Path, photos: Path, tiny: list[str], tmp_path: Path, as_json: bool
) -> None:
    flags = ["--dry-run", *(["--json"] if as_json else [])]
    before = tree(tmp_path)
    planned = cli("select", photos, "--budget", 6, "--out", tmp_path / "new", *tiny, *flags)
    in_workspace = cli("select", "--budget", 6, "-w", workspace, *flags)
    assert (planned.code, in_workspace.code) == (0, 0), planned.err + in_workspace.err
    # Opening a catalog comes and goes with the database's side files, so folders' times may change.
    after = tree(tmp_path)
    assert set(after) == set(before)
    assert {name: at for name, at in after.items() if (tmp_path / name).is_file()} == {
        name: at for name, at in before.items() if (tmp_path / name).is_file()
    }
    if as_json:
        assert planned.json["files"] == 24
        assert in_workspace.json["labelled"] == 8


def test_command_in_the_batch_repeats_it(cli: Cli, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["activesel", "select", "--budget", "2", "-w", "my job"])
    result = cli("select", "--budget", 2, "-w", workspace, "--json").json
    stored = json.loads((Path(result["folder"]) / "batch.json").read_text())
    assert stored["command"] == "activesel select --budget 2 -w 'my job'"
