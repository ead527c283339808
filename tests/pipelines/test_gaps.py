"""Gaps of a workspace with forty images: counts by hand, names that do not exist, and what the files hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from activesel.catalog import Catalog
from activesel.errors import DataError
from activesel.gaps import Facts
from activesel.pipelines import gap_files
from activesel.pipelines.gap_files import gaps_folder, write_gaps
from activesel.pipelines.gaps import GapsRequest, Survey, check_gaps, survey_gaps
from activesel.workspace import create_workspace
from tests.pipelines.workspaces import Job, make_job, write_image

BASE = "schema_version: 1\ngood: free\n"
STATIONS = [("A", "B")[i // 20] for i in range(40)]  # images 0..19 are of station A


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return make_job(tmp_path, 40, meta={"station": STATIONS, "part": [f"p{i}" for i in range(40)]})


def survey(job: Job, text: str) -> Survey:
    path = job.workspace.root / "requirements.yaml"
    path.write_text(BASE + text, encoding="utf8")
    return survey_gaps(job.workspace, GapsRequest(None, job.embeddings, job.ids_file))


def facts_of(found: Survey) -> dict[str, Facts]:
    return {one.name: one for one in found.facts}


def test_counts_by_class_and_slice(job: Job) -> None:
    """Kinds go 0 crack, 1 fray, 2 free, 3 pit, 0 ...; of the first 24 images each has six labels, five at station A."""
    job.label(range(24))
    found = survey(
        job,
        "classes: {crack: {images: 10, recall: 0.5}, fray: {images: 6}}\n"
        "slices: [{class: crack, where: {station: B}, images: 4}]\n",
    )
    facts = facts_of(found)
    assert (facts["crack"].n_labelled, facts["fray"].n_labelled, facts["crack, station B"].n_labelled) == (6, 6, 1)
    assert (facts["crack"].n_pool, facts["crack, station B"].n_pool) == (16, 16)
    assert set(facts["crack"].rows.tolist()) <= set(np.flatnonzero(found.pool).tolist())
    assert facts["crack"].recall is not None
    assert facts["crack"].recall.tested == 6
    assert facts["free"].recall is None
    (short,) = [gap for gap in found.gaps if gap.name == "crack" and gap.kind == "images" and gap.action == "label"]
    assert short.missing == min(4, facts["crack"].likely or 0)
    assert not [gap for gap in found.gaps if gap.name == "fray" and gap.kind == "images"]


def test_a_part_stays_together(tmp_path: Path) -> None:
    """All six cracks are pictures of two parts, so two are tested; without the column each is a part of its own."""
    parts = [f"p{i % 8}" for i in range(40)]
    job = make_job(tmp_path, 40, meta={"part": parts})
    job.label(range(24))
    wanted = "classes: {crack: {recall: 0.5}}\n"
    together = facts_of(survey(job, "group_column: part\n" + wanted))["crack"]
    apart = facts_of(survey(job, wanted))["crack"]
    assert (together.n_groups, apart.n_groups) == (2, 6)
    assert together.recall is not None
    assert together.recall.tested == 2


def test_gold_images_are_counted_and_never_trained_on(job: Job) -> None:
    job.label(range(24))
    with Catalog.open(job.workspace.catalog_path) as catalog:
        catalog.batches.add("0001", [job.ids[i] for i in range(8)], ["evaluation"] * 8, "2026-01-01T00:00:00")
    found = survey(job, "gold_images: 10\nclasses: {crack: {gold: 5}}\n")
    facts = facts_of(found)
    assert (facts["gold set"].n_gold, facts["crack"].n_gold, facts["crack"].n_labelled) == (8, 2, 4)
    assert not set(found.gold_rows.tolist()) & set(found.gathered.labelled.tolist())
    kinds = {(gap.name, gap.kind): gap.action for gap in found.gaps}
    assert kinds["gold set", "gold"] == "label"
    assert kinds["free", "proof"] == "cannot be met", "299 good parts are more than there are"


def test_without_labels(job: Job) -> None:
    found = survey(job, "classes: {crack: {images: 10, recall: 0.9}}\n")
    assert {gap.action for gap in found.gaps} == {"label"}
    document = write_gaps(job.workspace, found, gaps_folder(job.workspace), own_vectors=True)
    (images,) = [gap for gap in document["gaps"] if gap["kind"] == "images"]
    assert "--focus" not in images["command"]
    assert "select --budget 10" in images["command"]


def test_labels_of_one_class_alone(job: Job) -> None:
    """No model then: what lies near a label is taken for its class."""
    job.label([2, 6])
    found = survey(job, "classes: {free: {images: 10}, pit: {images: 3, unseen: true}}\n")
    facts = facts_of(found)
    assert facts["free"].recall is None
    assert found.probs is None
    cosine = job.vectors @ job.vectors[[2, 6]].T
    near = [i for i in range(40) if i not in (2, 6) and cosine[i].max() >= 1 - found.radius]
    assert facts["free"].likely == len(near) > 0
    assert facts["pit"].likely == 0
    assert [gap.action for gap in found.gaps if gap.class_name == "pit"] == ["collect"]
    assert any("no recall" in note for note in found.notes)


def test_an_empty_workspace(tmp_path: Path) -> None:
    workspace = create_workspace(tmp_path / "job")
    (workspace.root / "requirements.yaml").write_text(BASE + "classes: {crack: {images: 1}}\n")
    assert check_gaps(workspace, GapsRequest())["images"] == 0
    with pytest.raises(DataError, match="there are no images yet"):
        survey_gaps(workspace, GapsRequest())


IN_FRAY = "classes: {crack: {}}\nslices:\n  - class: fray\n    where: "
BANDS = "bands: {defect_size: {small: [0, 1]}}\n"


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("classes:\n  crak: {images: 1}\n", 4, "no image is labelled so; found 'crak'; expected crack; write `unseen"),
        (IN_FRAY.replace("fray", "fay") + "{station: A}\n", 5, "found 'fay'; expected fray"),
        (IN_FRAY + "{statoin: A}\n", 6, "found 'statoin'; expected station"),
        (IN_FRAY + "\n      station: C\n", 7, "found 'C'; expected one of A, B"),
        (IN_FRAY + "{defect_size: small}\n", 6, "no band of it has a name"),
        (BANDS + IN_FRAY + "{defect_size: small}\n", 7, "known from masks only"),
        (BANDS + "masks: m.csv\n" + IN_FRAY + "{defect_size: tiny}\n", 8, "no band of defect_size is called so"),
        ("group_column: lot\nclasses: {crack: {}}\n", 3, "no image has such a column; found 'lot'"),
    ],
)
def test_names_that_nothing_has(job: Job, text: str, line: int, told: str) -> None:
    job.label(range(8))
    with pytest.raises(DataError) as failure:
        survey(job, text)
    message = str(failure.value)
    assert message.startswith(f"{job.workspace.root / 'requirements.yaml'}:{line}: ")
    assert told in message
    assert "\n" not in message


def test_a_good_class_that_no_label_names(job: Job) -> None:
    job.label([0, 1])
    with pytest.raises(DataError, match=r"requirements.yaml:2: no image is labelled so; found 'free'"):
        survey(job, "classes: {crack: {}}\n")


def test_slices_by_masks(job: Job) -> None:
    """Images are 8 x 8; a box of 2 x 2 is a sixteenth of one."""
    job.label(range(24))
    rows = [f"{job.paths[0]},0,0,2,2", f"{job.paths[4]},0,0,8,4", f"{job.paths[36]},0,0,2,2"]
    (job.workspace.root / "boxes.csv").write_text("path,x0,y0,x1,y1\n" + "\n".join(rows) + "\n")
    found = survey(
        job,
        "masks: boxes.csv\nbands: {defect_size: {small: [0, 0.1], large: [0.1, 1]}}\nclasses: {crack: {images: 1}}\n"
        "slices:\n- {class: crack, where: {defect_size: small}, images: 5}\n"
        "- {class: crack, where: {defect_size: large}, images: 5}\n",
    )
    facts = facts_of(found)
    assert (facts["crack, defect_size small"].n_labelled, facts["crack, defect_size large"].n_labelled) == (1, 1)
    told = [gap.reason for gap in found.gaps if gap.action == "label" and gap.where]
    assert told
    assert all("(defect_size unknown before labelling: as the labelled ones are)" in one for one in told)
    likely = facts["crack"].likely
    assert likely
    halves = [facts[f"crack, defect_size {size}"].likely for size in ("small", "large")]
    assert halves == [max(1, round(likely * 2 / 4))] * 2, "one of two measured is small: (1 + 1) / (2 + 2)"


def test_files(job: Job) -> None:
    job.label(range(24))
    found = survey(
        job, "classes: {crack: {images: 60, recall: 0.95}, scratch: {images: 5, unseen: true}}\ngold_images: 5\n"
    )
    folder = gaps_folder(job.workspace)
    written = write_gaps(job.workspace, found, folder, own_vectors=True)
    document: dict[str, Any] = json.loads((folder / "gaps.json").read_text(encoding="utf8"))
    assert document == written
    assert set(document) == {"schema_version", "requirements", "vectors", "images", "labelled", "gold", "radius",
                             "notes", "classes", "gaps"}  # fmt: skip
    for gap in document["gaps"]:
        assert set(gap) == {"rank", "action", "kind", "name", "class", "where", "have", "need", "missing", "priority",
                            "reason", "command", "centroid", "images"}  # fmt: skip
    assert [gap["rank"] for gap in document["gaps"]] == list(range(1, len(document["gaps"]) + 1))
    priorities = [gap["priority"] for gap in document["gaps"]]
    assert priorities == sorted(priorities, reverse=True)
    centroids = np.load(folder / "gaps.npy", allow_pickle=False)
    assert np.allclose(np.linalg.norm(centroids, axis=1), 1, atol=1e-5)
    used = [gap["centroid"] for gap in document["gaps"] if gap["centroid"] is not None]
    assert used == list(range(len(centroids)))
    (synthesise,) = [gap for gap in document["gaps"] if gap["action"] == "synthesise" and gap["kind"] == "images"]
    assert "synth --class crack --count 60 --fill-gaps" in synthesise["command"]
    assert {image["image_id"] for image in synthesise["images"]} == {job.ids[i] for i in range(0, 24, 4)}
    again = write_gaps(
        job.workspace, survey(job, (found.file.path.read_text()).removeprefix(BASE)), folder, own_vectors=True
    )
    assert again == written, "the same data, the same gaps"


def test_the_page_is_offline_and_escapes_names(job: Job) -> None:
    job.label([0, 4, 8, 1, 5, 2, 6], ["<b>&crack"] * 3 + ["fray"] * 2 + ["free"] * 2)
    found = survey(job, "classes: {'<b>&crack': {images: 60, recall: 0.95}}\n")
    write_gaps(job.workspace, found, gaps_folder(job.workspace), own_vectors=True)
    page = (gaps_folder(job.workspace) / "gaps.html").read_text(encoding="utf8")
    assert "&lt;b&gt;&amp;crack" in page
    assert "<b>&crack" not in page
    assert "default-src 'none'" in page
    assert not [word for word in ("<script", "http://", "https://", 'src="file') if word in page]
    assert "data:image/jpeg;base64," in page


def test_commands_are_safe_to_paste(job: Job) -> None:
    job.label([0, 4, 8, 1, 5, 2, 6], ["a b; rm"] * 3 + ["fray"] * 2 + ["free"] * 2)
    found = survey(job, "classes: {'a b; rm': {images: 60}}\n")
    gap = next(one for one in found.gaps if one.kind == "images" and one.action == "label")
    command = gap_files.next_command(job.workspace, found, gap, 1, gaps_folder(job.workspace))
    assert "--focus 'a b; rm'" in command
    assert command.endswith(f"-w {job.workspace.root}")


def test_a_band_of_a_column_becomes_a_filter(tmp_path: Path) -> None:
    job = make_job(tmp_path, 40, meta={"tension": [str(i % 5) if i % 7 else "" for i in range(40)]})
    job.label(range(24))
    found = survey(
        job,
        "bands: {tension: {low: [0, 3], high: [3, 9]}}\nclasses: {crack: {}}\n"
        "slices: [{class: crack, where: {tension: low}, images: 30}]\n",
    )
    by_hand = [i for i in range(0, 24, 4) if i % 7 and i % 5 < 3]
    assert facts_of(found)["crack, tension low"].n_labelled == len(by_hand)
    gap = next(one for one in found.gaps if one.action == "label" and one.where)
    command = gap_files.next_command(job.workspace, found, gap, 1, gaps_folder(job.workspace))
    assert "--where tension=0,1,2" in command


def test_a_file_that_went_away_spoils_no_page(job: Job) -> None:
    job.label(range(24))
    found = survey(job, "classes: {crack: {images: 60}}\n")
    for path in job.paths:
        path.unlink()
    write_gaps(job.workspace, found, gaps_folder(job.workspace), own_vectors=True)
    write_image(job.paths[0], 0)
    assert "data:image/jpeg" not in (gaps_folder(job.workspace) / "gaps.html").read_text(encoding="utf8")
