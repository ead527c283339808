"""A workspace of eight small images with a batch of four, written by hand: exports read files, they do not choose."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from activesel.annotations import Annotation
from activesel.catalog import Catalog
from activesel.pipelines.batch_file import BatchFile, PickRecord
from activesel.pipelines.ingest import ingest
from activesel.workspace import Workspace, create_workspace, write_atomic, write_json
from tests.cli.samples import write_photos

N_PICKS = 4


def make_batch(folder: Path) -> Workspace:
    """Photos of 48 x 48 pixels in "photos with, a comma"; the batch is 0001, in the order of the ids."""
    made = create_workspace(folder / "job")
    ingest(made, str(write_photos(folder / "photos with, a comma", 8)))
    with Catalog.open(made.catalog_place) as catalog:
        rows = catalog.images()[:N_PICKS]
        catalog.batches.add("0001", [row.image_id for row in rows], ["train"] * N_PICKS, "2026-01-01T00:00:00")
    picks = tuple(
        PickRecord(rank, row.image_id, row.path, "strategy", "a, \"quoted\" reason", None, None, 1.0, None,
                   {"density": 0.5}, 2, None, {"station": "A"}) for rank, row in enumerate(rows, start=1)
    )  # fmt: skip
    batch = BatchFile(1, "0001", "2026-01-01T00:00:00", "key", "random", 4.0, 0, "activesel select", {}, {}, {}, (), 8,
                      0, picks)  # fmt: skip
    write_json(made.batches_dir / "0001" / "batch.json", asdict(batch))
    lines = ["rank,path,reason"] + [f'{pick.rank},"{pick.path}",because' for pick in picks]
    write_atomic(made.batches_dir / "0001" / "batch.csv", "\n".join(lines) + "\n")
    return made


def ids_of(workspace: Workspace) -> list[str]:
    with Catalog.open(workspace.catalog_place) as catalog:
        return list(catalog.batches.read()[0].image_ids)


def opinions_in(workspace: Workspace) -> list[Annotation]:
    with Catalog.open(workspace.catalog_place) as catalog:
        return catalog.annotations.read()


def labels_in(workspace: Workspace) -> dict[str, str]:
    with Catalog.open(workspace.catalog_place) as catalog:
        return {image_id: one.name for image_id, one in catalog.labels().items()}
