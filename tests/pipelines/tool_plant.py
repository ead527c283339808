"""A workspace whose batch goes to a Label Studio in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from activesel.annotations import Annotation, Box, Resolution, Role, Task
from activesel.catalog import Catalog, FileStamp
from activesel.images import content_id
from activesel.pipelines.opinions import ImportRequest, ImportSummary, import_annotations
from activesel.pipelines.tool_pull import pull_batches
from activesel.pipelines.tool_push import PushRequest, PushSummary, push_batch
from activesel.records import ImageRow, Label
from activesel.tools.label_studio import LabelStudio
from activesel.tools.rest import Rest
from activesel.workspace import Workspace, create_workspace
from tests.cli.samples import draw_photo
from tests.tools.fake_label_studio import LEGACY, FakeLabelStudio

N = 6


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Plant:
    """A workspace with a batch of six images, two of which two people shall see and one hides its pre-label."""

    workspace: Workspace
    server: FakeLabelStudio
    ids: list[str]
    url: str = "http://studio.example"

    @contextmanager
    def tool(self) -> Iterator[LabelStudio]:
        rest = Rest(self.url, transport=httpx.MockTransport(self.server.handle), sleep=lambda _: None)
        yield LabelStudio(rest, LEGACY, "--token")
        rest.close()

    def push(self, **more: Any) -> PushSummary:
        with self.tool() as tool:
            return push_batch(self.workspace, PushRequest("0001", **more), tool)

    def pull(self, **more: Any) -> Any:
        with self.tool() as tool:
            return pull_batches(self.workspace, None, tool, **more)[0]

    def opinions(self) -> list[Annotation]:
        with Catalog.open(self.workspace.catalog_place) as catalog:
            return [one for one in catalog.annotations.read() if one.role is not Role.model]

    def resolutions(self) -> dict[str, Resolution]:
        with Catalog.open(self.workspace.catalog_place) as catalog:
            return catalog.annotations.resolutions()


def make_plant(tmp_path: Path) -> Plant:
    workspace = create_workspace(tmp_path / "line-4")
    images = tmp_path / "photos" / "a"
    images.mkdir(parents=True)
    rows = []
    for seed in range(N):
        path = images / f"photo {seed}.png"
        draw_photo(seed).save(path)
        rows.append(ImageRow(content_id(path), str(path), 48, 48, "PNG"))
    ids = [row.image_id for row in rows]
    with Catalog.open(workspace.catalog_path) as catalog:
        catalog.add_images([(row, FileStamp(1, 1)) for row in rows], "photos")
        catalog.add_labels([Label(ids[0], "good", "old"), Label(ids[1], "pit", "old")])
        catalog.batches.add("0001", ids, ["train"] * N, "2026-11-26")
        shapes = (Box("pit", 12, 6, 36, 24, 0.75),)
        catalog.annotations.add([Annotation(one, "head-1", Role.model, "pit", shapes, score=0.5) for one in ids[:5]])
        wanted = [Task("0001", one, n_wanted=1 + (i < 2), overlap=i < 2, prelabel="hidden" if i == 2 else "shown",
                       gold=i == 3) for i, one in enumerate(ids)]  # fmt: skip
        catalog.annotations.assign("0001", wanted)
    return Plant(workspace, FakeLabelStudio(), ids)


def import_export(plant: Plant, folder: Path, **more: Any) -> ImportSummary:
    """Export the project's JSON as its page does, and import the file."""
    file = folder / "project-1.json"
    exported = [{**task, "predictions": [], "created_at": "2026-11-26"} for task in plant.server.tasks]
    file.write_text(json.dumps(exported))
    return import_annotations(plant.workspace, ImportRequest(file, **more))


def answer_all(plant: Plant) -> None:
    server = plant.server
    server.annotate(0, by=1, name="good")
    server.annotate(0, by=2, name="pit", ground_truth=True)
    server.annotate(2, by=1, name="pit")
    server.annotate(3, by=7, was_cancelled=True, lead_time=None)
    reason = {"type": "textarea", "from_name": "reason", "to_name": "image", "value": {"text": ["too dark"]}}
    server.annotate(4, by=2, was_cancelled=True, result=[reason])
    server.annotate(5, by=1, name="pit")
