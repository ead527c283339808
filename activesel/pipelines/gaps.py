"""The story of `activesel gaps`: what is wanted, what is there, what the model misses; then gaps, a page and a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from activesel.catalog import Catalog
from activesel.coverage import Region, describe_regions, is_covered, typical_radius
from activesel.duplicates import group_near_duplicates
from activesel.gaps import Facts, Gap, find_gaps
from activesel.ids import pack_ids
from activesel.index import knn_graph
from activesel.nearest import find_nearest
from activesel.pipelines.choose import fit_probabilities
from activesel.pipelines.gather import Gathered, SelectRequest, gather, read_catalog
from activesel.pipelines.held_out import HeldOut, hold_out
from activesel.pipelines.slices import Cuts, check_names, read_cuts
from activesel.proof import measure_recall
from activesel.records import BoolArray, FloatArray, IntArray
from activesel.requirements import DERIVED, RequirementsFile, Wanted, load_requirements
from activesel.workspace import Workspace

REQUIREMENTS_NAME = "requirements.yaml"
GOLD_SET = "gold set"
NEIGHBOURS = 32
REGION_RADII = 2.0  # a region is wider than what counts as alike, or every image would be its own


@dataclass(frozen=True)
class GapsRequest:
    """requirements: the file, None = requirements.yaml in the workspace. embeddings, ids: the user's own vectors."""

    requirements: Path | None = None
    embeddings: Path | None = None
    ids: Path | None = None


@dataclass(frozen=True)
class Survey:
    """All that was found out. probs: (n, c) of a head on the labels, None without two classes. nearest: (n,) cosine to
    the nearest labelled image. groups: (m,) of the labelled. gold_classes: of gold_rows, index into class_names.
    """

    file: RequirementsFile
    gathered: Gathered
    class_names: tuple[str, ...]
    good: str | None
    probs: FloatArray | None
    nearest: FloatArray
    radius: float
    groups: IntArray
    held_out: HeldOut | None
    gold_rows: IntArray
    gold_classes: tuple[str, ...]
    cuts: Cuts
    facts: tuple[Facts, ...]
    gaps: tuple[Gap, ...]
    notes: tuple[str, ...]

    @property
    def pool(self) -> BoolArray:
        """(n,) images that may be labelled: neither labelled, nor on their way, nor drawn for evaluation."""
        return self.gathered.may_be_picked


def survey_gaps(workspace: Workspace, request: GapsRequest) -> Survey:
    """Compare what is wanted with what is there; the caller holds the workspace's lock, for images may be embedded.

    Raises:
        ConfigError: requirements that cannot be read. DataError: no images, or requirements that name what is unknown.
    """
    file = load_requirements(request.requirements or workspace.root / REQUIREMENTS_NAME)
    known = read_catalog(workspace, None)
    if len(known.images):
        check_names(file, known.images, known.label_names)  # before an hour of embedding
    gathered = gather(workspace, SelectRequest(1.0, embeddings=request.embeddings, ids=request.ids))
    gold_rows, gold_classes = _read_gold(workspace, gathered)
    measured = np.union1d(gathered.labelled, gold_rows).astype(np.int64)
    cuts = read_cuts(workspace, file, gathered.images, measured)
    bare = _look_at_model(workspace, file, gathered)
    survey = replace(bare, gold_rows=gold_rows, gold_classes=gold_classes, cuts=cuts, notes=(*bare.notes, *cuts.notes))
    facts = _collect_facts(survey)
    wanted = file.wanted
    gaps = find_gaps(facts, wanted.confidence, wanted.false_rejects, wanted.region_labels)
    if sum(gap.draws > 0 for gap in gaps) > 1:
        told = "one random draw serves every class: the largest `select --evaluation 1` below covers the others"
        survey = replace(survey, notes=(*survey.notes, told))
    return replace(survey, facts=tuple(facts), gaps=tuple(gaps))


