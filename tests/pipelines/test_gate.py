"""From two models to a verdict, a line in the log and a champion: once, whatever is killed and rerun."""

from __future__ import annotations

import json

import pytest

from activesel.catalog import Catalog
from activesel.errors import DataError, RefusedError, UsageError
from activesel.models import Alias, Decision
from activesel.pipelines import gate as story
from activesel.pipelines import registry
from activesel.pipelines.dataset import BuildRequest, build_dataset
from activesel.pipelines.gate import Gated, run_gate
from activesel.pipelines.tested import gather_tested, place_of, read_model
from tests.pipelines.gated import PLAIN, add_model, ids_that_test
from tests.pipelines.gated import gated as gated
from tests.pipelines.workspaces import Job, snapshot_tree


def gate(job: Job, challenger: str | None = None, *settings: str, **more: object) -> Gated:
    return run_gate(job.open(*PLAIN, *settings), challenger, **more)  # type: ignore[arg-type]


def log_of(job: Job) -> list[Decision]:
    with Catalog.open(job.workspace.catalog_place) as catalog:
        return catalog.models.decisions()


def aliases(job: Job) -> dict[Alias, str]:
    with Catalog.open(job.workspace.catalog_place) as catalog:
        return catalog.models.aliases()


def test_the_first_model_then_a_better_one_then_a_worse_one(gated: Job) -> None:
    first = add_model(gated, 1, 2.5)
    assert gate(gated).verdict.outcome == "promote"
    assert registry.promote(gated.workspace).is_new
    better = add_model(gated, 2, 6.0)
    found = gate(gated)
    assert found.verdict.outcome == "promote", found.verdict
    assert (found.decision.challenger, found.decision.champion, found.decision.look) == (better, first, 2)
    registry.promote(gated.workspace)
    worse = add_model(gated, 3, 0.5)
    assert gate(gated).verdict.outcome == "reject"
    with pytest.raises(RefusedError, match="the gate has not let this model pass; found reject"):
        registry.promote(gated.workspace)
    assert aliases(gated) == {Alias.champion: better, Alias.previous: first, Alias.challenger: worse}


def test_a_model_that_is_alike_is_held_and_labels_are_asked_for(gated: Job) -> None:
    add_model(gated, 1, 2.5)
    registry.promote(gated.workspace, "1".zfill(12), force="to begin with")
    add_model(gated, 2, 2.5)
    found = gate(gated, None, "gate.margin=0.001")
    assert found.verdict.outcome == "hold"
    assert "settle it" in (story.say_more(found) or "") or "too near" in (story.say_more(found) or "")


def test_the_advice_is_of_what_holds(gated: Job) -> None:
    add_model(gated, 1, 2.5)
    registry.promote(gated.workspace, "1".zfill(12), force="to begin with")
    add_model(gated, 2, 6.0)
    tight = gate(gated, None, "gate.most_false_rejects=0.5")
    assert "they may be above the budget" in "; ".join(tight.verdict.reasons)
    assert tight.more is not None
    assert (tight.more.defects, len(tight.more.wishes)) == (0, 1)
    assert (story.say_more(tight) or "").endswith(
        "more parts without a defect for false rejects would likely settle it"
    )
    both = gate(gated, None, "gate.most_false_rejects=0.5", 'gate.critical=["crack"]', "gate.least_class=60")
    assert both.more is not None
    n = 60 - sum(gated.kind_of(one) == "crack" for one in ids_that_test(gated.open(*PLAIN)))
    assert both.more.classes == {"crack": n}
    told = story.say_more(both) or ""
    assert f"{n} more parts of crack; {both.more.good} more parts without a defect for false rejects" in told


def test_the_same_pair_again_is_no_new_look(gated: Job) -> None:
    add_model(gated, 1, 2.5)
    first = gate(gated)
    before = snapshot_tree(gated.workspace.state / "testsets")
    again = gate(gated)
    assert (first.is_new, again.is_new) == (True, False)
    assert again.decision == first.decision
    assert again.verdict == first.verdict
    assert len(log_of(gated)) == 1
    assert snapshot_tree(gated.workspace.state / "testsets") == before
    other = gate(gated, None, "gate.margin=0.2")
    assert (other.is_new, other.decision.look) == (True, 2), "other rules are another try"


def test_a_dry_run_is_no_look(gated: Job) -> None:
    add_model(gated, 1, 2.5)
    before = snapshot_tree(gated.workspace.state / "models")
    assert gate(gated, dry_run=True).decision.look == 1
    assert log_of(gated) == []
    assert snapshot_tree(gated.workspace.state / "models") == before
    assert gate(gated).decision.look == 1


