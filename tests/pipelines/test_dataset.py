"""From a catalog and a set to a version: what counts, who shares a group, what stays, what a kill leaves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from activesel.annotations import Annotation, Box, LabelState, Resolution, Role
from activesel.catalog import Catalog
from activesel.errors import DataError, RefusedError
from activesel.pipelines import dataset as story
from activesel.pipelines.dataset import BuildRequest, Built, build_dataset, compare_datasets, verify_dataset
from activesel.pipelines.dataset_files import find_version, list_datasets, read_dataset
from activesel.pipelines.embed import open_store
from activesel.workspace import write_json
from tests.pipelines.workspaces import Job, make_job, make_vectors, snapshot_tree, write_image

PLAIN = ("embedding.pooling=plain", "duplicates.similarity=0.999")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Forty images of four classes, all labelled; each has a vector, 38 and 39 the same; a lot for every two."""
    vectors = make_vectors(40)
    vectors[39] = vectors[38]
    lots = [f"lot-{number // 2}" for number in range(40)]
    made = make_job(tmp_path, vectors=vectors, meta={"lot": lots})
    open_store(made.open(*PLAIN)).append(list(made.ids), vectors.astype(np.float16))
    made.label(range(40))
    return made


def build(job: Job, *settings: str, **request: object) -> Built:
    return build_dataset(job.open(*PLAIN, *settings), BuildRequest(**request))  # type: ignore[arg-type]


def splits(job: Job, built: Built) -> dict[int, str]:
    entries = read_dataset(job.workspace, built.version).entries
    return {job.ids.index(one.example.image_id): one.split for one in entries if one.example.image_id in job.ids}


def write_set(folder: Path, host: Path, donor: Path | None, *, refused: list[str] | None = None) -> Path:
    """A finished set of one variant, by hand: what a dataset reads of it."""
    write_image(folder / "images" / "synth-0.png", 777)
    source = {"kind": "donor", "path": str(donor) if donor else ""}
    record = {"id": "0", "label": "crack", "image": "images/synth-0.png", "mask": "masks/synth-0.png",
              "source": source, "host": {"path": str(host)}}  # fmt: skip
    (folder / "records.jsonl").write_text(json.dumps(record) + "\n")
    write_json(folder / ".synth" / "run.json", {"key": "k1", "refused": refused or []})
    (folder / "weights.csv").write_text("path,label,weight,host\nimages/synth-0.png,crack,0.25,h.png\n")
    return folder


def test_the_same_catalog_is_the_same_version(job: Job) -> None:
    first = build(job)
    before = snapshot_tree(job.workspace.state / "datasets")
    again = build(job)
    assert (first.is_new, again.is_new) == (True, False)
    assert first.version == again.version
    assert snapshot_tree(job.workspace.state / "datasets") == before
    assert first.n_images == 40
    assert all(set(counts) == {"crack", "fray", "free", "pit"} for counts in first.counts.values())


def test_a_dry_run_writes_nothing_and_says_the_same(job: Job) -> None:
    before = snapshot_tree(job.workspace.root)
    plan = build(job, dry_run=True)
    assert snapshot_tree(job.workspace.root) == before
    assert plan.folder is None
    assert plan.version == build(job).version


def test_near_duplicates_and_lots_stay_together(job: Job) -> None:
    side = splits(job, build(job))
    assert side[38] == side[39]
    side = splits(job, build(job, "dataset.group_column=lot", name="lots"))
    assert all(side[2 * i] == side[2 * i + 1] for i in range(20))
    with pytest.raises(DataError, match=r"dataset\.group_column"):
        build(job, "dataset.group_column=tol")


def test_sides_stay_as_labels_come(tmp_path: Path) -> None:
    few = make_job(tmp_path / "few")
    open_store(few.open(*PLAIN)).append(list(few.ids), few.vectors.astype(np.float16))
    few.label(range(25))
    first = splits(few, build(few))
    few.label(range(40))
    built = build(few)
    second = splits(few, built)
    assert {row: second[row] for row in first} == first
    assert len(second) == 40
    assert built.since is not None
    assert (len(built.since.added), built.since.leaked) == (15, ())


