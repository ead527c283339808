"""What waits for an expert, and a verdict that stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from activesel.adjudication import Reason
from activesel.annotations import Box, LabelState, Resolution, Role, Task
from activesel.catalog import Catalog
from activesel.errors import DataError, UsageError
from activesel.pipelines.adjudicate import decide, find_image, queue
from activesel.pipelines.doubts import Doubts, Suspect, keep_doubts
from activesel.pipelines.qc import check_quality, record_consensus
from tests.pipelines.opinions import BATCH, assign, make_batch, picks_of, say
from tests.pipelines.workspaces import Job


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    made = make_batch(tmp_path, monkeypatch, budget=12)
    for name in ("ann", "bob"):
        say(made.workspace, name, {i: made.kind_of(i) for i in picks_of(made)[:10]})
    return made


def test_a_disagreement_waits_until_it_is_decided(job: Job) -> None:
    first = picks_of(job)[0]
    say(job.workspace, "cid", {first: "nonsense"})
    (item,) = [one for one in queue(job.workspace, BATCH) if one.code is Reason.disagree]
    assert item.image_id == first
    assert Path(item.path).exists()
    assert [one.annotator for one in item.answers] == ["ann", "bob", "cid"]
    decide(job.workspace, first, "pit", "eve", reason="by the rim")
    assert first not in {one.image_id for one in queue(job.workspace, BATCH)}
    with Catalog.open(job.workspace.catalog_path) as catalog:
        said = catalog.annotations.read([first])
        assert [one.role for one in said] == [*[Role.annotator] * 3, Role.expert]
        assert (said[-1].name, said[-1].note) == ("pit", "by the rim")
        assert catalog.annotations.resolutions()[first].state is LabelState.adjudicated
        assert catalog.labels_of([first]) == {first: "pit"}
    record_consensus(job.workspace, check_quality(job.workspace, BATCH))
    with Catalog.open(job.workspace.catalog_path) as catalog:
        assert catalog.annotations.resolutions()[first].name == "pit"


def test_a_label_in_sure_doubt_waits_while_it_counts(job: Job) -> None:
    record_consensus(job.workspace, check_quality(job.workspace, BATCH))
    first = picks_of(job)[0]
    label = job.kind_of(first)
    suspects = tuple(Suspect(rank, i, "", job.kind_of(i), "nonsense", 0.03, -0.9, sure, "agreed")
                     for rank, (i, sure) in enumerate(zip(picks_of(job), (True, False), strict=False), 1))  # fmt: skip
    keep_doubts(job.workspace, Doubts(10, 10, 2, 1, 0.1, suspects))
    (item,) = [one for one in queue(job.workspace, BATCH) if one.code is Reason.doubt]
    assert (item.image_id, item.reasons) == (first, ("the other images suggest nonsense and give its label 0.03",))
    with Catalog.open(job.workspace.catalog_place) as catalog:
        catalog.annotations.resolve([Resolution(first, f"not {label}", LabelState.agreed)])
    assert not [one for one in queue(job.workspace, BATCH) if one.code is Reason.doubt]


def test_the_same_verdict_twice_is_one_and_another_counts_instead(job: Job) -> None:
    first = picks_of(job)[0]
    for name in ("pit", "pit", None, "pit"):
        decide(job.workspace, first, name, "eve")
    with Catalog.open(job.workspace.catalog_path) as catalog:
        names = [one.name for one in catalog.annotations.read([first]) if one.role is Role.expert]
        assert names == ["pit", None, "pit"]
        assert catalog.annotations.resolutions()[first].name == "pit"


def test_rejected_is_no_label(job: Job) -> None:
    first = picks_of(job)[0]
    decide(job.workspace, first, None, "eve", reason="wrong part")
    with Catalog.open(job.workspace.catalog_path) as catalog:
        assert catalog.annotations.resolutions()[first].state is LabelState.rejected
        assert catalog.labels_of([first]) == {}
        assert catalog.annotations.read([first])[-1].skipped == "wrong part"


def test_shapes_that_do_not_match_wait(job: Job) -> None:
    late = picks_of(job)[10:]
    for who, x in (("ann", 0), ("bob", 4)):
        say(job.workspace, who, {late[0]: "pit"}, shapes=(Box("pit", x, 0, x + 4, 4),))
        say(job.workspace, who, {late[1]: "pit"}, shapes=(Box("pit", 0, 0, 4, 4),))
    found = {one.image_id: one.code for one in queue(job.workspace, BATCH)}
    assert found[late[0]] is Reason.shapes
    assert found.get(late[1]) is not Reason.shapes


def test_a_skip_and_a_missed_answer_wait(job: Job) -> None:
    late, gold = picks_of(job)[11], next(i for i in job.ids if i not in picks_of(job))
    assign(job.workspace, [*(Task(BATCH, i) for i in picks_of(job)), Task(BATCH, gold, gold=True)])
    say(job.workspace, "ann", {late: None})
    say(job.workspace, "boss", {gold: "pit"}, Role.gold)
    say(job.workspace, "ann", {gold: "crack"})
    found = {one.image_id: one for one in queue(job.workspace, BATCH)}
    assert found[late].code is Reason.skipped
    assert found[gold].code is Reason.gold
    assert found[gold].reasons == ("known to be pit: ann said crack",)
    decide(job.workspace, gold, "pit", "eve")
    assert gold not in {one.image_id for one in queue(job.workspace, BATCH)}


def test_an_image_by_id_or_path(job: Job) -> None:
    first = picks_of(job)[0]
    assert find_image(job.workspace, first) == first
    assert find_image(job.workspace, str(job.paths[job.ids.index(first)])) == first
    with pytest.raises(DataError, match="no such image"):
        find_image(job.workspace, "nowhere.png")


def test_what_is_wrong_is_said(job: Job) -> None:
    with pytest.raises(DataError, match="no such image"):
        decide(job.workspace, "f" * 32, "pit", "eve")
    with pytest.raises(UsageError, match="no expert"):
        decide(job.workspace, job.ids[0], "pit", " ")
    with pytest.raises(UsageError, match="class is empty"):
        decide(job.workspace, job.ids[0], "", "eve")
