"""The batch report: what is worth keeping of a selection, and the page made from it now or later."""

from __future__ import annotations

import io
import json
import os
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import yaml
from pydantic import TypeAdapter

from activesel.catalog import Catalog, Images, order_column
from activesel.embedding import VectorStore
from activesel.embedding.novelty_map import ODD_FROM
from activesel.errors import DataError
from activesel.images import Box, crop_jpeg, thumbnail_jpeg
from activesel.pipelines.batch import SCORES, pool_scores
from activesel.pipelines.batch_file import BatchFile, PickRecord, read_batch
from activesel.pipelines.choose import Chosen
from activesel.pipelines.gather import Gathered
from activesel.records import FloatArray, IntArray, KnnGraph
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

MAX_SAMPLE = 20_000  # images behind curves and histograms: shares are off by 0.3 % or so, which no chart shows
_NAMES = ("class_names", "map_names")
MAX_BREAKDOWN_VALUES = 100  # a column such as time has a value per image: nothing to break down
MAX_QUARANTINED = 100


@dataclass(frozen=True)
class Snapshot:
    """What is behind a report, so that it can be drawn again when labels have come in; its size is bounded.

    It knows s rows of the pool: the picks, the labelled, those on the map, and up to MAX_SAMPLE evenly spaced ones.
    Row numbers count within these s. sample: the evenly spaced ones, which stand for the pool in curves and histograms.
    labelled, picked: row numbers. classes: (m,) index into class_names. predicted: (s,) index or -1. near_label,
    near_known: (s,) cosine distance, 0..2, to the nearest labelled, labelled or picked image; inf where there is none.
    radius: cosine distance up to which an image counts as covered. map_rows: (p,), xy: (p, 2), map_names: p file names.
    scores: name -> (s,) 0..1. breakdowns: counts over the whole pool. source: where the images lie.
    """

    sample: IntArray
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
    map_names: tuple[str, ...]
    scores: dict[str, FloatArray]
    breakdowns: tuple[Breakdown, ...]
    source: str


def write_report_of(workspace: Workspace, batch: BatchFile, gathered: Gathered, chosen: Chosen, folder: Path) -> None:
    """Keep the snapshot and draw report.html in the batch's folder."""
    snapshot = _take_snapshot(workspace, gathered, chosen)
    _save(folder / "report.npz", snapshot)
    write_report(folder / "report.html", _build(workspace, batch, snapshot))


def write_batch_report(workspace: Workspace, batch_id: str) -> Path:
    """Draw a stored batch's report again, with the labels and the quarantine of today; return its path.

    Raises:
        DataError: there is no such batch, or its snapshot is damaged.
    """
    batch = read_batch(workspace, batch_id)
    folder = workspace.batches_dir / batch_id
    write_report(folder / "report.html", _build(workspace, batch, _load(folder / "report.npz")))
    return folder / "report.html"


def _take_snapshot(workspace: Workspace, gathered: Gathered, chosen: Chosen) -> Snapshot:
    pool, config = chosen.pool, workspace.config
    labelled, picked = gathered.labelled, chosen.picks.rows
    map_rows, xy = layout_map(
        pool.vectors, keep=np.concatenate((picked, labelled)), max_points=config.report.map_points, seed=config.seed
    )
    # Ids follow from the images' bytes, so that evenly spaced rows are as good as random ones.
    sample = np.unique(np.linspace(0, pool.n - 1, min(pool.n, MAX_SAMPLE)).astype(np.int64))
    rows = np.unique(np.concatenate((sample, labelled, picked, map_rows)))

    def place(wanted: IntArray) -> IntArray:
        return np.searchsorted(rows, wanted)

    predicted = None if pool.probs is None else pool.probs.argmax(axis=1)
    nowhere = np.full(len(rows), np.inf, np.float32)
    return Snapshot(
        place(sample), place(labelled), place(picked), gathered.classes, gathered.class_names,
        np.full(len(rows), -1) if predicted is None else predicted[rows],
        nowhere if chosen.nearest_label is None else 1.0 - chosen.nearest_label[rows], 1.0 - chosen.nearest_known[rows],
        _typical_radius(pool.graph, pool.vectors), place(map_rows), xy,
        tuple(Path(os.fsdecode(path)).name for path in gathered.images.paths.take(map_rows)),
        pool_scores(chosen, config.scores.neighbours, rows), _count_breakdowns(gathered, picked, predicted),
        _describe_source(gathered.images, sample),
    )  # fmt: skip


