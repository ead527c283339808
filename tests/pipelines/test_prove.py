"""`activesel synth prove` on plates made in code: what may be trained on, and what a verdict leaves behind."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from activesel.errors import DataError, RefusedError, UsageError
from activesel.pipelines import prove as prove_module
from activesel.pipelines.foldsets import Workroom, make_copies, make_variants
from activesel.pipelines.proof_files import COPIES, REAL, VARIANTS, Proof
from activesel.pipelines.prove import ProveRequest, prove, request_of_set
from activesel.pipelines.realset import FileEmbedder, RealSet, read_real, write_side
from activesel.pipelines.synthesise import GenerateRequest
from activesel.promotion import Bound, Worth
from activesel.workspace import create_workspace
from synth.generate import generate
from synth.labels_file import read_labels
from synth.records import Verdict
from tests.embedding import tiny_backbone
from tests.synth.sets import write_set

TINY = ("embedding.backbone=tiny", "embedding.pooling=plain", "embedding.device=cpu")
assert tiny_backbone.DIM == 16  # importing it registers "tiny"


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return write_set(tmp_path / "data", n_good=14, n_bad=6)


def ask(labels: Path, out: Path, **changes: object) -> ProveRequest:
    synthesis = GenerateRequest(labels, "scratch", out, count=6, seed=3, formats=(), gated=False)
    return ProveRequest(synthesis, **{"repeats": 1, "folds": 2, "fold_count": 4, "embed": False, **changes})  # type: ignore[arg-type]


def open_room(labels: Path, folder: Path) -> tuple[Workroom, RealSet]:
    home = create_workspace(folder, TINY)
    with home.lock("test"):
        real = read_real(home, read_labels(labels), "scratch")
    return Workroom(folder, home.config, FileEmbedder(home), embeds=False), real


def test_variants_come_from_the_training_side_alone(labels: Path, tmp_path: Path) -> None:
    room, real = open_room(labels, tmp_path / "work")
    rows = np.array([i for i in range(len(real.paths)) if i % 2])
    groups = set(real.labelled.groups[rows].tolist())
    asked = GenerateRequest(labels, "scratch", tmp_path, count=5, seed=1)
    made = make_variants(room, real, rows, asked)
    assert len(made.vectors) == 5
    assert set(made.sources.ravel().tolist()) <= groups
    assert np.linalg.norm(made.vectors, axis=1) == pytest.approx(1, abs=1e-2)
    again = make_variants(room, real, rows, asked)
    np.testing.assert_array_equal(again.vectors, made.vectors)


def test_a_sides_label_file_names_no_other_image(labels: Path, tmp_path: Path) -> None:
    _, real = open_room(labels, tmp_path / "work")
    rows = np.arange(0, len(real.paths), 3)
    write_side(tmp_path / "side.csv", real, rows)
    found = read_labels(tmp_path / "side.csv")
    assert {one.path for one in found.examples} == {real.paths[row] for row in rows}
    assert all(one.mask for one in found.examples if one.label == "scratch")


def test_copies_know_their_original(labels: Path, tmp_path: Path) -> None:
    room, real = open_room(labels, tmp_path / "work")
    rows = np.arange(len(real.paths))
    made = make_copies(room, real, rows, "scratch", 12, seed=1)
    own = real.labelled.groups[real.labelled.classes == real.number_of("scratch")]
    assert made.sources.ravel().tolist() == np.repeat(own, 2).tolist()
    assert not (made.vectors[0] == made.vectors[1]).all()


def test_equal_inputs_and_seed_give_an_equal_verdict(labels: Path, tmp_path: Path) -> None:
    proofs = [prove(ask(labels, tmp_path / name), None, TINY) for name in ("a", "b")]
    texts = [(tmp_path / name / "proof.json").read_text() for name in ("a", "b")]
    assert texts[0] == texts[1]
    assert set(proofs[0].precision) == {REAL, COPIES, VARIANTS}
    assert set(proofs[0].gains) == {REAL, COPIES}
    assert set(proofs[0].others) == {"good"}
    assert proofs[0].n_groups == 6
    by_class = json.loads(texts[0])["by_class"]
    assert by_class["scratch"] == dict(proofs[0].precision)
    assert set(by_class) == {"good", "scratch"}
    page = (tmp_path / "a" / "proof.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 4, "strips of a fold's variants, as no set is there"
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert "<script" not in page
    if not proofs[0].worth.is_promoted:
        assert not (tmp_path / "a" / "labels.csv").exists()  # ships nothing


def test_too_few_real_images_cost_nothing(tmp_path: Path) -> None:
    labels = write_set(tmp_path / "data", n_good=8, n_bad=3)
    proof = prove(ask(labels, tmp_path / "out"), None, TINY)
    said = json.loads((tmp_path / "out" / "proof.json").read_text())
    assert proof.worth.outcome == "too few"
    assert (said["promoted"], said["groups_needed"], said["weights"]) == (False, 5, None)


def decide(monkeypatch: pytest.MonkeyPatch, worth: Worth) -> None:
    """Skip the folds: what follows a verdict does not depend on how it was found."""

    def say(request: ProveRequest, _room: Workroom, _real: RealSet) -> Proof:
        bound = Bound(0.1, 0.05, 0.2)
        return Proof(request.synthesis.out, "scratch", worth, 6, 6, {REAL: 0.5}, {REAL: bound}, {}, (0.25, 0.25), ())

    monkeypatch.setattr(prove_module, "_run", say)


def test_promoted_ships_the_set_with_its_weights(labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    decide(monkeypatch, Worth("promoted", "it gains"))
    prove(ask(labels, out), None, TINY)
    with (out / "weights.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 6
    assert {row["label"] for row in rows} == {"scratch"}
    assert all((out / row["path"]).is_file() for row in rows)
    assert all(Path(row["host"]).name.startswith("good") for row in rows)
    made, real = sum(float(row["weight"]) for row in rows), 6
    assert made / (made + real) == pytest.approx(0.25, abs=1e-4)
    assert json.loads((out / "proof.json").read_text())["real_share_floor"] == 0.75
    known = request_of_set(out)
    assert known is not None
    assert (known.label, known.out) == ("scratch", out)


def test_a_set_that_comes_to_nothing_is_no_set(labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decide(monkeypatch, Worth("promoted", "it gains"))
    monkeypatch.setattr(prove_module, "_count_made", lambda _folder: 0)
    with pytest.raises(DataError, match="not one variant"):
        prove(ask(labels, tmp_path / "out"), None, TINY)
    assert not (tmp_path / "out" / "weights.csv").exists()


def test_refused_takes_earlier_weights_back(labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    decide(monkeypatch, Worth("promoted", "it gains"))
    prove(ask(labels, out), None, TINY)
    decide(monkeypatch, Worth("no gain", "it does not"))
    prove(ask(labels, out), None, TINY)
    assert not (out / "weights.csv").exists()
    assert json.loads((out / "proof.json").read_text())["promoted"] is False


def refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = Verdict("two-sample", False, 0.95, (None, 0.75), "told <apart>: 0.95; 0.75 or less is wanted")
    monkeypatch.setattr("synth.sift.Sift.judge_set", lambda *_: [bad])


def test_a_set_that_its_rules_refuse_is_not_proved(
    labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    refuse(monkeypatch)
    generate(ask(labels, out).synthesis)
    (out / "weights.csv").write_text("of an earlier proof")
    with pytest.raises(RefusedError, match=r"refused by the rules .* two-sample: told <apart>: 0\.95; 0\.75 or less"):
        prove(ask(labels, out), None, TINY)
    assert not (out / "weights.csv").exists()
    with pytest.raises(UsageError, match="wants a reason"):
        prove(ask(labels, out, accept_set_rules=" "), None, TINY)
    decide(monkeypatch, Worth("promoted", "it gains"))
    proof = prove(ask(labels, out, accept_set_rules="looked at <all>"), None, TINY)
    assert proof.worth.is_promoted
    said = json.loads((out / "proof.json").read_text())
    assert said["asked"]["accept_set_rules"] == "looked at <all>"
    assert said["set_refused"] == ["two-sample: told <apart>: 0.95; 0.75 or less is wanted"]
    page = (out / "proof.html").read_text()
    assert "looked at &lt;all&gt;" in page
    assert "told &lt;apart&gt;" in page


def test_a_set_made_for_the_proof_may_be_refused_too(
    labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch)
    decide(monkeypatch, Worth("promoted", "it gains"))
    proof = prove(ask(labels, tmp_path / "out"), None, TINY)
    assert (proof.worth.outcome, proof.worth.is_promoted) == ("set refused", False)
    assert "0.75 or less is wanted" in proof.worth.reason
    assert not (tmp_path / "out" / "weights.csv").exists()
    assert json.loads((tmp_path / "out" / "proof.json").read_text())["promoted"] is False


def test_bad_input_is_told(labels: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no real image shows this class"):
        prove(ProveRequest(GenerateRequest(labels, "dent", tmp_path / "out")), None, TINY)
    with pytest.raises(UsageError, match="folds"):
        prove(ask(labels, tmp_path / "out", folds=1), None, TINY)
    with pytest.raises(DataError, match=r"no-such\.csv"):
        prove(ask(tmp_path / "no-such.csv", tmp_path / "out"), None, TINY)
