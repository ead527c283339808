"""What `activesel gaps` leaves: gaps.json its centroids, and gaps.html for people; and the next commands."""

from __future__ import annotations

import io
import logging
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from activesel.coverage import is_covered
from activesel.errors import DataError
from activesel.gaps import Facts, Gap
from activesel.images import thumbnail_jpeg
from activesel.pipelines.defects import band_of
from activesel.pipelines.embed import load_vectors
from activesel.pipelines.gaps import GOLD_SET, Survey
from activesel.pipelines.slices import read_number
from activesel.records import FloatArray, IntArray
from activesel.report.gaps_page import (
    FAR,
    LABELLED,
    MISSED,
    POOL,
    Bar,
    GapCard,
    GapMap,
    GapsPage,
    RecallRow,
    render_gaps,
)
from activesel.report.layout import layout_map
from activesel.requirements import DERIVED
from activesel.workspace import Workspace, write_atomic, write_json

_LOG = logging.getLogger(__name__)

SCHEMA_VERSION = 1
MAX_ROWS = 64  # images named per gap, and averaged to its centroid
MAX_PICTURES = 6  # shown per gap,
MAX_VALUES = 50  # of a band in a command; more are no filter
PICTURED_GAPS = 20  # of so many
NEAR_MARK = 0.03  # of the map's sides; of two marks nearer than that the more pressing is shown
MAP_LABELS = 500  # labelled images that are on the map whatever else is; of more a share
MAP_POINTS = 1500  # an SVG of more is slow to draw
LEAST_VARIANTS, MOST_VARIANTS = 60, 500  # synthetic images asked for at once


def gaps_folder(workspace: Workspace) -> Path:
    return workspace.state / "gaps"


def write_gaps(workspace: Workspace, survey: Survey, folder: Path, *, own_vectors: bool = False) -> dict[str, Any]:
    """Write looks/*.txt, gaps.npy, gaps.html and, last, gaps.json; return what gaps.json holds.

    own_vectors: the survey's, so that the workspace has no others of these images.

    Raises:
        UnreachableError: the disk is full.
    """
    for rank, gap in enumerate(survey.gaps, start=1):
        if gap.kind == "region":
            names = survey.gathered.images.names(gap.rows[:MAX_ROWS])
            write_atomic(_look_file(folder, rank), "".join(f"{name}\n" for name in names))
    centroids, place = _centroids(workspace, survey, own_vectors=own_vectors)
    stream = io.BytesIO()
    np.save(stream, centroids)
    write_atomic(folder / "gaps.npy", stream.getvalue())
    write_atomic(folder / "gaps.html", render_gaps(_page(workspace, survey, folder)).encode("utf8", "backslashreplace"))
    document = as_json(workspace, survey, folder, place)
    write_json(folder / "gaps.json", document)
    return document


def as_json(workspace: Workspace, survey: Survey, folder: Path, place: dict[int, int]) -> dict[str, Any]:
    """Return all of it as plain values. place: rank of a gap -> its row in gaps.npy."""
    return {
        "schema_version": SCHEMA_VERSION,
        "requirements": str(survey.file.path),
        "vectors": survey.gathered.vectors_name,
        "images": len(survey.gathered.images),
        "labelled": len(survey.gathered.labelled),
        "gold": len(survey.gold_rows),
        "radius": survey.radius,
        "notes": list(survey.notes),
        "classes": [_describe(one) for one in survey.facts],
        "gaps": [_entry(workspace, survey, gap, rank, folder, place.get(rank))
                 for rank, gap in enumerate(survey.gaps, start=1)],
    }  # fmt: skip


def next_command(workspace: Workspace, survey: Survey, gap: Gap, rank: int, folder: Path) -> str:
    """Return the shell command that closes a gap; "" where none does."""
    words = ["activesel"]
    if gap.action == "label" and gap.kind in ("gold", "proof"):
        words += ["select", "--budget", str(max(gap.draws, gap.missing)), "--evaluation", "1"]
    elif gap.action == "label" and gap.kind == "region":
        words += ["select", "--budget", str(gap.missing), "--strategy", "exemplars", "--exemplars",
                  str(_look_file(folder, rank))]  # fmt: skip
    elif gap.action == "label":
        words += ["select", "--budget", str(gap.missing)]
        words += ["--focus", gap.class_name] if len(gap.rows) else []
        words += [word for text in _filters(survey, gap) for word in ("--where", text)]
    elif gap.action == "synthesise":
        count = min(MOST_VARIANTS, max(LEAST_VARIANTS, gap.missing))
        words += ["synth", "--class", gap.class_name, "--count", str(count), "--fill-gaps"]
    else:
        return ""
    here = Path.cwd().resolve()
    inside = workspace.root in (here, *here.parents)
    return shlex.join(words if inside else [*words, "-w", str(workspace.root)])


