"""activesel qc as it is called: the table, JSON, and the exit codes that scripts wait for."""

from __future__ import annotations

from pathlib import Path

from activesel.annotations import Annotation
from activesel.catalog import Catalog
from tests.cli.conftest import Cli


def label(workspace: Path, **people: str) -> None:
    """Each says the same of every image of the batch; "" = as photo i is numbered, one of two kinds."""
    with Catalog.open(workspace / ".activesel" / "catalog.sqlite") as catalog:
        ids = catalog.batches.read()[0].image_ids
        kinds = {i: ("plain", "dot")[number % 2] for number, i in enumerate(ids)}
        catalog.annotations.add(
            [Annotation(i, who, name=name or kinds[i]) for who, name in people.items() for i in ids]
        )


def test_too_few_to_tell_is_5(cli: Cli, workspace: Path) -> None:
    label(workspace, ann="", bob="")
    done = cli("qc", "-w", workspace)
    assert done.code == 5
    assert "INCONCLUSIVE" in done.out
    assert "more images twice" in done.err
    assert len(done.err.splitlines()) == 1
    assert "overall" in done.out


def test_json_is_one_document_whatever_the_verdict(cli: Cli, workspace: Path) -> None:
    label(workspace, ann="", bob="")
    document = cli("qc", "-w", workspace, "--json").json
    assert document["verdict"] == "inconclusive"
    assert document["agreement"]["kappa"] == 1.0
    assert document["label_more"] > 0
    assert document["changed"] == 5
    again = cli("qc", "-w", workspace, "--json").json
    assert again["changed"] == 0
    assert again["look"] == document["look"]
    assert (again["look"]["number"], again["look"]["bound"]) == (1, 0.025)


def test_strangers_are_4(cli: Cli, workspace: Path) -> None:
    label(workspace, ann="plain", bob="dot")
    assert cli("qc", "-w", workspace, "--dry-run").code == 4


def test_enough_is_0(cli: Cli, workspace: Path) -> None:
    label(workspace, ann="", bob="")
    lax = ["--set", "quality.least_low=0", "--set", "quality.least_defects=0"]
    assert cli("qc", "-w", workspace, *lax).code == 0


def test_dry_run_writes_nothing(cli: Cli, workspace: Path) -> None:
    label(workspace, ann="")
    assert cli("qc", "-w", workspace, "--dry-run").code == 5
    assert not (workspace / ".activesel" / "quality").exists()
    assert not list((workspace / ".activesel").rglob("looks.json"))
    with Catalog.open(workspace / ".activesel" / "catalog.sqlite") as catalog:
        assert catalog.annotations.resolutions() == {}


def test_the_way_through(cli: Cli, workspace: Path) -> None:
    """Assign, label, list, decide, and what was decided is out of the list."""
    drawn = cli("assign", "-w", workspace, "--overlap", "0.4", "--json").json
    assert (drawn["overlap"], drawn["opinions"], drawn["changed"]) == (2, 7, True)
    assert "nothing changed" in cli("assign", "-w", workspace, "--overlap", "0.4").err
    label(workspace, ann="plain", bob="dot")
    assert cli("assign", "-w", workspace, "--overlap", "0.8").code == 4
    waiting = cli("adjudicate", "list", "-w", workspace, "--json").json
    first = waiting["queue"][0]
    assert first["code"] == "disagree"
    done = cli("adjudicate", "set", first["image_id"], "--class", "dot", "--expert", "eve", "-w", workspace)
    assert done.code == 0
    left = cli("adjudicate", "list", "-w", workspace, "--json").json
    assert left["images"] == waiting["images"] - 1
    assert "disagree" in cli("adjudicate", "list", "-w", workspace, "--limit", "1").out


def test_one_verdict_is_needed(cli: Cli, workspace: Path) -> None:
    assert cli("adjudicate", "set", "x", "--expert", "eve", "-w", workspace).code == 2
    assert "no such image" in cli("adjudicate", "set", "x", "--expert", "e", "--reject", "-w", workspace).complaint


def test_next_asks_until_it_is_enough(cli: Cli, workspace: Path) -> None:
    assert cli("assign", "-w", workspace, "--next").code == 2, "nothing was assigned"
    cli("assign", "-w", workspace, "--overlap", "0")
    label(workspace, ann="")
    sure = ["--set", "quality.label_error=0"]
    assert cli("assign", "-w", workspace, "--next", "--route").code == 2
    planned = cli("assign", "-w", workspace, "--next", "--dry-run", "--json", *sure).json
    done = cli("assign", "-w", workspace, "--next", *sure)
    assert (planned["n_again"], done.code) == (5, 0)
    assert "5 images want another opinion" in done.out
    assert "nothing changed" in cli("assign", "-w", workspace, "--next", *sure).err
    label(workspace, bob="")
    assert cli("assign", "-w", workspace, "--next", "--json", *sure).json["n_expert"] == 5
