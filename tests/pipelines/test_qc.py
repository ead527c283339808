"""activesel qc: what it measures, what it decides, what it records, and that it does so once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from activesel.annotations import Annotation, Box, LabelState, Resolution, Role, Task
from activesel.catalog import Catalog
from activesel.errors import DataError
from activesel.pipelines.looks import keep_look, looks_path, read_looks
from activesel.pipelines.qc import check_quality, record_consensus
from activesel.pipelines.qc_files import as_json, write_quality
from activesel.qualitygate import Verdict
from tests.pipelines.opinions import BATCH, assign, err, make_batch, picks_of, say
from tests.pipelines.workspaces import Job


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    return make_batch(tmp_path, monkeypatch, meta={"station": ["AB"[i % 2] for i in range(40)]})


def truth_of(job: Job) -> dict[str, str]:
    return {image_id: job.kind_of(image_id) for image_id in picks_of(job)}


def resolutions(job: Job) -> dict[str, Resolution]:
    with Catalog.open(job.workspace.catalog_path) as catalog:
        return catalog.annotations.resolutions()


def test_two_of_one_mind_on_few_images_are_inconclusive(job: Job) -> None:
    for name in ("ann", "bob"):
        say(job.workspace, name, truth_of(job))
    quality = check_quality(job.open("embedding.good=free"), BATCH)
    assert quality.overall is not None
    assert quality.overall.kappa == 1.0
    assert quality.decision.verdict is Verdict.inconclusive
    assert quality.decision.n_more
    assert f"label {quality.decision.n_more} more images twice" in quality.decision.reasons[-1]
    assert {row.name for row in quality.rows_of("station")} == {"A", "B"}
    assert quality.classes[0] == "free"
    assert any("no overlap was drawn" in note for note in quality.notes)


def test_strangers_fail(job: Job) -> None:
    truth = truth_of(job)
    say(job.workspace, "ann", truth)
    say(job.workspace, "bob", err(truth, 0.7, 1))
    quality = check_quality(job.open("embedding.good=free"), BATCH)
    assert quality.decision.verdict is Verdict.failed
    assert "surely below 0.9" in quality.decision.reasons[0]


def test_nothing_labelled_twice_is_inconclusive(job: Job) -> None:
    say(job.workspace, "ann", truth_of(job))
    quality = check_quality(job.workspace, BATCH)
    assert (quality.decision.verdict, quality.overall, quality.table) == (Verdict.inconclusive, None, None)


def test_only_the_drawn_overlap_is_compared(job: Job) -> None:
    truth = truth_of(job)
    ids = list(truth)
    assign(job.workspace, [Task(BATCH, i, n_wanted=1 + (i in ids[:6]), overlap=i in ids[:6]) for i in ids])
    say(job.workspace, "ann", truth)
    say(job.workspace, "bob", {i: truth[i] if i in ids[:6] else "pit" for i in ids})
    quality = check_quality(job.workspace, BATCH)
    assert quality.overall is not None
    assert (quality.overall.n, quality.overall.observed) == (6, 1.0)


def test_known_answers_fail_an_annotator(job: Job) -> None:
    truth = truth_of(job)
    gold = [i for i in job.ids if i not in truth]
    assign(job.workspace, [*(Task(BATCH, i) for i in truth), *(Task(BATCH, i, gold=True) for i in gold)])
    say(job.workspace, "boss", {i: job.kind_of(i) for i in gold}, Role.gold)
    say(job.workspace, "ann", {i: job.kind_of(i) for i in gold})
    say(job.workspace, "bob", dict.fromkeys(gold, "free"))
    n_free = sum(job.kind_of(i) == "free" for i in gold)
    quality = check_quality(job.workspace, BATCH)
    assert [(one.annotator, one.n, one.n_right) for one in quality.gold] == [("ann", 16, 16), ("bob", 16, n_free)]
    assert quality.decision.verdict is Verdict.failed
    assert f"bob gave {n_free} of 16 known answers" in quality.decision.reasons[0]
    assert not any(i in quality.opinions.people for i in gold), "gold says nothing of the batch"


def test_what_counts_is_recorded_once_and_never_over_an_expert(job: Job) -> None:
    truth = truth_of(job)
    ids = list(truth)
    say(job.workspace, "ann", truth)
    say(job.workspace, "bob", {**{i: truth[i] for i in ids[:10]}, ids[10]: "nonsense"})
    with Catalog.open(job.workspace.catalog_path) as catalog:
        catalog.annotations.resolve([Resolution(ids[0], "pit", LabelState.adjudicated, None, "eve"),
                                     Resolution(ids[1], None, LabelState.rejected, None, "eve")])  # fmt: skip
    assert record_consensus(job.workspace, check_quality(job.workspace, BATCH)) == 22
    found = resolutions(job)
    assert (found[ids[0]].state, found[ids[0]].name) == (LabelState.adjudicated, "pit")
    assert found[ids[1]].state is LabelState.rejected
    assert all(found[i].state is LabelState.agreed and found[i].name == truth[i] for i in ids[2:10])
    assert found[ids[10]].state is LabelState.raw
    assert found[ids[10]].name == truth[ids[10]], "one against a class that nobody else ever saw"
    assert all((found[i].state, found[i].name) == (LabelState.raw, truth[i]) for i in ids[11:])
    assert record_consensus(job.workspace, check_quality(job.workspace, BATCH)) == 0
    assert resolutions(job) == found


def test_a_doubtful_consensus_is_no_label(job: Job) -> None:
    truth, careful = truth_of(job), job.open("quality.posterior=0.999")
    first = next(iter(truth))
    say(job.workspace, "ann", truth)
    say(job.workspace, "bob", {**truth, first: "pit" if truth[first] != "pit" else "free"})
    record_consensus(careful, check_quality(careful, BATCH))
    assert (resolutions(job)[first].state, resolutions(job)[first].name) == (LabelState.raw, None)


def test_an_expert_who_decides_meanwhile_is_not_overwritten(job: Job) -> None:
    truth = truth_of(job)
    say(job.workspace, "ann", truth)
    quality = check_quality(job.workspace, BATCH)
    first = next(iter(truth))
    with Catalog.open(job.workspace.catalog_path) as catalog:
        catalog.annotations.resolve([Resolution(first, "odd", LabelState.adjudicated, None, "eve")])
    record_consensus(job.workspace, quality)
    assert resolutions(job)[first].name == "odd"


def test_a_skip_is_no_opinion_and_is_told(job: Job) -> None:
    truth = truth_of(job)
    ids = list(truth)
    for name in ("ann", "bob"):
        say(job.workspace, name, {**truth, ids[0]: None})  # type: ignore[dict-item]
    quality = check_quality(job.workspace, BATCH)
    assert quality.overall is not None
    assert quality.overall.n == len(ids) - 1
    assert any("have a skip" in note for note in quality.notes)
    record_consensus(job.workspace, quality)
    assert resolutions(job)[ids[0]].name is None


def test_several_annotators_are_looked_at_apart(job: Job) -> None:
    truth = truth_of(job)
    for number, name in enumerate(("ann", "bob", "cid")):
        say(job.workspace, name, err(truth, 0.4 * (name == "cid"), number))
    quality = check_quality(job.workspace, BATCH)
    worst = min(quality.rows_of("annotator"), key=lambda row: row.agreement.observed)
    assert worst.name == "cid"
    assert {row.name for row in quality.rows_of("pair")} == {"ann / bob", "ann / cid", "bob / cid"}
    assert quality.alpha is not None
    assert quality.fleiss == pytest.approx(quality.alpha, abs=0.02)
    assert quality.overall is not None
    assert quality.overall.n == len(truth), "one pair an image"


def test_shapes_are_matched_and_their_classes_compared(job: Job) -> None:
    ids = picks_of(job)
    for who, name, x in (("ann", "pit", 0), ("bob", "pit", 1), ("bob", "crack", 1)):
        some = ids[:4] if name == "pit" else ids[4:6]
        say(job.workspace, who, dict.fromkeys(some, name), shapes=(Box(name, x, 0, x + 4, 4),))
    say(job.workspace, "ann", dict.fromkeys(ids[4:6], "pit"), shapes=(Box("pit", 0, 0, 4, 4),))
    quality = check_quality(job.workspace, BATCH)
    assert quality.shapes is not None
    assert (quality.shapes.f1, quality.shapes.n_matched) == (1.0, 6)
    assert quality.shapes.mean_iou == pytest.approx(12 / 20)
    (row,) = quality.rows_of("matched shapes")
    assert (row.agreement.n, row.agreement.observed) == (6, pytest.approx(4 / 6))


def test_page_and_json(job: Job) -> None:
    truth = truth_of(job)
    say(job.workspace, "ann", truth)
    say(job.workspace, "bob", {**truth, next(iter(truth)): "nonsense"})
    quality = check_quality(job.workspace, BATCH)
    page = write_quality(job.workspace, quality, as_json(quality))
    text = page.read_text(encoding="utf8")
    assert "nonsense" in text
    assert "data:image/jpeg" in text
    assert json.loads(page.with_suffix(".json").read_text())["verdict"] == quality.decision.verdict.value


def look(job: Job) -> tuple[int, float]:
    """Check as `activesel qc` does; return the look's number and the lower bound."""
    quality = check_quality(job.workspace, BATCH)
    keep_look(job.workspace, BATCH, quality.look)
    assert quality.look is not None
    assert quality.overall is not None
    return quality.look.number, quality.overall.at_least


