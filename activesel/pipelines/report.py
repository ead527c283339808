"""The batch report: what is worth keeping of a selection, and the page made from it now or later."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import yaml

from activesel.catalog import Catalog
from activesel.errors import DataError
from activesel.images import thumbnail_jpeg
from activesel.pipelines.batch import SCORES, BatchFile, PickRecord, pool_scores, read_batch
from activesel.pipelines.choose import Chosen
from activesel.pipelines.gather import Gathered
from activesel.records import FloatArray, ImageRow, IntArray, KnnGraph, Quarantined
from activesel.report.data import (
    Breakdown,
    Coverage,
    MapPoints,
    PickEntry,
    QuarantineList,
    ReportData,
    Run,
    ScoreSample,
    Thumbnailer,
)
from activesel.report.figures import assign_roles, count_breakdown
from activesel.report.layout import layout_map
from activesel.report.render import write_report
from activesel.strategies import find_strategy
from activesel.workspace import Workspace, write_atomic

MAX_BREAKDOWN_VALUES = 100  # a column such as time has a value per image: nothing to break down
MAX_QUARANTINED = 100


@dataclass(frozen=True)
class Snapshot:
    """The arrays behind a report, so that it can be drawn again when labels have come in.

    image_ids: (n,) hex text. labelled, picked: row numbers. classes: (m,) index into class_names. predicted: (n,) index
    or -1. near_label, near_known: (n,) cosine distance, 0..2, to the nearest labelled, labelled or picked image;
    inf where there is none. radius: cosine distance up to which an image counts as covered. map_rows: (p,), xy: (p, 2).
    scores: name -> (n,) 0..1.
    """

    image_ids: npt.NDArray[np.str_]
    labelled: IntArray
    picked: IntArray
    classes: IntArray
    class_names: tuple[str, ...]
    predicted: IntArray
    near_label: FloatArray
    near_known: FloatArray
    radius: float
    map_rows: IntArray
    xy: FloatArray
    scores: dict[str, FloatArray]


def write_report_of(workspace: Workspace, batch: BatchFile, gathered: Gathered, chosen: Chosen, folder: Path) -> None:
    """Keep the snapshot and draw report.html in the batch's folder."""
    snapshot = _take_snapshot(workspace, gathered, chosen)
    _save(folder / "report.npz", snapshot)
    write_report(folder / "report.html", _build(workspace, batch, snapshot, gathered.rows))


def write_batch_report(workspace: Workspace, batch_id: str) -> Path:
    """Draw a stored batch's report again, with the labels and the quarantine of today; return its path.

    Raises:
        DataError: there is no such batch, or its snapshot is damaged.
    """
    batch = read_batch(workspace, batch_id)
    folder = workspace.batches_dir / batch_id
    snapshot = _load(folder / "report.npz")
    with Catalog.open(workspace.catalog_path) as catalog:
        by_id = {row.image_id: row for row in catalog.images()}
    rows = tuple(by_id.get(str(i), ImageRow(str(i), "(no longer there)", 0, 0, "")) for i in snapshot.image_ids)
    write_report(folder / "report.html", _build(workspace, batch, snapshot, rows))
    return folder / "report.html"


def _take_snapshot(workspace: Workspace, gathered: Gathered, chosen: Chosen) -> Snapshot:
    pool, config = chosen.pool, workspace.config
    class_index = {name: i for i, name in enumerate(gathered.class_names)}
    labelled = np.array([i for i, row in enumerate(gathered.rows) if row.image_id in gathered.labels], dtype=np.int64)
    classes = [class_index[gathered.labels[gathered.rows[i].image_id].name] for i in labelled]
    picked = chosen.picks.rows
    map_rows, xy = layout_map(
        pool.vectors, keep=np.concatenate((picked, labelled)), max_points=config.report.map_points, seed=config.seed
    )
    nowhere = np.full(pool.n, np.inf, np.float32)
    return Snapshot(
        np.array([row.image_id for row in gathered.rows]), labelled, picked, np.array(classes, dtype=np.int64),
        gathered.class_names, np.full(pool.n, -1) if pool.probs is None else pool.probs.argmax(axis=1),
        nowhere if chosen.nearest_label is None else 1.0 - chosen.nearest_label, 1.0 - chosen.nearest_known,
        _typical_radius(pool.graph, pool.vectors), map_rows, xy, pool_scores(chosen, config.scores.neighbours),
    )  # fmt: skip