def _filters(survey: Survey, gap: Gap) -> list[str]:
    """Return the slice as `select --where` takes it: a band as its values; what only a mask tells is no filter."""
    filters = []
    for column, value in gap.where.items():
        values = [value]
        if column in survey.file.wanted.bands:
            values = list(survey.gathered.images.column(column).values)
            values = [one for one in values if band_of(read_number(one), survey.file.wanted.bands[column]) == value]
        if column not in DERIVED and 0 < len(values) <= MAX_VALUES:
            filters.append(f"{column}={','.join(values)}")
    return filters


def title_of(gap: Gap) -> str:
    """crack, station B: labelled images."""
    kinds = {"images": "labelled images", "region": "labels", "recall": "recall", "gold": "gold images",
             "proof": "proof"}  # fmt: skip
    return f"{gap.name}: {kinds[gap.kind]}" if gap.name != GOLD_SET else GOLD_SET


def _look_file(folder: Path, rank: int) -> Path:
    return folder / "looks" / f"{rank:03d}.txt"


def _describe(facts: Facts) -> dict[str, Any]:
    recall = facts.recall
    return {
        "name": facts.name, "class": facts.class_name, "where": dict(facts.where), "importance": facts.importance,
        "labelled": facts.n_labelled, "parts": facts.n_groups, "wanted_images": facts.wanted_images,
        "likely_in_pool": facts.likely, "pool": facts.n_pool, "gold": facts.n_gold,
        "wanted_recall": facts.wanted_recall,
        "recall": None if recall is None else {
            "value": recall.share.value, "low": recall.share.low, "high": recall.share.high, "parts": recall.tested,
            "missed_images": recall.missed},
        "regions": [{"labelled": one.n_labelled, "pool": one.n_pool, "covered": one.covered, "missed": one.n_missed}
                    for one in facts.regions],
    }  # fmt: skip


def _entry(
    workspace: Workspace, survey: Survey, gap: Gap, rank: int, folder: Path, centroid: int | None
) -> dict[str, Any]:
    rows = gap.rows[:MAX_ROWS]
    shown = survey.gathered.images.take(rows) if len(rows) else []
    return {
        "rank": rank, "action": gap.action, "kind": gap.kind, "name": gap.name, "class": gap.class_name,
        "where": dict(gap.where), "have": gap.have, "need": gap.need, "missing": gap.missing,
        "priority": round(gap.priority, 6), "reason": gap.reason,
        "command": next_command(workspace, survey, gap, rank, folder) or None, "centroid": centroid,
        "images": [{"image_id": image.image_id, "path": image.path} for image in shown],
    }  # fmt: skip


def _centroids(workspace: Workspace, survey: Survey, *, own_vectors: bool) -> tuple[FloatArray, dict[int, int]]:
    """Return the mean of every gap's images as unit rows (g, d), in the space of whole vectors, and rank -> row."""
    found: list[FloatArray] = []
    place: dict[int, int] = {}
    for rank, gap in enumerate(survey.gaps, start=1):
        rows = gap.rows[:MAX_ROWS]
        if not len(rows):
            continue
        vectors = (
            survey.gathered.vectors[rows]
            if own_vectors
            else load_vectors(workspace, survey.gathered.images.names(rows))
        )
        mean = np.asarray(vectors, np.float32).mean(axis=0)
        place[rank] = len(found)
        found.append(mean / max(float(np.linalg.norm(mean)), 1e-9))
    width = survey.gathered.vectors.shape[1]
    return (np.stack(found) if found else np.empty((0, width), np.float32)), place


