"""A model's folder gets its figures and a page; the same again; whose files nobody trusts."""

from __future__ import annotations

import json
import re

import pytest

from activesel.errors import DataError
from activesel.pipelines.dataset import BuildRequest, build_dataset
from activesel.pipelines.evaluate import evaluate_model
from tests.pipelines.gated import PLAIN, add_model
from tests.pipelines.gated import gated as gated
from tests.pipelines.workspaces import Job, snapshot_tree


def test_files_are_the_same_again(gated: Job) -> None:
    add_model(gated, 1, 2.0)
    workspace = gated.open(*PLAIN)
    found = evaluate_model(workspace)
    assert found.file is not None
    before = snapshot_tree(gated.workspace.state)
    assert evaluate_model(workspace).document == found.document
    assert snapshot_tree(gated.workspace.state) == before
    document = json.loads(found.file.read_text())
    assert document == found.document
    assert document["recall"]["low"] < document["recall"]["value"] < document["recall"]["high"]
    assert {one["name"] for one in document["parts"]} == {"frozen", "station=0", "station=1", "station=2"}
    assert [one["name"] for one in document["per_class"]] == ["crack", "fray", "free", "pit"]
    kept = json.loads((gated.workspace.state / "testsets" / f"{document['test_set']}.json").read_text())
    assert len(kept["images"]) == document["images"]["test"] == document["images"]["frozen"]


def test_the_page_shows_mistakes_and_needs_nothing_else(gated: Job) -> None:
    add_model(gated, 1, 1.0)
    page = evaluate_model(gated.open(*PLAIN)).page
    assert page is not None
    text = page.read_text()
    assert "defects that are let pass" in text
    assert text.count("data:image/jpeg") > 5
    assert not re.search(r"(src|href)=\"(?!data:|#)", text)
    assert "<script" not in text


def test_reliability_is_told_to_programs_and_drawn(gated: Job) -> None:
    add_model(gated, 1, 2.0)
    found = evaluate_model(gated.open(*PLAIN))
    assert found.page is not None
    told, text = found.document["reliability"], found.page.read_text()
    assert sum(one["n"] for one in told["defect"]["bins"]) == found.document["images"]["test"]
    assert text.count('class="diagonal"') == 2
    bins = [one for each in told.values() for one in each["bins"]]
    drawn = text[text.index('id="reliability"') : text.index('id="classes"')]
    assert drawn.count("<circle") == len(bins) > 6
    for one in bins:
        assert f'<td class="num">{one["observed"]["value"]:.3f}</td>' in drawn
    assert f"expected calibration error {told['defect']['error']['value']:.3f}" in drawn
    curve = text[text.index('id="curve"') : text.index('id="reliability"')]
    assert curve.count('<th scope="row"') == len(found.document["rates"]) > 0, "a table beside the curve"


def test_without_a_good_class_no_section_is_empty(gated: Job) -> None:
    add_model(gated, 1, 2.0, good=None)
    found = evaluate_model(gated.open(*PLAIN))
    assert found.page is not None
    text = found.page.read_text()
    assert (list(found.document["reliability"]), found.document["rates"]) == (["likeliest"], [])
    assert text.count('class="diagonal"') == 1
    assert not re.search(r"<tbody>\s*</tbody>", text)
    assert set(re.findall(r'href="#(\w+)"', text)) == set(re.findall(r'<section id="(\w+)"', text))


def test_a_dry_run_writes_nothing(gated: Job) -> None:
    add_model(gated, 1, 2.0)
    before = snapshot_tree(gated.workspace.state)
    assert evaluate_model(gated.open(*PLAIN), dry_run=True).page is None
    assert snapshot_tree(gated.workspace.state) == before


def test_without_validation_there_is_no_threshold(gated: Job) -> None:
    version = build_dataset(gated.open(*PLAIN, "dataset.validation=0"), BuildRequest(name="bare")).version
    add_model(gated, 1, 2.0, dataset=version)
    with pytest.raises(DataError, match="no image of the good class validates"):
        evaluate_model(gated.open(*PLAIN), dataset=version)