def _typical_radius(graph: KnnGraph | None, vectors: FloatArray) -> float:
    """The median cosine distance to the 32nd nearest neighbour: images within it are alike, as this pool goes."""
    if graph is not None and graph.k > 0:
        return float(1.0 - np.median(graph.similarity[:, -1]))
    sample = np.asarray(vectors[:: max(1, len(vectors) // 1000)], dtype=np.float32)
    cosine = np.sort(sample @ sample.T, axis=1)
    return float(1.0 - np.median(cosine[:, max(0, len(sample) - 33)]))


def _build(workspace: Workspace, batch: BatchFile, snapshot: Snapshot, rows: Sequence[ImageRow]) -> ReportData:
    with Catalog.open(workspace.catalog_path) as catalog:
        quarantined = catalog.quarantined()
        labels = {image_id: label.name for image_id, label in catalog.labels().items()}
    return ReportData(
        _describe_run(batch, rows), tuple(_entry(pick, labels) for pick in batch.picks),
        yaml.safe_dump(batch.config, sort_keys=False), _thumbnailer(workspace), _map(snapshot, rows),
        Coverage(snapshot.radius, snapshot.near_known, snapshot.near_label if len(snapshot.labelled) else None),
        tuple(ScoreSample(name, values, values[snapshot.picked], SCORES.get(name, ""))
              for name, values in snapshot.scores.items()),
        tuple(_breakdowns(snapshot, rows)), _quarantine(quarantined),
    )  # fmt: skip


def _describe_run(batch: BatchFile, rows: Sequence[ImageRow]) -> Run:
    # An image that left the catalog has no path any more.
    folders = sorted({str(Path(row.path).parent) for row in rows if Path(row.path).is_absolute()}) or ["(gone)"]
    source = folders[0] if len(folders) == 1 else f"{_common_folder(folders)} ({len(folders)} folders)"
    return Run(
        f"Batch {batch.batch_id}", batch.created, source, batch.strategy,
        find_strategy(batch.strategy).summary, round(batch.budget), batch.seed, batch.n_pool, batch.n_labelled,
        batch.inputs.get("vectors", ""), batch.command, batch.versions, batch.notes,
    )  # fmt: skip


def _common_folder(folders: Sequence[str]) -> str:
    import os.path

    try:
        return os.path.commonpath(folders)
    except ValueError:
        return folders[0] if folders else ""


def _entry(pick: PickRecord, labels: dict[str, str]) -> PickEntry:
    return PickEntry(
        pick.rank, pick.image_id, pick.path, pick.reason, pick.kind, pick.scores, pick.predicted,
        pick.probability, pick.meta, pick.stands_for, labels.get(pick.image_id),
    )  # fmt: skip


def _thumbnailer(workspace: Workspace) -> Thumbnailer:
    longest, pixels = workspace.config.report.thumbnail_px, round(workspace.config.ingest.max_megapixels * 1e6)

    def draw(pick: PickEntry) -> bytes | None:
        try:
            return thumbnail_jpeg(Path(pick.path), longest_px=longest, max_pixels=pixels)
        except DataError:
            return None  # moved or broken since; the card says its path

    return draw


def _map(snapshot: Snapshot, rows: Sequence[ImageRow]) -> MapPoints:
    n = len(snapshot.image_ids)
    roles = assign_roles(snapshot.near_known, snapshot.radius, labelled=snapshot.labelled, picked=snapshot.picked)
    ranks, classes = np.zeros(n, np.int64), np.full(n, -1, np.int64)
    ranks[snapshot.picked] = np.arange(1, len(snapshot.picked) + 1)
    classes[snapshot.labelled] = snapshot.classes
    at = snapshot.map_rows
    names = tuple(Path(rows[i].path).name for i in at)
    return MapPoints(
        np.asarray(snapshot.xy, dtype=np.float32), roles[at], ranks[at], classes[at], snapshot.class_names, names
    )


def _breakdowns(snapshot: Snapshot, rows: Sequence[ImageRow]) -> list[Breakdown]:
    columns = sorted({column for row in rows for column in row.meta})
    tables: list[tuple[str, list[str | None]]] = [
        (column, [row.meta.get(column) for row in rows]) for column in columns
    ]
    if (snapshot.predicted >= 0).any() and snapshot.class_names:
        tables.append(("predicted class", [snapshot.class_names[c] for c in snapshot.predicted]))
    return [count_breakdown(column, values, labelled=snapshot.labelled, picked=snapshot.picked)
            for column, values in tables if len(set(values)) <= MAX_BREAKDOWN_VALUES]  # fmt: skip


def _quarantine(files: Sequence[Quarantined]) -> QuarantineList:
    counts: dict[str, int] = {}
    for item in files:
        counts[item.reason] = counts.get(item.reason, 0) + 1
    return QuarantineList(counts, tuple(files[:MAX_QUARANTINED]))


def _save(path: Path, snapshot: Snapshot) -> None:
    import io

    arrays = {name: value for name, value in vars(snapshot).items() if name not in ("scores", "class_names")}
    arrays |= {f"score_{name}": values.astype(np.float16) for name, values in snapshot.scores.items()}
    arrays["class_names"] = np.array(snapshot.class_names, dtype=np.str_)
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    write_atomic(path, stream.getvalue())


def _load(path: Path) -> Snapshot:
    """Read what ``_save`` wrote.

    Raises:
        DataError: absent, damaged, or of another selection than its own arrays say.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = dict(stored)
        scores = {name.removeprefix("score_"): arrays.pop(name).astype(np.float32)
                  for name in list(arrays) if name.startswith("score_")}  # fmt: skip
        names = tuple(str(name) for name in arrays.pop("class_names"))
        snapshot = Snapshot(**arrays | {"radius": float(arrays["radius"])}, class_names=names, scores=scores)
        _check_fit(snapshot)
    except (OSError, ValueError, EOFError, KeyError, TypeError, MemoryError, BadZipFile, zlib.error) as error:
        raise DataError("the report's data cannot be read", where=str(path), found=" ".join(str(error).split())[:120],
                        hint="select again for a new report") from None  # fmt: skip
    return snapshot


def _check_fit(snapshot: Snapshot) -> None:
    """Raise ValueError where arrays differ in length or point outside of the pool."""
    n, n_classes = len(snapshot.image_ids), len(snapshot.class_names)
    per_image = [snapshot.predicted, snapshot.near_label, snapshot.near_known, *snapshot.scores.values()]
    fits = all(values.shape == (n,) for values in per_image) and len(snapshot.labelled) == len(snapshot.classes)
    fits = fits and snapshot.xy.shape == (len(snapshot.map_rows), 2)
    bounds = [(snapshot.labelled, n), (snapshot.picked, n), (snapshot.map_rows, n), (snapshot.classes, n_classes)]
    if n_classes:
        bounds.append((snapshot.predicted[snapshot.predicted >= 0], n_classes))
    if not fits or any(((rows < 0) | (rows >= most)).any() for rows, most in bounds):
        raise ValueError("its arrays do not fit together")