def _page(workspace: Workspace, survey: Survey, folder: Path) -> GapsPage:
    wanted, pool = survey.file.wanted, survey.pool
    covered = is_covered(survey.nearest, survey.radius)[pool]
    cards = tuple(_card(workspace, survey, gap, rank, folder) for rank, gap in enumerate(survey.gaps, start=1))
    named = [one for one in survey.facts if one.name != GOLD_SET]
    return GapsPage(
        workspace.root.name, len(survey.gathered.images), len(survey.gathered.labelled), int(pool.sum()),
        len(survey.gold_rows), float(covered.mean()) if len(covered) else 1.0, wanted.confidence, wanted.false_rejects,
        cards,
        tuple(Bar(one.name, one.n_labelled, one.likely or 0, one.wanted_images) for one in named if not one.is_good),
        tuple(RecallRow(one.name, one.recall.share.value, one.recall.share.low, one.recall.share.high,
                        one.wanted_recall, one.recall.tested) for one in named if one.recall is not None),
        _map(workspace, survey), survey.notes, str(survey.file.path),
    )  # fmt: skip


def _card(workspace: Workspace, survey: Survey, gap: Gap, rank: int, folder: Path) -> GapCard:
    pictures = _pictures(workspace, survey, gap.rows) if rank <= PICTURED_GAPS else ()
    return GapCard(rank, gap.action, title_of(gap), gap.kind, f"{gap.have:.3g}", f"{gap.need:.3g}", gap.missing,
                   gap.priority, gap.reason, next_command(workspace, survey, gap, rank, folder), pictures)  # fmt: skip


def _pictures(workspace: Workspace, survey: Survey, rows: IntArray) -> tuple[bytes, ...]:
    max_pixels = round(workspace.config.ingest.max_megapixels * 1e6)
    found = []
    for image in survey.gathered.images.take(rows[:MAX_PICTURES]) if len(rows) else ():
        try:
            found.append(thumbnail_jpeg(Path(image.path), longest_px=workspace.config.report.thumbnail_px,
                                        max_pixels=max_pixels))  # fmt: skip
        except DataError as error:  # a file that went away spoils no report
            _LOG.warning("no picture: %s", error)
    return tuple(found)


def _map(workspace: Workspace, survey: Survey) -> GapMap | None:
    gathered = survey.gathered
    if len(gathered.images) < 3:
        return None
    marked = {rank: gap.rows[:MAX_ROWS] for rank, gap in enumerate(survey.gaps, start=1) if len(gap.rows)}
    missed = _missed_rows(survey)
    keep = np.concatenate([_thin(gathered.labelled), _thin(missed), *(rows[:3] for rows in marked.values())])
    rows, xy = layout_map(gathered.vectors, keep=keep.astype(np.int64), seed=workspace.config.seed,
                          max_points=min(MAP_POINTS, workspace.config.report.map_points))  # fmt: skip
    roles = np.where(is_covered(survey.nearest, survey.radius), POOL, FAR).astype(np.int8)
    roles[gathered.labelled] = LABELLED
    roles[missed] = MISSED
    return GapMap(xy, roles[rows], _marks(marked, rows, xy))


def _missed_rows(survey: Survey) -> IntArray:
    """Return the labelled defects that are missed when they are held out."""
    gathered, held_out = survey.gathered, survey.held_out
    if held_out is None or survey.good is None:
        return np.empty(0, np.int64)
    bad = gathered.classes != survey.class_names.index(survey.good)
    return np.asarray(gathered.labelled[bad & held_out.tested & ~held_out.found])


def _thin(rows: IntArray) -> IntArray:
    return rows[:: max(1, -(-len(rows) // MAP_LABELS))]


def _marks(marked: Mapping[int, IntArray], rows: IntArray, xy: FloatArray) -> tuple[tuple[float, float, int], ...]:
    """A number per gap at the middle of its images that are on the map; one place, one number: the most pressing."""
    found: list[tuple[float, float, int]] = []
    for rank, members in marked.items():
        at = np.flatnonzero(np.isin(rows, members))
        if len(at):
            x, y = np.median(xy[at], axis=0).tolist()
            if all(abs(x - u) + abs(y - v) > NEAR_MARK for u, v, _ in found):
                found.append((x, y, rank))
    return tuple(found)
