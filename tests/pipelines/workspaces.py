"""Small jobs made in code: tiny images, metadata, and vectors of our own, so that no backbone is needed."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from activesel.catalog import Catalog
from activesel.config import load_config
from activesel.pipelines import report as report_module
from activesel.pipelines.ingest import ingest
from activesel.pipelines.select import BatchResult, SelectRequest, select_batch
from activesel.records import FloatArray, IntArray, Label
from activesel.workspace import Workspace, create_workspace, write_atomic

KINDS = ("crack", "fray", "free", "pit")  # image i is of kind i % 4
DIM = 12
PLAIN = ("embedding.pooling=plain", "duplicates.similarity=0.9999")  # settings that vectors of our own go with


@dataclass(frozen=True)
class Job:
    """A workspace with n images, none labelled. paths, vectors, ids: image i's; ids are those of the catalog."""

    workspace: Workspace
    photos: Path
    paths: tuple[Path, ...]
    ids: tuple[str, ...]
    vectors: FloatArray
    embeddings: Path
    ids_file: Path

    def kind_of(self, image_id: str) -> str:
        return KINDS[self.ids.index(image_id) % 4]

    def label(self, rows: Sequence[int], kinds: Sequence[str] | None = None, source: str = "test") -> None:
        """Label images by number, with their true kind unless another is given."""
        names = [KINDS[row % 4] for row in rows] if kinds is None else kinds
        with Catalog.open(self.workspace.catalog_path) as catalog:
            catalog.add_labels([Label(self.ids[row], name, source) for row, name in zip(rows, names, strict=True)])

    def label_ids(self, image_ids: Sequence[str]) -> None:
        self.label([self.ids.index(image_id) for image_id in image_ids])

    def open(self, *settings: str) -> Workspace:
        """The workspace with other settings."""
        return replace(self.workspace, config=load_config(self.workspace.root / "activesel.yaml", settings))

    def request(self, budget: float, **fields: Any) -> SelectRequest:
        return SelectRequest(budget, **{"embeddings": self.embeddings, "ids": self.ids_file} | fields)

    def select(self, budget: float, *settings: str, **fields: Any) -> BatchResult:
        """Select by our own vectors; ``settings`` as in "seed=3"."""
        return select_batch(self.open(*settings), self.request(budget, **fields))

    def rows(self, result: BatchResult, *kinds: str) -> list[int]:
        """The numbers of the picked images, of some kinds of pick only."""
        return [self.ids.index(pick.image_id) for pick in result.picks if not kinds or pick.kind in kinds]

    @property
    def batch_folders(self) -> list[str]:
        return sorted(path.name for path in self.workspace.batches_dir.iterdir())


def make_vectors(n: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Unit rows around four centres, row i near centre i % 4."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(4, DIM))[np.arange(n) % 4] + 0.5 * rng.normal(size=(n, DIM))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def write_image(path: Path, number: int) -> Path:
    """Write the 8 x 8 image of that number; another number, other bytes."""
    pixels = np.random.default_rng(number).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, format="PNG")
    return path


def make_job(
    root: Path,
    n: int = 40,
    *,
    meta: Mapping[str, Sequence[str]] | None = None,
    names: Sequence[str] | None = None,
    order: Sequence[int] | None = None,
    vectors: FloatArray | None = None,
) -> Job:
    """Write n images and a manifest with their metadata, and ingest it, in ``order``.

    meta: column -> n values, "" = none. names: file names below the folder. vectors: (n, d), random without.
    """
    names = names or [f"{number:03d}.png" for number in range(n)]
    paths = tuple(write_image(root / "photos" / name, number) for number, name in enumerate(names))
    columns = dict(meta or {})
    with (root / "manifest.csv").open("w", encoding="utf8", newline="") as stream:
        writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
        writer.writerow(["path", *columns])
        writer.writerows([str(paths[i]), *(values[i] for values in columns.values())] for i in order or range(n))
    workspace = create_workspace(root / "job")
    ingest(workspace, str(root / "manifest.csv"))
    with Catalog.open(workspace.catalog_path) as catalog:
        resolve = catalog.resolve()
    ids = tuple(resolve[str(path)] for path in paths)
    made = make_vectors(n) if vectors is None else vectors
    np.save(root / "vectors.npy", made)
    (root / "ids.txt").write_text("".join(f"{image_id}\n" for image_id in ids), encoding="utf8")
    return Job(workspace, root / "photos", paths, ids, made, root / "vectors.npy", root / "ids.txt")


def fake_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw pages of one line: the map's layout and the template take longer than a selection, and have their tests."""

    def lay_out(vectors: FloatArray, *, keep: IntArray, **_: object) -> tuple[IntArray, FloatArray]:
        return np.unique(keep), np.asarray(vectors[np.unique(keep), :2], dtype=np.float32)

    monkeypatch.setattr(report_module, "layout_map", lay_out)
    monkeypatch.setattr(report_module, "write_report", lambda path, data: write_atomic(path, data.run.title))


def write_predictions(
    job: Job, path: Path, *, classes: Sequence[str] | None = None, key: str = "image_id", **columns: Sequence[Any]
) -> Path:
    """Write predictions.parquet with one row per image of the job."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = list(job.ids) if key == "image_id" else [str(path) for path in job.paths]
    table = pa.table({key: names, **{name: list(values) for name, values in columns.items()}})
    if classes is not None:
        table = table.replace_schema_metadata({"classes": json.dumps(list(classes))})
    pq.write_table(table, path)
    return path


def snapshot_tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content; the database's side files come and go."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm"))]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf8", newline="") as stream:
        return list(csv.DictReader(stream))
