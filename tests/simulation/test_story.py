"""A small flywheel from end to end, with its twin: what it leaves, and that a rerun adds nothing."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from activesel.cli import run
from tests.cli.samples import tiny_backbone, write_labels, write_photos

N_PHOTOS = 48
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("oracle")
    photos = write_photos(folder / "photos", N_PHOTOS)
    labels = write_labels(folder / "labels.csv", photos, N_PHOTOS)
    return ["simulate", "--oracle", str(labels), "--rounds", "2", "--budget", "6", "--first", "8",
            "--set", "duplicates.similarity=1", *tiny_backbone(folder)]  # fmt: skip


@pytest.fixture(scope="module")
def out(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    assert run([*words, "--out", str(folder)]) == 0
    return folder


def test_every_arm_has_every_round(out: Path) -> None:
    document = json.loads((out / "simulation.json").read_text())
    assert {name: len(seeds[0]) for name, seeds in document["points"].items()} == {"activesel": 2, "random": 2}
    labels = [[point["n_labels"] for point in seeds[0]] for seeds in document["points"].values()]
    assert labels[0] == labels[1], "twins have as many labels"
    assert labels[0][0] > 8
    assert document["everything"][0]["macro_f1"] > 0.4


def test_people_cost_what_they_say(out: Path) -> None:
    document = json.loads((out / "simulation.json").read_text())
    last = document["points"]["activesel"][0][-1]
    assert last["money"] >= 0.06 * last["n_opinions"] - 1e-9
    assert last["minutes"] > 0
    with (out / "curves.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {row["arm"] for row in rows} == {"activesel", "random"}
    assert float(rows[-1]["money"]) > float(rows[-2]["money"])


def test_the_page_is_whole(out: Path) -> None:
    page = (out / "simulation.html").read_text()
    assert "Simulated flywheel" in page
    assert page.count('<svg class="lines"') == 4
    assert "http" not in page.replace("http://www.w3.org", "").replace("http-equiv", "")


def test_no_round_sees_a_test_image(out: Path) -> None:
    with (out / "seed-0" / "test.csv").open() as stream:
        test = {row["path"] for row in csv.DictReader(stream)}
    for batch in out.glob("seed-0/*/.activesel/batches/*/batch.csv"):
        assert not test & {row["path"] for row in csv.DictReader(batch.read_text().splitlines())}


def test_again_changes_nothing(words: list[str], out: Path) -> None:
    before = {path: path.read_bytes() for path in out.rglob("*.json")}
    assert run([*words, "--out", str(out)]) == 0
    assert {path: path.read_bytes() for path in out.rglob("*.json")} == before


@pytest.mark.parametrize(("words_more", "complaint"), [(["--rounds", "0"], "--rounds is 1 at least"),
                                                       (["--good", "grey"], "no such class")])  # fmt: skip
def test_what_means_nothing_is_refused(
    words: list[str], words_more: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words, *words_more, "--out", str(tmp_path / "out")]) == 2
    assert complaint in capsys.readouterr().err