def _typical_radius(graph: KnnGraph | None, vectors: FloatArray) -> float:
    """The median cosine distance to the 32nd nearest neighbour: images within it are alike, as this pool goes."""
    if graph is not None and graph.k > 0:
        return float(1.0 - np.median(graph.similarity[:, -1]))
    sample = np.asarray(vectors[:: max(1, len(vectors) // 1000)], dtype=np.float32)
    cosine = np.sort(sample @ sample.T, axis=1)
    return float(1.0 - np.median(cosine[:, max(0, len(sample) - 33)]))


def _build(workspace: Workspace, batch: BatchFile, snapshot: Snapshot) -> ReportData:
    with Catalog.open(workspace.catalog_place) as catalog:
        quarantine = QuarantineList(catalog.quarantine_counts(), tuple(catalog.quarantined(MAX_QUARANTINED)))
        labels = catalog.labels_of(pick.image_id for pick in batch.picks)
    sample = snapshot.sample
    thumbnail, odd_place = _thumbnailers(workspace, batch)
    return ReportData(
        _describe_run(batch, snapshot.source), tuple(_entry(pick, labels) for pick in batch.picks),
        yaml.safe_dump(batch.config, sort_keys=False), thumbnail, _map(snapshot),
        Coverage(snapshot.radius, snapshot.near_known[sample],
                 snapshot.near_label[sample] if len(snapshot.labelled) else None),
        tuple(ScoreSample(name, values[sample], values[snapshot.picked], SCORES.get(name, ""))
              for name, values in snapshot.scores.items()),
        snapshot.breakdowns, quarantine, odd_place, batch.worth, batch.worth_text,
    )  # fmt: skip


def _describe_run(batch: BatchFile, source: str) -> Run:
    return Run(
        f"Batch {batch.batch_id}", batch.created, source, batch.strategy,
        find_strategy(batch.strategy).summary, round(batch.budget), batch.seed, batch.n_pool, batch.n_labelled,
        batch.inputs.get("vectors", ""), batch.command, batch.versions, batch.notes,
    )  # fmt: skip


def _describe_source(images: Images, sample: IntArray) -> str:
    """The folder of the images, or what their folders have in common; of a large pool the sample's are counted."""
    folders = sorted({os.path.dirname(os.fsdecode(path)) for path in images.paths.take(sample)})  # noqa: PTH120
    if len(folders) == 1:
        return folders[0]
    number = f"{len(folders)} folders" + (" or more" if len(sample) < len(images) else "")
    return f"{os.path.commonpath(folders)} ({number})"


def _entry(pick: PickRecord, labels: dict[str, str]) -> PickEntry:
    return PickEntry(
        pick.rank, pick.image_id, pick.path, pick.reason, pick.kind, pick.scores, pick.predicted,
        pick.probability, pick.meta, pick.stands_for, labels.get(pick.image_id),
    )  # fmt: skip


def _thumbnailers(workspace: Workspace, batch: BatchFile) -> tuple[Thumbnailer, Thumbnailer]:
    """Return what draws a pick, and what draws its odd place."""
    longest, pixels = workspace.config.report.thumbnail_px, round(workspace.config.ingest.max_megapixels * 1e6)
    boxes = _odd_boxes(workspace, batch)

    def draw(pick: PickEntry) -> bytes | None:
        try:
            return thumbnail_jpeg(Path(pick.path), longest_px=longest, max_pixels=pixels, box=boxes.get(pick.image_id))
        except DataError:
            return None  # moved or broken since; the card says its path

    def draw_odd(pick: PickEntry) -> bytes | None:
        if pick.image_id not in boxes:
            return None
        try:
            return crop_jpeg(Path(pick.path), boxes[pick.image_id], longest_px=longest, max_pixels=pixels)
        except DataError:
            return None

    return draw, draw_odd


def _odd_boxes(workspace: Workspace, batch: BatchFile) -> dict[str, Box]:
    """Return where the picks are odd, those that are; only the vectors of defect-aware pooling know."""
    name = batch.inputs.get("vectors", "")
    if not name or not (workspace.vectors_dir / name / "store.json").is_file():
        return {}
    ids = [pick.image_id for pick in batch.picks]
    rows = VectorStore(workspace.vectors_dir / name, name).load_novelty(ids).tolist()
    return {image_id: (x0, y0, x1, y1) for image_id, (score, x0, y0, x1, y1) in zip(ids, rows, strict=True)
            if score >= ODD_FROM}  # NaN is not  # fmt: skip


def _map(snapshot: Snapshot) -> MapPoints:
    roles = assign_roles(snapshot.near_known, snapshot.radius, labelled=snapshot.labelled, picked=snapshot.picked)
    ranks, classes = np.zeros(len(roles), np.int64), np.full(len(roles), -1, np.int64)
    ranks[snapshot.picked] = np.arange(1, len(snapshot.picked) + 1)
    classes[snapshot.labelled] = snapshot.classes
    at = snapshot.map_rows
    return MapPoints(np.asarray(snapshot.xy, dtype=np.float32), roles[at], ranks[at], classes[at],
                     snapshot.class_names, snapshot.map_names)  # fmt: skip


def _count_breakdowns(gathered: Gathered, picked: IntArray, predicted: IntArray | None) -> tuple[Breakdown, ...]:
    columns = list(gathered.images.columns(MAX_BREAKDOWN_VALUES).items())
    if predicted is not None and gathered.class_names:
        columns.append(("predicted class", order_column(predicted, gathered.class_names)))
    return tuple(count_breakdown(name, column.codes, column.values, labelled=gathered.labelled, picked=picked)
                 for name, column in columns
                 if len(column.values) + bool((column.codes < 0).any()) <= MAX_BREAKDOWN_VALUES)  # fmt: skip


def _save(path: Path, snapshot: Snapshot) -> None:
    told = ("scores", *_NAMES, "breakdowns", "source")
    arrays = {name: value for name, value in vars(snapshot).items() if name not in told}
    arrays |= {f"score_{name}": values.astype(np.float16) for name, values in snapshot.scores.items()}
    arrays |= {name: np.array(getattr(snapshot, name), dtype=np.str_) for name in _NAMES}
    about = {"source": snapshot.source, "breakdowns": [asdict(table) for table in snapshot.breakdowns]}
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
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
            arrays: dict[str, Any] = dict(stored)
        scores = {name.removeprefix("score_"): arrays.pop(name).astype(np.float32)
                  for name in list(arrays) if name.startswith("score_")}  # fmt: skip
        names = {name: tuple(str(text) for text in arrays.pop(name)) for name in _NAMES}
        about = json.loads(arrays.pop("about").tobytes())
        breakdowns = TypeAdapter(tuple[Breakdown, ...]).validate_python(about["breakdowns"])
        told = {"radius": float(arrays["radius"]), "source": str(about["source"]), "breakdowns": breakdowns}
        snapshot = Snapshot(**arrays | names | told, scores=scores)
        _check_fit(snapshot)
    except (OSError, ValueError, EOFError, KeyError, TypeError, MemoryError, BadZipFile, zlib.error) as error:
        raise DataError("the report's data cannot be read", where=str(path), found=" ".join(str(error).split())[:120],
                        hint="select again for a new report") from None  # fmt: skip
    return snapshot


def _check_fit(snapshot: Snapshot) -> None:
    """Raise ValueError where arrays differ in length or point outside of the rows."""
    n, n_classes = len(snapshot.near_known), len(snapshot.class_names)
    per_image = [snapshot.predicted, snapshot.near_label, snapshot.near_known, *snapshot.scores.values()]
    fits = all(values.shape == (n,) for values in per_image) and len(snapshot.labelled) == len(snapshot.classes)
    fits = (
        fits and snapshot.xy.shape == (len(snapshot.map_rows), 2) and len(snapshot.map_names) in (0, len(snapshot.xy))
    )
    pointers = (snapshot.labelled, snapshot.picked, snapshot.map_rows, snapshot.sample)
    bounds = [*((rows, n) for rows in pointers), (snapshot.classes, n_classes)]
    if n_classes:
        bounds.append((snapshot.predicted[snapshot.predicted >= 0], n_classes))
    if not fits or any(((rows < 0) | (rows >= most)).any() for rows, most in bounds):
        raise ValueError("its arrays do not fit together")
