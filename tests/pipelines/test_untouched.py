"""Pre-labels that went out by a file and come back untouched: the model's still, said once."""

from __future__ import annotations

from pathlib import Path

import pytest

from activesel.annotations import Annotation, Box, Role
from activesel.catalog import Catalog
from activesel.errors import UsageError
from activesel.pipelines.hand_out import ExportRequest, export_to
from activesel.pipelines.opinions import ImportRequest, Unsaid, import_annotations
from activesel.workspace import Workspace
from tests.pipelines.handed_out import ids_of, labels_in, make_batch, opinions_in


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_batch(tmp_path)


def export(workspace: Workspace, out: Path) -> str:
    box = Box("crack", 12, 12, 24, 36.123456, 0.5)
    said = [Annotation(one, "net-1", Role.model, "crack", (box,), score=0.75) for one in ids_of(workspace)[:2]]
    with Catalog.open(workspace.catalog_place) as catalog:
        catalog.annotations.add(said)
    export_to(workspace, ExportRequest("0001", "cvat", out))
    return out.read_text().replace("36.123456", "36.12")  # CVAT rounds


def test_what_comes_back_untouched_is_known(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "back.xml").write_text(export(workspace, tmp_path / "out.xml"))
    done = import_annotations(workspace, ImportRequest(tmp_path / "back.xml"))
    assert (done.n_opinions, labels_in(workspace)) == (0, {})
    assert [one.annotator for one in opinions_in(workspace)] == ["net-1", "net-1"]


def test_what_somebody_changed_is_theirs(workspace: Workspace, tmp_path: Path) -> None:
    text = export(workspace, tmp_path / "out.xml")
    changed = text.replace('source="auto"', 'source="semi-auto"', 2)  # tag and box of the first image
    (tmp_path / "back.xml").write_text(changed)
    done = import_annotations(workspace, ImportRequest(tmp_path / "back.xml", unsaid=Unsaid("ann")))
    assert (done.n_new, labels_in(workspace)) == (1, {ids_of(workspace)[0]: "crack"})


def test_what_cvats_own_model_drew_is_a_pre_label_once(workspace: Workspace, tmp_path: Path) -> None:
    text = export(workspace, tmp_path / "out.xml").replace('xtl="12"', 'xtl="2"')
    (tmp_path / "back.xml").write_text(text)
    assert import_annotations(workspace, ImportRequest(tmp_path / "back.xml")).n_new == 2
    assert import_annotations(workspace, ImportRequest(tmp_path / "back.xml")).n_known == 2
    assert {one.role for one in opinions_in(workspace)} == {Role.model}
    assert labels_in(workspace) == {}


def test_leaving_it_can_be_accepting_it(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "back.xml").write_text(export(workspace, tmp_path / "out.xml"))
    request = ImportRequest(tmp_path / "back.xml", unsaid=Unsaid("ann"), accept_untouched=True)
    assert import_annotations(workspace, request).n_new == 2
    assert labels_in(workspace) == dict.fromkeys(ids_of(workspace)[:2], "crack")
    (tmp_path / "a.csv").write_text("path,label\n")
    with pytest.raises(UsageError, match=r"does not say what nobody touched; found csv; leave --accept-untouched out"):
        import_annotations(workspace, ImportRequest(tmp_path / "a.csv", "csv", accept_untouched=True))
