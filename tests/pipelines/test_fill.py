"""`activesel synth --fill-gaps` on plates made in code: from labels and requirements to sets with verdicts."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from activesel.catalog import Catalog
from activesel.errors import DataError, UsageError
from activesel.pipelines import fill as story
from activesel.pipelines.fill import Filling, FillRequest, fill, plan_filling
from activesel.pipelines.gap_files import gaps_folder, write_gaps
from activesel.pipelines.gap_targets import aim_at, read_gaps
from activesel.pipelines.gaps import GapsRequest, survey_gaps
from activesel.pipelines.ingest import ingest
from activesel.pipelines.realset import FileEmbedder
from activesel.pipelines.synthesise import GenerateRequest, request_in_workspace
from activesel.workspace import Workspace, create_workspace
from synth.labels_file import read_labels
from synth.replay import replay
from tests.embedding import tiny_backbone
from tests.synth.sets import write_set

TINY = ("embedding.backbone=tiny", "embedding.pooling=plain", "embedding.device=cpu")
assert tiny_backbone.DIM == 16  # importing it registers "tiny"
WANTED = """schema_version: 1
good: good
classes:
  scratch: {images: 10}
slices:
  - {class: scratch, where: {station: A}, images: 4}
  - {class: scratch, where: {station: C}, images: 2}
"""


def make_workspace(root: Path, *, masks_in_manifest: bool = True) -> Workspace:
    """Ten good plates and four scratched ones, all labelled; stations A and B host, C shows nothing good."""
    labels = write_set(root / "data", n_good=10, n_bad=4)
    with labels.open() as stream:
        rows = list(csv.DictReader(stream))
    lines = ["path,mask,group,station"]
    for i, row in enumerate(rows):
        station = "C" if row["path"] == "bad0.png" else "AB"[i % 2]
        lines.append(f"{row['path']},{row['mask'] if masks_in_manifest else ''},{row['group']},{station}")
    (root / "data" / "manifest.csv").write_text("\n".join(lines) + "\n")
    workspace = create_workspace(root / "job", TINY)
    ingest(workspace, str(root / "data" / "manifest.csv"), labels=labels)
    return workspace


def find_gaps(workspace: Workspace, wanted: str = WANTED) -> None:
    (workspace.root / "requirements.yaml").write_text(wanted)
    with workspace.lock("test"):
        write_gaps(workspace, survey_gaps(workspace, GapsRequest()), gaps_folder(workspace))


def ask(out: Path, label: str | None = "scratch", **more: object) -> FillRequest:
    base = GenerateRequest(Path(), "", out, count=20, seed=3, formats=(), most_proposals=96)
    return FillRequest(replace(base, **more), label, embed=False)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = make_workspace(tmp_path_factory.mktemp("fill"))
    find_gaps(made)
    return made


@pytest.fixture(scope="module")
def filling(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Filling:
    return fill(workspace, ask(tmp_path_factory.mktemp("filled") / "set"))


def records(folder: Path) -> list[dict[str, object]]:
    return [json.loads(text) for text in (folder / "records.jsonl").read_text().splitlines()]


def test_every_gap_has_a_verdict(filling: Filling) -> None:
    by_name = {one.name: one for one in filling.outcomes}
    assert by_name["scratch: images"].outcome == "closed"
    assert by_name["scratch: images"].n_kept >= 6
    assert by_name["scratch, station A: images"].outcome == "closed"
    assert by_name["scratch, station A: images"].n_kept >= 2
    none = by_name["scratch, station C: images"]
    assert (none.outcome, none.reason) == ("unreachable", "no variant of it passed the rules")
    assert none.command is not None
    assert none.command.startswith("activesel select --budget 1 --focus scratch -w ")
    assert by_name["scratch: images"].command is None
    said = json.loads((filling.folder / "gaps.json").read_text())
    assert [one["verdict"] for one in said["gaps"]] == [one.outcome for one in filling.outcomes]
    assert said["sets"][0]["images"] == filling.sets[0].n_kept


def test_a_slices_variants_lie_on_hosts_of_it(workspace: Workspace, filling: Filling) -> None:
    with Catalog.open(workspace.catalog_path) as catalog:
        station = {row.path: row.meta["station"] for row in catalog.images()}
    of_a = [one for one in records(filling.folder) if "scratch, station A: images" in one["gaps"]]  # type: ignore[operator]
    assert of_a
    assert {station[one["host"]["path"]] for one in of_a} == {"A"}  # type: ignore[index]


def test_kept_variants_are_made_again_to_the_byte(filling: Filling) -> None:
    for one in records(filling.folder)[:2]:
        assert replay(filling.folder, str(one["id"])).is_equal


def test_too_few_may_be_kept(workspace: Workspace, tmp_path: Path) -> None:
    found = fill(workspace, ask(tmp_path / "set", count=3))
    whole = next(one for one in found.outcomes if one.name == "scratch: images")
    assert (whole.outcome, whole.n_kept) == ("narrowed", 3)
    assert whole.command is not None
    assert "synth --class scratch --count 6 --fill-gaps --max-proposals 192" in whole.command
    assert found.sets[0].n_kept == 3


def test_a_missed_look_is_aimed_at(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gaps as `activesel gaps` writes them for looks: one lies where variants land, one nowhere near, one is known."""
    copy = Path(shutil.copytree(workspace.state, tmp_path / "state"))
    home = replace(workspace, root=workspace.root)
    monkeypatch.setattr(type(home), "state", copy)
    document = json.loads((copy / "gaps" / "gaps.json").read_text())
    entry = next(one for one in document["gaps"] if one["name"] == "scratch" and one["kind"] == "images")
    looks = [
        (1, "near", 6, entry["images"][:1], None),
        (2, "far", 3, [], 0),
        (3, "known", 1, entry["images"][:1], None),
    ]
    document["gaps"] = [
        {**entry, "rank": rank, "kind": "region", "name": name, "need": need, "images": images, "centroid": centroid}
        for rank, name, need, images, centroid in looks
    ]
    document["radius"] = 0.02
    (copy / "gaps" / "gaps.json").write_text(json.dumps(document))
    far = np.zeros((1, 16), np.float32)
    far[0, 0] = -1
    np.save(copy / "gaps" / "gaps.npy", far)
    found = fill(home, ask(tmp_path / "set"))
    assert [one.outcome for one in found.outcomes] == ["closed", "unreachable", "covered"]
    assert found.sets[0].n_kept == 2, "four real ones lie there, and six are wanted"
    assert "counts as near" in found.outcomes[1].reason


