"""The flywheels that run beside one another: the same images, first labels, people and budget, one part apart."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from activesel.catalog import Catalog
from activesel.pipelines.gaps import REQUIREMENTS_NAME
from activesel.pipelines.ingest import ingest
from activesel.pipelines.labels import import_labels
from activesel.workspace import STATE_NAME, Workspace, create_workspace, write_atomic

FULL, RANDOM, NO_SYNTHESIS, EVERYTHING = "activesel", "random", "without variants", "all labels"
POOL, TEST, FIRST, ALL = "pool.csv", "test.csv", "first.csv", "all.csv"


@dataclass(frozen=True)
class Arm:
    """name: as plots say it. overrides: settings that make it what it is, as --set takes them."""

    name: str
    overrides: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        return self.name.replace(" ", "_")


@dataclass(frozen=True)
class Split:
    """Image ids: of the pool to choose from, of the test images that no round sees, of the first labels."""

    pool: tuple[str, ...]
    test: tuple[str, ...]
    first: tuple[str, ...]


def list_arms(*, synthesis: bool) -> list[Arm]:
    """Return the flywheel, and its twins: one that picks at random, and one without variants where there are any."""
    random = Arm(RANDOM, ("selection.strategy=random", "rounds.synthesis=false"))
    if not synthesis:
        return [Arm(FULL, ("rounds.synthesis=false",)), random]
    return [Arm(FULL, ("rounds.synthesis=true",)), Arm(NO_SYNTHESIS, ("rounds.synthesis=false",)), random]


def open_arm(base: Workspace, home: Path, arm: Arm, overrides: Sequence[str]) -> Workspace:
    """Return an arm's workspace below ``home``, where the manifests lie; a half-made one is made anew.

    base: the workspace that all images are in, with their vectors, which are copied.
    """
    folder = home / arm.folder
    settings = (*overrides, *arm.overrides)
    done = folder / STATE_NAME / "arm"
    if done.exists():
        return create_workspace(folder, settings)
    if folder.exists():
        shutil.rmtree(folder)
    workspace = create_workspace(folder, settings)
    shutil.copytree(base.vectors_dir, workspace.vectors_dir)
    wanted = base.root / REQUIREMENTS_NAME
    if wanted.exists():
        shutil.copyfile(wanted, folder / REQUIREMENTS_NAME)
    with workspace.lock("simulate"):
        ingest(workspace, str(home / POOL))
        ingest(workspace, str(home / TEST))
        import_labels(workspace, home / (ALL if arm.name == EVERYTHING else FIRST))
    write_atomic(done, "")
    return workspace


def write_manifests(base: Workspace, home: Path, split: Split, truth: Mapping[str, str]) -> None:
    """Write which images are the pool and which test, and the first labels: the same files for every arm."""
    with Catalog.open(base.catalog_place) as catalog:
        row_of = {row.image_id: row for row in catalog.images()}
    columns = sorted({name for row in row_of.values() for name in row.meta})
    for name, ids in ((POOL, split.pool), (TEST, split.test)):  # without labels: those would give every answer away
        rows = [[row_of[i].path, *(row_of[i].meta.get(column, "") for column in columns)] for i in ids]
        write_atomic(home / name, _table(("path", *columns), rows))
    for name, ids in ((FIRST, split.first), (ALL, split.pool)):
        write_atomic(home / name, _table(("path", "label"), [(row_of[i].path, truth[i]) for i in ids]))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    return text.getvalue()