def test_what_counts_is_the_resolution(job: Job) -> None:
    with Catalog.open(job.workspace.catalog_place) as catalog:
        said = (("ann", Role.annotator), ("eve", Role.expert), ("net", Role.model))
        catalog.annotations.add([Annotation(job.ids[0], name, role, "pit", (Box("pit", 0, 0, size, 2),))
                                 for size, (name, role) in enumerate(said, start=2)])  # fmt: skip
        catalog.annotations.resolve([Resolution(job.ids[0], "pit", LabelState.adjudicated, by="eve"),
                                     Resolution(job.ids[1], "fray", LabelState.rejected),
                                     Resolution(job.ids[2], None, LabelState.raw),
                                     Resolution(job.ids[3], "pit", LabelState.weak, 0.75, "rules")])  # fmt: skip
    built = build(job)
    found = {one.example.image_id: one.example for one in read_dataset(job.workspace, built.version).entries}
    decided, guessed = found[job.ids[0]], found[job.ids[3]]
    assert (decided.label, decided.state, decided.origin) == ("pit", "adjudicated", "first_party")
    assert (guessed.origin, guessed.weight) == ("weak", 0.75)
    assert found[job.ids[4]].origin == "second_party"
    assert job.ids[1] not in found
    assert job.ids[2] not in found
    assert built.left_out == {"rejected": 1}
    assert built.folder is not None
    (line,) = (built.folder / "shapes.jsonl").read_text().splitlines()
    assert json.loads(line)["shapes"][0]["x1"] == 3, "the expert's"


def test_weak_labels_never_validate_or_test(job: Job) -> None:
    with Catalog.open(job.workspace.catalog_place) as catalog:
        catalog.annotations.resolve([Resolution(one, "pit", LabelState.weak, 0.9, "rules") for one in job.ids[:30]])
    side = splits(job, build(job, "dataset.validation=0.4", "dataset.test=0.4"))
    assert {side[row] for row in range(30) if row in side} == {"train"}
    assert {"validation", "test"} <= {side[row] for row in range(30, 40)}


def test_third_party_is_what_the_settings_name(job: Job) -> None:
    job.label([0, 1], source="public.csv")
    built = build(job, "dataset.third_party=[public.csv]")
    found = [one.example for one in read_dataset(job.workspace, built.version).entries]
    assert {one.image_id for one in found if one.origin == "third_party"} == {job.ids[0], job.ids[1]}


def test_evaluation_picks_alone_test(job: Job) -> None:
    with Catalog.open(job.workspace.catalog_place) as catalog:
        catalog.batches.add("0001", [job.ids[38], job.ids[0], job.ids[1]], ["evaluation", "evaluation", "train"], "now")
    built = build(job)
    side = splits(job, built)
    assert {row for row, one in side.items() if one == "test"} == {0, 38}
    assert 39 not in side, "looks like 38, and nobody drew it"
    assert sum(built.left_out.values()) == 1


def test_a_set_trains_with_what_it_was_made_from(job: Job, tmp_path: Path) -> None:
    side = splits(job, build(job))
    tested = next(row for row, one in side.items() if one == "test")
    folder = write_set(tmp_path / "set", job.paths[tested], job.paths[1])
    built = build(job, include=(folder,))
    (variant,) = [one for one in read_dataset(job.workspace, built.version).entries if one.example.state == "synthetic"]
    assert (variant.split, variant.example.weight) == ("train", 0.25)
    assert variant.example.made_from == (job.ids[1], job.ids[tested])
    assert splits(job, built)[tested] == "train"
    assert any("train now" in note for note in built.notes)


def test_a_copy_of_a_host_leaks_as_much(job: Job, tmp_path: Path) -> None:
    with Catalog.open(job.workspace.catalog_place) as catalog:
        catalog.batches.add("0001", [job.ids[4]], ["evaluation"], "now")
    copy = tmp_path / "copy.png"
    copy.write_bytes(job.paths[4].read_bytes())
    built = build(job, include=(write_set(tmp_path / "set", copy, None),))
    assert built.left_out == {"made from an evaluation image or its group": 1}


