"""From gaps.json to what synth aims at: points and labelled images as vectors, slices as questions to a variant."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from activesel.catalog import Catalog
from activesel.errors import DataError
from activesel.ids import find_ids, pack_ids
from activesel.images import decode_rgb
from activesel.pipelines.bank import vectors_key
from activesel.pipelines.defects import band_of, measure
from activesel.pipelines.embed import load_vectors
from activesel.pipelines.gap_files import gaps_folder
from activesel.pipelines.realset import FileEmbedder
from activesel.pipelines.slices import read_number
from activesel.records import FloatArray
from activesel.requirements import DERIVED, RequirementsFile, load_requirements
from activesel.workspace import Workspace
from synth.aim import usual_reach
from synth.fill import Candidate, GapAim, Target

_HOST_DIGITS = 16  # synth names a host by so many digits of the hash that is our image id
NEIGHBOURS = 5  # labelled images near a missed one that cover it; a look has the number that requirements name


@dataclass(frozen=True)
class GapEntry:
    """One gap of gaps.json that is to be synthesised. have, need: images, or shares for a recall. images: ids that show
    it, () where it lacks numbers only. centroid: their mean, where gaps.npy has one."""

    rank: int
    name: str
    label: str
    kind: str
    where: Mapping[str, str]
    have: float
    need: float
    missing: int
    images: tuple[str, ...]
    centroid: FloatArray | None

    @property
    def share(self) -> float:
        """What is there, as a share of what is needed."""
        return self.have / self.need if self.need else 1.0


@dataclass(frozen=True)
class FoundGaps:
    """entries: those to synthesise. radius: cosine distance that counts as alike. masks: the table of requirements."""

    entries: tuple[GapEntry, ...]
    radius: float
    requirements: RequirementsFile | None
    masks: Path | None
    notes: tuple[str, ...]


def read_gaps(workspace: Workspace) -> FoundGaps:
    """Read what `activesel gaps` left in the workspace.

    Raises:
        DataError: it did not run yet, its files are damaged, or it looked at other vectors.
    """
    folder = gaps_folder(workspace)
    path = folder / "gaps.json"
    if not path.exists():
        raise DataError("no gaps were found out yet", where=str(path), hint="run `activesel gaps` first")
    try:
        document = json.loads(path.read_text(encoding="utf8"))
        centroids = np.load(folder / "gaps.npy", allow_pickle=False)
        entries = [_entry(one, centroids) for one in document["gaps"] if one["action"] == "synthesise"]
        vectors, radius = str(document["vectors"]), float(document["radius"])
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError("the gaps cannot be read", where=str(path), found=str(error)[:120],
                        hint="run `activesel gaps` again") from None  # fmt: skip
    if vectors != vectors_key(workspace):
        raise DataError("the gaps were measured in other vectors than the settings ask for", where=str(path),
                        found=vectors, expected=vectors_key(workspace),
                        hint="run `activesel gaps` again, without --embeddings")  # fmt: skip
    requirements = Path(document["requirements"])
    file = load_requirements(requirements) if requirements.is_file() else None
    masks = file.file_of(file.wanted.masks) if file is not None and file.wanted.masks is not None else None
    return FoundGaps(tuple(entries), radius, file, masks, _notes(workspace, document))


def aim_at(workspace: Workspace, gaps: Sequence[GapEntry], found: FoundGaps, embed_files: FileEmbedder) -> GapAim:
    """Return the aim of one class's gaps. Near is what `activesel gaps` calls alike.

    Raises:
        DataError: an image of a gap has no vector any more.
    """
    real, every = _labelled_vectors(workspace, gaps[0].label)
    reach = math.sqrt(2 * found.radius) if found.radius > 0 else usual_reach(every, min(NEIGHBOURS, len(every) - 1))
    targets = tuple(_target(workspace, one, found, real) for one in gaps)
    error = workspace.config.synth.give_up_error
    parts = [reach, vectors_key(workspace), error]
    for gap, target in zip(gaps, targets, strict=True):
        points = b"" if target.points is None else target.points.tobytes()
        parts += [target.name, target.have, target.need, target.neighbours, dict(gap.where),
                  hashlib.sha256(points).hexdigest()]  # fmt: skip
    parts.append(hashlib.sha256(real.tobytes()).hexdigest())
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
    return GapAim(targets, reach, embed_files, key, error)


def _entry(one: Mapping[str, Any], centroids: FloatArray) -> GapEntry:
    centroid = None if one["centroid"] is None else np.asarray(centroids[int(one["centroid"])], np.float32)
    return GapEntry(int(one["rank"]), f"{one['name']}: {one['kind']}", str(one["class"]), str(one["kind"]),
                    dict(one["where"]), float(one["have"]), float(one["need"]), int(one["missing"]),
                    tuple(str(image["image_id"]) for image in one["images"]), centroid)  # fmt: skip


def _target(workspace: Workspace, gap: GapEntry, found: FoundGaps, real: FloatArray) -> Target:
    """Return what a gap asks of variants. Labelled images lack numbers; a recall, or a look, lacks a region."""
    meets = _meets(workspace, gap.where, found) if gap.where else None
    if gap.kind == "images":
        return Target(gap.name, int(gap.have), int(gap.need), gap.missing, real, meets=meets)
    points = load_vectors(workspace, gap.images) if gap.images else gap.centroid
    if points is None:
        return Target(gap.name, 0, gap.missing, gap.missing, real, meets=meets)
    rows = np.atleast_2d(np.asarray(points, np.float32))
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    neighbours = int(gap.need) if gap.kind == "region" else NEIGHBOURS
    return Target(gap.name, 0, gap.missing, gap.missing, real, np.asarray(rows, np.float32), neighbours, meets)


def _meets(workspace: Workspace, where: Mapping[str, str], found: FoundGaps) -> Callable[[Candidate], bool]:
    """Return whether a variant lies in a slice: by its host's metadata, and by what its own mask shows."""
    bands = found.requirements.wanted.bands if found.requirements is not None else {}
    with Catalog.open(workspace.catalog_place) as catalog:
        meta = {row.image_id[:_HOST_DIGITS]: row.meta for row in catalog.images()}
    max_pixels = round(workspace.config.ingest.max_megapixels * 1e6)

    def meets(candidate: Candidate) -> bool:
        known = meta.get(candidate.host_id, {})
        values: dict[str, str | None] = {name: known.get(name) for name in where}
        if any(name in DERIVED for name in where):
            grey = decode_rgb(candidate.image, max_pixels=max_pixels).mean(axis=2).astype(np.float32)
            inside = decode_rgb(candidate.mask, max_pixels=max_pixels).max(axis=2) > 127
            values |= {name: str(one) for name, one in measure(grey, inside).columns().items() if name in where}
        for name in set(bands) & set(where):
            number = read_number(values[name] or "")
            values[name] = None if math.isnan(number) else band_of(number, bands[name])
        return all(values[name] == value for name, value in where.items())

    return meets


def _labelled_vectors(workspace: Workspace, label: str) -> tuple[FloatArray, FloatArray]:
    """Return unit rows of the images labelled as the class, and of all labelled ones; evaluation draws left out."""
    with Catalog.open(workspace.catalog_place) as catalog:
        labels, evaluation = catalog.labels(), catalog.batches.picked_ids("evaluation")
    ids = list(labels)
    kept = [image_id for image_id, held in zip(ids, find_ids(evaluation, pack_ids(ids)) >= 0, strict=True) if not held]
    rows = np.asarray(load_vectors(workspace, kept), np.float32)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    own = np.array([labels[image_id].name == label for image_id in kept], np.bool_)
    return rows[own], rows


def _notes(workspace: Workspace, document: Mapping[str, Any]) -> tuple[str, ...]:
    with Catalog.open(workspace.catalog_place) as catalog:
        labels, evaluation = catalog.label_columns(), catalog.batches.picked_ids("evaluation")
    n_now = int((find_ids(evaluation, labels.ids) < 0).sum())
    if n_now == document.get("labelled"):
        return ()
    return (f"{n_now} images are labelled, {document.get('labelled')} were when the gaps were found out; "
            "`activesel gaps` looks again",)  # fmt: skip
