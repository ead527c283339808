"""The gate and images drawn at random by `select --evaluation`: they count, and a stream that grew is another look."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from activesel.pipelines import registry
from tests.cli.conftest import Cli, Outcome
from tests.cli.conftest import cli as cli
from tests.pipelines.gated import PLAIN, add_model, ids_that_test, make_gated
from tests.pipelines.workspaces import Job, fake_pages

N_LABELLED = 160
Draw = Callable[[int], tuple[str, ...]]


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    fake_pages(monkeypatch)
    return make_gated(tmp_path, 400, N_LABELLED)


@pytest.fixture
def draw(cli: Cli, job: Job) -> Draw:
    """Draw images for evaluation, as a person would, and return their ids; nobody has labelled them yet."""

    def call(n: int) -> tuple[str, ...]:
        done = cli("select", "--budget", n, "--evaluation", "1.0", "--embeddings", job.embeddings, "--ids",
                   job.ids_file, "--json", *options(job))  # fmt: skip
        assert done.code == 0, done.err
        picks = json.loads((Path(done.json["folder"]) / "batch.json").read_text())["picks"]
        assert {one["kind"] for one in picks} == {"evaluation"}
        return tuple(one["image_id"] for one in picks)

    return call


def options(job: Job, *more: str) -> list[str]:
    return ["-w", str(job.workspace.root), *(f"--set={one}" for one in (*PLAIN, *more))]


def answer(cli: Cli, job: Job, ids: tuple[str, ...]) -> None:
    """The drawn images get their labels, and a new version of the dataset has them."""
    job.label_ids(ids)
    assert cli("dataset", "build", *options(job)).code == 0


def gate(cli: Cli, job: Job, *more: str) -> Outcome:
    return cli("gate", "--challenger", "2".zfill(12), "--json", *options(job, *more))


def defects(job: Job, ids: tuple[str, ...] | list[str]) -> int:
    return sum(job.kind_of(one) != "free" for one in ids)


def test_the_streams_images_count_in_the_comparison(cli: Cli, job: Job, draw: Draw) -> None:
    """A challenger that is blind to nothing but what the stream holds passes the frozen set, and then no more."""
    frozen = ids_that_test(job.open(*PLAIN))
    stream = draw(60)
    assert not {job.ids.index(one) for one in stream} & set(range(N_LABELLED))
    champion = add_model(job, 1, 2.5)
    add_model(job, 2, 6.0, blind_to=stream)
    registry.promote(job.workspace, champion, force="to begin with")
    alone = gate(cli, job)
    assert (alone.json["verdict"], alone.json["frozen"], alone.json["stream"]) == ("promote", len(frozen), 0)
    assert alone.json["decision"]["details"]["comparison"]["n_defects"] == defects(job, frozen)
    assert "stream" not in alone.json["decision"]["details"]["parts"]
    answer(cli, job, stream)
    both = gate(cli, job)
    assert (both.code, both.json["verdict"]) == (4, "reject")
    assert (both.json["frozen"], both.json["stream"]) == (len(frozen), 60)
    details = both.json["decision"]["details"]
    assert details["comparison"]["n_defects"] == defects(job, frozen) + defects(job, stream)
    assert details["parts"]["stream"]["defects"] == defects(job, stream)
    assert details["parts"]["stream"]["challenger"] < 0.2 < details["parts"]["stream"]["champion"]
    assert details["parts"]["frozen"]["challenger"] > 0.9


def test_a_stream_that_grew_is_another_look_until_it_is_mostly_new(cli: Cli, job: Job, draw: Draw) -> None:
    n_frozen = len(ids_that_test(job.open(*PLAIN)))
    champion = add_model(job, 1, 2.5)
    add_model(job, 2, 2.5)
    registry.promote(job.workspace, champion, force="to begin with")
    answer(cli, job, draw(20))
    first = gate(cli, job).json
    assert (first["is_new"], first["decision"]["look"], first["stream"]) == (True, 1, 20)
    again = gate(cli, job).json
    assert (again["is_new"], again["decision"]) == (False, first["decision"]), "the same images are no new look"
    more = draw(20)
    waiting = gate(cli, job).json
    assert waiting["is_new"] is False, "drawn is not labelled"
    answer(cli, job, more)
    grown = gate(cli, job).json
    assert (grown["is_new"], grown["decision"]["look"], grown["stream"]) == (True, 2, 40)
    assert grown["decision"]["test_set"] != first["decision"]["test_set"]
    assert grown["decision"]["details"]["error"] == first["decision"]["details"]["error"] / 2
    answer(cli, job, draw(n_frozen + 60))
    mostly_new = gate(cli, job).json
    assert (mostly_new["decision"]["look"], mostly_new["stream"]) == (1, n_frozen + 100)
    assert mostly_new["decision"]["details"]["error"] == first["decision"]["details"]["error"]


def test_the_advice_is_in_images_of_the_line(cli: Cli, job: Job, draw: Draw) -> None:
    """What a hold waits for is told in random images, by the share of the kind among those drawn so far."""
    champion = add_model(job, 1, 2.5)
    add_model(job, 2, 2.5)
    registry.promote(job.workspace, champion, force="to begin with")
    stream = draw(40)
    answer(cli, job, stream)
    held = gate(cli, job, "gate.least_defects=1000", 'gate.critical=["pit"]', "gate.least_class=200").json
    assert held["verdict"] == "hold"
    share = defects(job, stream) / len(stream)
    of_pits = sum(job.kind_of(one) == "pit" for one in stream) / len(stream)
    recall, pit = held["label_more"]["rules"]
    assert (recall["rule"], pit["name"], pit["good"]) == ("recall", "pit", 0)
    assert f"(about {round(pit['defects'] / of_pits)} images drawn at random)" in held["advice"]
    drawn = max(recall["defects"] / share, recall["good"] / (1 - share))
    assert f"(about {round(drawn)} images drawn at random)" in held["advice"]