def test_killed_anywhere_and_rerun_is_the_same_state(gated: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    add_model(gated, 1, 2.5)
    wanted = gate(gated, dry_run=True).verdict

    class KilledError(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise KilledError

    for owner, name in ((story, "keep_test_set"), (story, "_write"), (story.Catalog, "close")):
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, die)
            with pytest.raises(KilledError):
                gate(gated)
    found = gate(gated)
    assert found.verdict == wanted
    assert [one.kind for one in log_of(gated)] == ["gate"]
    assert registry.promote(gated.workspace).is_new
    assert not registry.promote(gated.workspace).is_new
    assert not registry.promote(gated.workspace, found.decision.challenger).is_new
    assert [one.kind for one in log_of(gated)] == ["gate", "promote"]


def test_a_test_set_half_seen_is_the_same_one(gated: Job) -> None:
    add_model(gated, 1, 2.5)
    first = gate(gated)
    lost = tuple(ids_that_test(gated.open(*PLAIN))[:10])
    add_model(gated, 2, 2.5, left_out=lost)
    second = gate(gated)
    assert second.decision.test_set != first.decision.test_set
    assert second.decision.look == 2
    assert "10 test images are left out" in second.notes[-1]
    path = place_of(gated.workspace, first.decision.test_set)
    document = json.loads(path.read_text())
    document["images"] = document["images"][:20]  # as if most of it were new since
    path.write_text(json.dumps(document))
    place_of(gated.workspace, second.decision.test_set).write_text(path.read_text())
    add_model(gated, 3, 2.5, left_out=lost[:5])
    assert gate(gated).decision.look == 1


def test_a_lost_test_set_counts_as_seen(gated: Job) -> None:
    add_model(gated, 1, 2.5)
    place_of(gated.workspace, gate(gated).decision.test_set).unlink()
    add_model(gated, 2, 2.5, left_out=tuple(ids_that_test(gated.open(*PLAIN))[:3]))
    assert gate(gated).decision.look == 2


def test_images_that_a_model_was_trained_on_do_not_test_it(gated: Job) -> None:
    workspace = gated.open(*PLAIN)
    old = build_dataset(gated.open(*PLAIN, "seed=5"), BuildRequest(name="other")).version
    new = build_dataset(workspace, BuildRequest(name="third")).version
    card = read_model(workspace, add_model(gated, 1, 2.5, dataset=old))
    images = gather_tested(workspace, [card], new)
    from activesel.pipelines.dataset_files import read_dataset

    side = {one.example.image_id: one.split for one in read_dataset(workspace, old).entries}
    assert "train" not in {side[one] for one in images.ids}
    tested = {side[one] for one, tests in zip(images.ids, images.is_test.tolist(), strict=True) if tests}
    assert tested == {"test"}
    assert "a model was trained on them" in images.notes[0]


def test_what_cannot_be_compared_is_refused(gated: Job) -> None:
    with pytest.raises(DataError, match="there is no challenger"):
        gate(gated)
    first = add_model(gated, 1, 2.5)
    add_model(gated, 2, 2.5, left_out=tuple(ids_that_test(gated.open(*PLAIN))[5:]))
    with pytest.raises(DataError, match="too few images test"):
        gate(gated)
    registry.promote(gated.workspace, first, force="try")
    with pytest.raises(UsageError, match="is the champion already"):
        gate(gated, first)
    file = gated.workspace.state / "models" / first / "predictions.parquet"
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(DataError, match="was changed after the model was made"):
        gate(gated, "2".zfill(12))


def test_force_needs_a_reason_and_is_logged(gated: Job) -> None:
    first = add_model(gated, 1, 2.5)
    with pytest.raises(RefusedError, match="no verdict on this pair"):
        registry.promote(gated.workspace, first)
    with pytest.raises(UsageError, match="needs a reason"):
        registry.promote(gated.workspace, first, force=" ")
    registry.promote(gated.workspace, first, force="the line stands still")
    (line,) = log_of(gated)
    assert (line.kind, line.reason) == ("force", "the line stands still")


def test_rollback_once_is_rollback(gated: Job) -> None:
    first, second = add_model(gated, 1, 2.5), add_model(gated, 2, 2.5)
    with pytest.raises(RefusedError, match="no champion came before"):
        registry.roll_back(gated.workspace)
    for model in (first, second):
        registry.promote(gated.workspace, model, force="test")
    moved = registry.roll_back(gated.workspace, "rejects everything")
    assert (moved.champion, moved.before, moved.is_new) == (first, second, True)
    again = registry.roll_back(gated.workspace)
    assert (again.champion, again.is_new) == (first, False)
    assert aliases(gated)[Alias.champion] == first
    assert [one.kind for one in log_of(gated)] == ["force", "force", "rollback"]


def test_a_verdict_about_another_champion_is_no_leave(gated: Job) -> None:
    add_model(gated, 1, 2.5)
    gate(gated)
    second = add_model(gated, 2, 2.5)
    registry.promote(gated.workspace, second, force="test")
    with pytest.raises(RefusedError, match="no verdict on this pair"):
        registry.promote(gated.workspace, "1".zfill(12))
    shown = registry.show_model(gated.workspace, "1".zfill(12))
    assert [one.kind for one in shown.decisions] == ["gate"]
    listed = registry.list_models(gated.workspace)
    assert [one.verdict for one in listed] == ["promote", None]