def check_gaps(workspace: Workspace, request: GapsRequest) -> dict[str, Any]:
    """Say what `survey_gaps` would compare, from the requirements and the catalog alone; embeds and writes nothing.

    Raises:
        ConfigError, DataError: what can be told of the requirements.
    """
    file = load_requirements(request.requirements or workspace.root / REQUIREMENTS_NAME)
    known = read_catalog(workspace, None) if workspace.has_catalog else None
    if known is not None and len(known.images):
        check_names(file, known.images, known.label_names)
    return {
        "requirements": str(file.path),
        "classes": len(file.wanted.classes),
        "slices": len(file.wanted.slices),
        "images": 0 if known is None else len(known.images),
        "labelled": {} if known is None else dict(Counter(known.label_names)),
    }


def _read_gold(workspace: Workspace, gathered: Gathered) -> tuple[IntArray, tuple[str, ...]]:
    """The labelled images of the evaluation stream: counted, never looked at for anything else."""
    if not gathered.answered:
        return np.empty(0, np.int64), ()
    with Catalog.open(workspace.catalog_place) as catalog:
        labels = catalog.labels_of(gathered.answered)
    rows = gathered.images.find(pack_ids(list(labels)))
    kept = rows >= 0
    return rows[kept], tuple(name for name, keep in zip(labels.values(), kept, strict=True) if keep)


def _look_at_model(workspace: Workspace, file: RequirementsFile, gathered: Gathered) -> Survey:
    """Fit the head, hold out, and find what is near a label."""
    names, vectors, seed = gathered.class_names, gathered.vectors, workspace.config.seed
    notes = []
    good = file.wanted.good
    if good is None and len(gathered.classes):
        good = names[int(np.bincount(gathered.classes).argmax())]
        notes.append(f"the good class is taken to be {good}, the most frequent label; set good: to say otherwise")
    groups = _group(workspace, file, gathered)
    probs, held_out = None, None
    if len(np.unique(gathered.classes)) >= 2:
        probs = fit_probabilities(vectors, gathered.labelled, gathered.classes, len(names), seed)
        known = np.asarray(vectors[gathered.labelled], np.float32)
        if good in names:
            held_out = hold_out(known, gathered.classes, groups, len(names), good=names.index(good),
                                false_rejects=file.wanted.false_rejects, seed=seed)  # fmt: skip
    if len(gathered.classes) and held_out is None:
        notes.append("no recall could be measured: it takes good and bad images in two groups each")
    nearest = find_nearest(vectors, gathered.labelled)[0]
    return Survey(file, gathered, names, good, probs, nearest, typical_radius(vectors), groups, held_out,
                  np.empty(0, np.int64), (), Cuts({}), (), (), tuple(notes))  # fmt: skip


def _group(workspace: Workspace, file: RequirementsFile, gathered: Gathered) -> IntArray:
    """Return (m,) the group of each labelled image: its part or lot, else its near-duplicates."""
    rows = gathered.labelled
    known = np.asarray(gathered.vectors[rows], np.float32)
    if not len(rows):
        return np.empty(0, np.int64)
    graph = knn_graph(known, min(NEIGHBOURS, max(1, len(rows) - 1)), seed=0)
    alike = group_near_duplicates(graph, workspace.config.duplicates.similarity).astype(np.int64)
    if file.wanted.group_column is None:
        return alike
    parts = gathered.images.column(file.wanted.group_column).codes[rows].astype(np.int64)
    return np.where(parts >= 0, parts, parts.max(initial=0) + 1 + alike)


def _collect_facts(survey: Survey) -> list[Facts]:
    wanted = survey.file.wanted
    facts = [_facts(survey, name, {}, one) for name, one in wanted.classes.items()]
    facts += [_facts(survey, one.name, one.where, one) for one in wanted.slices]
    n_pool = int(survey.pool.sum())
    if wanted.gold_images:
        facts.append(Facts(GOLD_SET, "", {}, 1.0, 0, None, wanted.gold_images, 0, 0, None, len(survey.gold_rows),
                           n_pool, n_pool))  # fmt: skip
    if survey.good is not None and survey.good not in wanted.classes:
        passes = Wanted(recall=1.0 - wanted.false_rejects) if wanted.gold_images else Wanted()
        facts.append(replace(_facts(survey, survey.good, {}, passes), recall=None, is_good=True))
    return facts