def test_every_look_at_more_labels_is_counted_and_surer(job: Job) -> None:
    truth = truth_of(job)
    ids = list(truth)
    say(job.workspace, "ann", truth)
    say(job.workspace, "bob", {i: truth[i] for i in ids[:20]})
    first = look(job)
    assert look(job) == first, "the same labels, the same answer"
    say(job.workspace, "bob", {i: truth[i] for i in ids[20:]})
    number, at_least = look(job)
    looks_path(job.workspace, BATCH).unlink()
    alone, at_least_alone = look(job)
    assert (first[0], number, alone) == (1, 2, 1)
    assert at_least < at_least_alone, "the second look asks more of the same labels"


def test_a_killed_look_is_counted_once(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ann", "bob"):
        say(job.workspace, name, truth_of(job))
    quality = check_quality(job.workspace, BATCH)
    with monkeypatch.context() as patched:
        patched.setattr("os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            keep_look(job.workspace, BATCH, quality.look)
    assert read_looks(job.workspace, BATCH) == []
    left = looks_path(job.workspace, BATCH).parent / ".looks.json.part0"
    left.write_text("half")
    assert keep_look(job.workspace, BATCH, quality.look)
    assert not keep_look(job.workspace, BATCH, check_quality(job.workspace, BATCH).look)
    assert [one.number for one in read_looks(job.workspace, BATCH)] == [1]
    assert not left.exists()


@pytest.mark.parametrize("content", ["", "[]", '{"schema_version": 1, "looks": [{"number": 0}]}', "[" * 100_000])
def test_a_damaged_record_of_looks_is_told(job: Job, content: str) -> None:
    for name in ("ann", "bob"):
        say(job.workspace, name, truth_of(job))
    looks_path(job.workspace, BATCH).write_text(content)
    with pytest.raises(DataError, match="record of looks"):
        check_quality(job.workspace, BATCH)


def test_experts_are_compared_by_what_they_thought_blind(job: Job) -> None:
    truth = truth_of(job)
    ids = list(truth)
    say(job.workspace, "ann", truth)
    say(job.workspace, "bob", truth)
    assert check_quality(job.workspace, BATCH).experts is None
    with Catalog.open(job.workspace.catalog_place) as catalog:
        catalog.annotations.add([
            Annotation(i, who, Role.expert, name, source="review", external_id=f"{phase}:{who}:{i}:1")
            for who in ("eve", "lee") for i in ids[:8]
            for phase, name in (("blind", "odd" if who == "lee" and i == ids[0] else truth[i]), ("final", "pit"))
        ])  # fmt: skip
    quality = check_quality(job.workspace, BATCH)
    assert quality.experts is not None
    assert (quality.experts.n, quality.experts.observed) == (8, 7 / 8)
    assert quality.overall is not None
    assert (quality.overall.n, quality.overall.observed) == (len(ids), 1.0), "no expert is one of the crowd"
    assert as_json(quality)["experts"]["n"] == 8


@pytest.fixture
def rounds(job: Job) -> Job:
    """A second batch; both drawn as overlaps whole."""
    job.label_ids(picks_of(job)[:8])
    second = job.select(14)
    with Catalog.open(job.workspace.catalog_place) as catalog:
        for batch in catalog.batches.read():
            tasks = [Task(batch.batch_id, i, n_wanted=2, overlap=True) for i in batch.image_ids]
            catalog.annotations.assign(batch.batch_id, tasks)
    assert second.batch_id == "0002"
    return job


def talk(job: Job, batch_id: str, who: str, guideline: str = "7", wrong: float = 0.0) -> None:
    with Catalog.open(job.workspace.catalog_place) as catalog:
        ids = next(one.image_ids for one in catalog.batches.read() if one.batch_id == batch_id)
    said = err({i: "free" if job.kind_of(i) == "free" else "pit" for i in ids}, wrong, 3)
    say(job.workspace, who, said, guideline=guideline)


POOLING = ("quality.pool_rounds=5", "embedding.good=free")


def test_earlier_rounds_are_judged_with_it_where_asked_for(rounds: Job) -> None:
    for who in ("ann", "bob"):
        talk(rounds, "0001", who)
        talk(rounds, "0002", who)
    alone, together = (check_quality(rounds.open(*settings), "0002") for settings in (POOLING[1:], POOLING))
    assert (alone.pooled.batches, alone.rows_of("pooled")) == ((), [])
    (row,) = together.rows_of("pooled")
    assert together.pooled.batches == ("0001",)
    assert alone.overall is not None
    assert together.overall is not None
    assert row.agreement.n == alone.overall.n + 24
    assert together.overall.n == alone.overall.n
    assert any("judged together with 0001" in note for note in together.notes)
    assert check_quality(rounds.open(*POOLING), "0001").pooled.batches == (), "what came later is not pooled"
    assert together.look is not None
    assert alone.look is not None
    assert together.look.key != alone.look.key, "to judge otherwise is to look again"


@pytest.mark.parametrize(
    ("who", "guideline", "wrong", "said"),
    [("cid", "7", 0.0, "other people"), ("bob", "8", 0.0, "other people"), ("bob", "7", 0.7, "differ surely")],
)
def test_what_is_not_alike_is_not_pooled(rounds: Job, who: str, guideline: str, wrong: float, said: str) -> None:
    talk(rounds, "0001", "ann", guideline)
    talk(rounds, "0001", who, guideline, wrong)
    talk(rounds, "0002", "ann")
    talk(rounds, "0002", "bob")
    quality = check_quality(rounds.open(*POOLING), "0002")
    assert quality.pooled.batches == ()
    assert any(said in note for note in quality.notes), quality.notes


def test_without_a_version_of_the_guideline_nothing_is_pooled(rounds: Job) -> None:
    for who in ("ann", "bob"):
        talk(rounds, "0001", who, "")
        talk(rounds, "0002", who, "")
    quality = check_quality(rounds.open(*POOLING), "0002")
    assert quality.pooled.batches == ()
    assert any("version of the guideline" in note for note in quality.notes)
