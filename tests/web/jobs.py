"""A workspace with one batch of small photographs, its review, and somebody who asks it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from starlette.testclient import TestClient

from activesel.annotations import Annotation, Task
from activesel.catalog import Catalog
from activesel.pipelines.ingest import ingest
from activesel.pipelines.review import Review
from activesel.web.app import create_app
from activesel.web.guard import People, csrf_of
from activesel.workspace import Workspace, create_workspace, write_json

BATCH = "0001"
CLASSES = ("good", "crack", "pit")
SIZE = (64, 48)  # width, height
BASE = "http://127.0.0.1:8000"
_numbers = itertools.count()


@dataclass(frozen=True)
class Job:
    workspace: Workspace
    ids: tuple[str, ...]  # in the order of the batch

    def opinions(self) -> list[Annotation]:
        with Catalog.open(self.workspace.catalog_place) as catalog:
            return catalog.annotations.read()

    def assign(self, *tasks: Task) -> None:
        with Catalog.open(self.workspace.catalog_place) as catalog:
            catalog.annotations.assign(BATCH, tasks)

    def add(self, *opinions: Annotation) -> None:
        with Catalog.open(self.workspace.catalog_place) as catalog:
            catalog.annotations.add(opinions)

    def labels(self) -> dict[str, str]:
        with Catalog.open(self.workspace.catalog_place) as catalog:
            return catalog.labels_of(self.ids)

    @contextmanager
    def review(self, *, adjudicate: bool = False, classes: Sequence[str] = CLASSES) -> Iterator[Review]:
        with Catalog.open(self.workspace.catalog_place) as catalog:
            yield Review(self.workspace, catalog, BATCH, adjudicate=adjudicate, classes=classes)


def draw(path: Path, seed: int, size: tuple[int, int] = SIZE) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.normal(120, 14, (size[1], size[0], 3))
    pixels[10:20, 8 + seed % 30 : 16 + seed % 30] = (30, 30, 30)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


def make_job(root: Path, n: int = 4, meta: str = "A") -> Job:
    """Write n photographs and a manifest whose column "station" says ``meta``, and a batch of all of them."""
    (root / "photos").mkdir(parents=True)
    lines = ["path,station"]
    for number in range(n):
        draw(root / "photos" / f"{number:03d}.png", number)
        lines.append(f'{root}/photos/{number:03d}.png,"{meta}"')
    (root / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf8")
    workspace = create_workspace(root / "job")
    ingest(workspace, str(root / "manifest.csv"))
    with Catalog.open(workspace.catalog_place) as catalog:
        ids = tuple(catalog.image_at(f"{root}/photos/{number:03d}.png") or "" for number in range(n))
        catalog.batches.add(BATCH, ids, ["train"] * n, "2026-01-01T00:00:00+00:00")
    write_batch(workspace, ids)
    return Job(workspace, ids)


def write_batch(workspace: Workspace, ids: Sequence[str]) -> None:
    """Write batch.json by hand: what writes it takes seconds to import."""
    picks = [
        {"rank": rank, "image_id": image_id, "path": "", "kind": "strategy", "reason": "", "predicted": None,
         "probability": None, "gain": 1.0, "propensity": None, "scores": {}, "stands_for": 1, "group": None, "meta": {}}
        for rank, image_id in enumerate(ids, start=1)
    ]  # fmt: skip
    head = {"schema_version": 1, "batch_id": BATCH, "created": "2026-01-01T00:00:00+00:00", "request_key": "key",
            "strategy": "random", "budget": float(len(ids)), "seed": 0, "command": "", "config": {}, "versions": {},
            "inputs": {}, "notes": [], "n_pool": len(ids), "n_labelled": 0, "picks": picks}  # fmt: skip
    write_json(workspace.batches_dir / BATCH / "batch.json", head)


class Person:
    """Somebody with a browser: sends the cookie and what a page of ours would."""

    def __init__(self, client: TestClient, people: People, name: str) -> None:
        token = next(token for token, known in people.tokens.items() if known == name)
        self.client, self.token = client, token
        self.headers = {"cookie": f"{people.cookie}={token}", "x-csrf-token": csrf_of(token)}

    def get(self, path: str) -> Any:
        return self.client.get(path, headers={"cookie": self.headers["cookie"]})

    def post(self, path: str, message: Any = None, **headers: str) -> Any:
        return self.client.post(path, json=message, headers=self.headers | headers)

    def next(self) -> Any:
        return self.post("/api/next", {}).json()

    def say(self, image_id: str, name: str | None = None, **more: Any) -> Any:
        return self.post("/api/answer", message_of(image_id, name, **more))


def message_of(image_id: str, name: str | None = None, **more: Any) -> dict[str, Any]:
    submission = f"submission-{next(_numbers)}"
    return {"image_id": image_id, "submission": submission, "name": name, "shapes": [], "lead_time_s": 0.0} | more


@contextmanager
def serve(job: Job, *names: str, host: str = "127.0.0.1", **options: Any) -> Iterator[list[Person]]:
    """Serve the batch in this process to these people."""
    with job.review(**options) as review:
        people = People.invite(names or ("anna",), 8000)
        with TestClient(create_app(review, people, host=host, image_px=1024), base_url=BASE) as client:
            yield [Person(client, people, name) for name in names or ("anna",)]