def _facts(survey: Survey, name: str, where: Mapping[str, str], wanted: Wanted) -> Facts:
    gathered, cuts, n = survey.gathered, survey.cuts, len(survey.gathered.images)
    inside, may_be = cuts.meets(where, n), cuts.meets_before(where, n)
    code = survey.class_names.index(name) if name in survey.class_names else -1
    own = (gathered.classes == code) & inside[gathered.labelled]
    pool = survey.pool & may_be
    rows, likely = _find_likely(survey, code, pool)
    hidden = tuple(column for column in where if column in DERIVED)
    if hidden and likely is not None:
        of_class = (gathered.classes == code) & may_be[gathered.labelled]
        likely = _share_out(likely, int(own.sum()), int((of_class & cuts.known(hidden, n)[gathered.labelled]).sum()))
    recall = None
    if survey.held_out is not None and name != survey.good:
        tested = own & survey.held_out.tested
        recall = measure_recall(survey.held_out.found[tested], survey.groups[tested], survey.file.wanted.confidence)
    gold = sum(bool(inside[row]) for row, label in zip(survey.gold_rows.tolist(), survey.gold_classes, strict=True)
               if label == name)  # fmt: skip
    return Facts(
        ", ".join([name, *(f"{column} {value}" for column, value in where.items())]), name, where, wanted.importance,
        wanted.images, wanted.recall, wanted.gold, int(own.sum()), len(np.unique(survey.groups[own])), recall, gold,
        likely, int(survey.pool.sum()), rows, gathered.labelled[own], _missed(survey, own),
        () if where or name == survey.good else _regions(survey, gathered.labelled[own], rows),
        hidden,
    )  # fmt: skip


def _share_out(likely: int, n_slice: int, n_class: int) -> int:
    """Return how many of the pool's images of a class are of a slice that only a label tells: as those labelled are.

    By the rule of succession (Laplace), so that a slice nobody labelled yet is rare and not impossible.
    """
    return max(min(1, likely), round(likely * (n_slice + 1) / (n_class + 2)))


def _find_likely(survey: Survey, code: int, pool: BoolArray) -> tuple[IntArray, int | None]:
    """Return the pool's images taken for a class, likeliest first, and how many of them probably are.

    Without a model, those within the radius of a label of the class. None where nothing is labelled.
    """
    gathered = survey.gathered
    if not len(gathered.labelled):
        return np.empty(0, np.int64), None
    if code < 0:
        return np.empty(0, np.int64), 0
    if survey.probs is None:
        near = find_nearest(gathered.vectors, gathered.labelled[gathered.classes == code])[0]
        rows = np.flatnonzero(pool & is_covered(near, survey.radius))
        return rows[np.argsort(-near[rows], kind="stable")], len(rows)
    of_class = np.asarray(survey.probs[:, code], np.float64)
    rows = np.flatnonzero(pool & (survey.probs.argmax(axis=1) == code))
    rows = rows[np.argsort(-of_class[rows], kind="stable")]
    return rows, max(round(float(of_class[rows].sum())), min(1, len(rows)))


def _regions(survey: Survey, labelled: IntArray, taken: IntArray) -> tuple[Region, ...]:
    rows = np.concatenate((labelled, taken)).astype(np.int64)
    missed = _missed(survey, np.ones(len(survey.gathered.labelled), bool))
    return describe_regions(
        survey.gathered.vectors, rows, REGION_RADII * survey.radius, is_labelled=np.arange(len(rows)) < len(labelled),
        near=is_covered(survey.nearest[rows], survey.radius), missed=np.isin(rows, missed),
    )  # fmt: skip


def _missed(survey: Survey, own: BoolArray) -> IntArray:
    """Return the rows of the labelled images ``own`` (m,) that the model misses when they are held out."""
    if survey.held_out is None:
        return np.empty(0, np.int64)
    return survey.gathered.labelled[own & survey.held_out.tested & ~survey.held_out.found]