def test_killed_and_rerun_makes_the_same(
    workspace: Workspace, filling: Filling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "set"

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for name in ("synth.aiming.fill_gaps", "synth.generate.write_lines", "activesel.pipelines.fill.write_json"):
        with monkeypatch.context() as patch:
            patch.setattr(name, die)
            with pytest.raises(KeyboardInterrupt):
                fill(workspace, ask(out))
    again = fill(workspace, ask(out))
    assert [vars(one) for one in again.outcomes] == [vars(one) for one in filling.outcomes]
    for name in ("records.jsonl", "labels.csv", "proposals.jsonl"):
        assert (out / name).read_bytes() == (filling.folder / name).read_bytes()


def test_no_gaps_file_is_one_line_with_the_command(tmp_path: Path) -> None:
    workspace = create_workspace(tmp_path / "job", TINY)
    with pytest.raises(DataError, match=r"gaps\.json: no gaps were found out yet; run `activesel gaps` first"):
        fill(workspace, ask(tmp_path / "set"))
    gaps_folder(workspace).mkdir(parents=True)
    (gaps_folder(workspace) / "gaps.json").write_text('{"gaps": [{}]}')
    with pytest.raises(DataError, match="the gaps cannot be read"):
        fill(workspace, ask(tmp_path / "set"))
    assert not (tmp_path / "set").exists()


def test_gaps_of_other_vectors_are_refused(workspace: Workspace, tmp_path: Path) -> None:
    other = create_workspace(tmp_path / "job", TINY)
    shutil.copytree(gaps_folder(workspace), gaps_folder(other))
    path = gaps_folder(other) / "gaps.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "vectors": "mine.npy"}))
    with pytest.raises(DataError, match="measured in other vectors"):
        read_gaps(other)


def test_a_class_without_a_gap_is_told(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--class good: no gap of this class is to be synthesised; found scratch"):
        fill(workspace, ask(tmp_path / "set", label="good"))


def test_without_a_class_a_set_is_no_folder_of_sets(workspace: Workspace, filling: Filling) -> None:
    with pytest.raises(UsageError, match="the folder is a set itself"):
        fill(workspace, ask(filling.folder, label=None))


def test_a_plan_writes_nothing(workspace: Workspace, tmp_path: Path) -> None:
    plan = plan_filling(workspace, ask(tmp_path / "sets", label=None))
    assert [(one["name"], one["missing"]) for one in plan["gaps"] if one["name"] == "scratch: images"] == [
        ("scratch: images", 6)
    ]
    assert plan["gaps"][0]["set"] == str(tmp_path / "sets" / "scratch")
    assert not (tmp_path / "sets").exists()


def test_a_class_that_cannot_be_made_does_not_stop_the_others(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = story.synthesise

    def make(request: GenerateRequest, *args: object, **options: object) -> object:
        if request.label == "dent":
            raise DataError("no image shows this class")
        return real(request, *args, **options)  # type: ignore[arg-type]

    def read(home: Workspace) -> object:
        found = read_gaps(home)
        dent = replace(found.entries[0], rank=99, name="dent: images", label="dent")
        return replace(found, entries=(*found.entries, dent))

    monkeypatch.setattr(story, "synthesise", make)
    monkeypatch.setattr(story, "read_gaps", read)
    found = fill(workspace, ask(tmp_path / "sets", label=None))
    assert (found.outcomes[-1].name, found.outcomes[-1].outcome) == ("dent: images", "unreachable")
    assert found.outcomes[-1].reason == "no image shows this class"
    assert (tmp_path / "sets" / "scratch" / "labels.csv").exists()
    with pytest.raises(DataError, match="no image shows this class"):
        fill(workspace, ask(tmp_path / "other", label="dent"))


# Labels: what tests the model is neither donor nor host, and masks may come from elsewhere


def hold_out(workspace: Workspace, names: Sequence[str]) -> None:
    with Catalog.open(workspace.catalog_path) as catalog:
        ids = [image_id for path, image_id in catalog.resolve().items() if Path(path).name in names]
        catalog.batches.add("0001", ids, ["evaluation"] * len(ids), "2026-01-01T00:00:00")


def label_file(workspace: Workspace, labels: Path | None = None, masks: Path | None = None) -> Path:
    asked = GenerateRequest(labels or Path(), "scratch", workspace.root / "set")
    return request_in_workspace(workspace, asked, masks=masks).labels


def test_gold_images_are_neither_donor_nor_host(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    hold_out(workspace, ["bad1.png", "good3.png"])
    (tmp_path / "elsewhere").mkdir()
    copy = shutil.copy(tmp_path / "data" / "bad1.png", tmp_path / "elsewhere" / "copy.png")
    beside = tmp_path / "beside.csv"
    text = (tmp_path / "data" / "labels.csv").read_text()
    beside.write_text(text.replace("\nbad", f"\n{tmp_path}/data/bad").replace("\ngood", f"\n{tmp_path}/data/good")
                      .replace("_mask.png", "_mask.png").replace(f"{tmp_path}/data/bad1.png", str(copy))
                      .replace(",bad", f",{tmp_path}/data/bad"))  # fmt: skip
    for path in (label_file(workspace), label_file(workspace, tmp_path / "data" / "labels.csv"),
                 label_file(workspace, beside)):  # fmt: skip
        names = {Path(one.path).name for one in read_labels(path).examples}
        assert not names & {"bad1.png", "good3.png", "copy.png"}
        assert len(names) == 12
        assert all(one.mask and Path(one.mask).is_file() for one in read_labels(path).examples if one.label != "good")


def test_a_gold_images_group_stays_out(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    hold_out(workspace, ["bad1.png"])
    labels = tmp_path / "data" / "labels.csv"
    labels.write_text(labels.read_text().replace(",b2", ",b1"))
    names = {Path(one.path).name for one in read_labels(label_file(workspace, labels)).examples}
    assert not names & {"bad1.png", "bad2.png"}


def test_a_label_file_that_names_no_gold_image_is_used_as_it_is(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    assert label_file(workspace, tmp_path / "data" / "labels.csv") == tmp_path / "data" / "labels.csv"


def test_masks_come_from_a_file_beside_or_from_the_requirements(tmp_path: Path) -> None:
    """The catalog knows no mask: --labels names them, or the table that requirements.yaml names."""
    workspace = make_workspace(tmp_path, masks_in_manifest=False)
    shutil.copy(tmp_path / "data" / "labels.csv", tmp_path / "data" / "masks.csv")
    find_gaps(workspace, WANTED + f"masks: {tmp_path / 'data' / 'masks.csv'}\n")
    masks = read_gaps(workspace).masks
    assert masks == tmp_path / "data" / "masks.csv"
    for path in (label_file(workspace, tmp_path / "data" / "labels.csv"), label_file(workspace, masks=masks)):
        shown = [one for one in read_labels(path).examples if one.label == "scratch"]
        assert len(shown) == 4
        assert all(one.mask and Path(one.mask).is_file() for one in shown)
    assert not [one for one in read_labels(label_file(workspace)).examples if one.mask]
    asked = GenerateRequest(Path(), "scratch", tmp_path / "set")
    assert story._guessed(request_in_workspace(workspace, asked, masks=masks)) == []
    (note,) = story._guessed(request_in_workspace(workspace, asked))
    assert note.startswith("scratch: no mask or box says where its defects are")


def test_labels_that_came_since_are_told(workspace: Workspace, tmp_path: Path) -> None:
    found = read_gaps(workspace)
    assert found.notes == ()
    aim = aim_at(workspace, found.entries[:1], found, FileEmbedder(workspace))
    assert aim.reach > 0, "also where the pool is too small to tell a radius"
    wide = replace(found, radius=0.02)
    assert aim_at(workspace, found.entries[:1], wide, FileEmbedder(workspace)).reach == pytest.approx(0.2)
    assert aim.key == aim_at(workspace, found.entries[:1], found, FileEmbedder(workspace)).key
    other = make_workspace(tmp_path)
    shutil.copytree(gaps_folder(workspace), gaps_folder(other))
    hold_out(other, ["bad1.png"])
    assert read_gaps(other).notes[0].startswith("13 images are labelled, 14 were")