def test_refused_sets_and_folders_that_are_none(job: Job, tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", job.paths[0], None, refused=["copies: too alike"])
    with pytest.raises(RefusedError, match="too alike"):
        build(job, include=(folder,))
    built = build(job, include=(folder,), accept_refused="looked at all of them")
    head = read_dataset(job.workspace, built.version).head
    assert head["sets"][0]["accepted"] == "looked at all of them"
    with pytest.raises(DataError, match="not the folder of a finished set"):
        build(job, include=(tmp_path,))
    (folder / "images" / "synth-0.png").unlink()
    with pytest.raises(DataError, match="cannot read the file"):
        build(job, include=(folder,), accept_refused="x")


def test_a_variant_that_was_ingested_is_no_real_image(tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(7)] + ["synth-7.png"]
    job = make_job(tmp_path, 8, names=names)
    open_store(job.open(*PLAIN)).append(list(job.ids), job.vectors.astype(np.float16))
    job.label(range(8))
    built = build(job)
    assert built.n_images == 7
    assert list(built.left_out.values()) == [1]


def test_a_changed_version_is_noticed(job: Job) -> None:
    built = build(job)
    assert verify_dataset(job.workspace, None).wrong == {}
    write_image(job.paths[3], 999)
    job.paths[4].unlink()
    wrong = verify_dataset(job.workspace, built.version[:6]).wrong
    assert set(wrong) == {str(job.paths[3]), str(job.paths[4])}
    assert built.folder is not None
    lines = built.folder / "images.jsonl"
    lines.write_text(lines.read_text().replace('"split":"test"', '"split":"train"'))
    with pytest.raises(DataError, match="changed after it was made"):
        read_dataset(job.workspace, built.version)


def test_a_killed_build_leaves_no_version(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(story, "write_card", die)
        with pytest.raises(KeyboardInterrupt):
            build(job)
    folder = job.workspace.state / "datasets"
    assert list_datasets(job.workspace) == []
    (folder / ".123456789abc.draft").mkdir(parents=True)  # what kill -9 leaves
    assert build(job).is_new
    assert len(list(folder.iterdir())) == 1


def test_find_and_compare(job: Job) -> None:
    with pytest.raises(DataError, match="no dataset yet"):
        find_version(job.workspace, None)
    first = build(job)
    job.label([0], ["fray"], source="later")
    second = build(job)
    assert find_version(job.workspace, None) == find_version(job.workspace, "default") == second.version
    found = compare_datasets(job.workspace, first.version, second.version)
    assert found.labels == {job.ids[0]: ("crack", "fray")}
    with pytest.raises(DataError, match="no dataset has this id"):
        find_version(job.workspace, "zzz")


def test_no_label_no_version(tmp_path: Path) -> None:
    job = make_job(tmp_path, 4)
    with pytest.raises(DataError, match="no image has a label"):
        build(job)


def test_the_card_says_what_is_in_it(job: Job) -> None:
    write_json(job.workspace.state / "gaps" / "gaps.json", {"gaps": [
        {"name": "<crack>", "action": "label", "missing": 5, "reason": "few | of it"}]})  # fmt: skip
    agreement = {"kappa": 0.91, "low": 0.85, "high": 0.95, "n": 209}
    write_json(job.workspace.state / "quality" / "0001.json",
               {"batch_id": "0001", "verdict": "pass", "agreement": agreement})  # fmt: skip
    job.label([0, 4], ["<script>"] * 2)
    built = build(job, "dataset.licence=internal")
    assert built.folder is not None
    text, page = (built.folder / "card.md").read_text(), (built.folder / "card.html").read_text()
    assert "internal" in text
    assert "internal" in page
    assert "kappa 0.91 (0.85 .. 0.95) on 209 images of batch 0001: pass" in text
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "\\<crack>: 5 missing, label. few \\| of it" in text
    assert "second party" in page
