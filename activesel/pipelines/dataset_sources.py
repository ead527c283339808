"""What may be in a dataset: the catalog's labelled images with their groups, and the variants of synthetic sets."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from activesel.annotations import Annotation, LabelState, Resolution, Role
from activesel.catalog import Catalog, Images
from activesel.catalog.annotations import RESOLVED
from activesel.dataset import Example, Origin
from activesel.duplicates import group_near_duplicates
from activesel.errors import DataError
from activesel.ids import unpack_ids
from activesel.images import content_id
from activesel.index import knn_graph
from activesel.pipelines.embed import embed_missing, open_store
from activesel.pipelines.label_files import find_picture
from activesel.pipelines.synthesise import translate
from activesel.records import ImageRow, IntArray, Label
from activesel.splits import join_groups
from activesel.workspace import Workspace
from synth.files import inside
from synth.publish import RECORDS, REJECTED, read_decisions, read_run
from synth.record import read_lines
from synth.refusal import refused_of

NEIGHBOURS = 32
VARIANT_PREFIX = "synth-"  # every variant's file name begins so, whatever it was copied through
UNNAMED_VARIANT = "a variant whose set was not named, so that nobody knows what it was made from"
REJECTED_LABEL = "rejected"
_HUMAN = (Role.expert, Role.gold, Role.annotator)  # whose shapes count first


@dataclass(frozen=True)
class Found:
    """examples: the catalog's, also evaluation images without a label yet (label ""). left_out: image id -> why.
    annotations: image id -> the opinion whose shapes count."""

    examples: tuple[Example, ...]
    left_out: Mapping[str, str]
    annotations: Mapping[str, Annotation]
    id_of_path: Mapping[str, str]


@dataclass(frozen=True)
class MadeSet:
    """One synthetic set: where, its key, what its rules say against it, its variants that nobody rejected."""

    folder: Path
    key: str
    refused: tuple[str, ...]
    examples: tuple[Example, ...]


def read_real(workspace: Workspace) -> Found:
    """Read every image that has a label that counts, and every evaluation image."""
    with Catalog.open(workspace.catalog_place) as catalog:
        rows, labels = catalog.images(), catalog.labels()
        evaluation = set(unpack_ids(catalog.batches.picked_ids("evaluation")))
        resolutions, opinions = catalog.annotations.resolutions(), catalog.annotations.read()
        bought = {image_id for name in workspace.config.dataset.third_party
                  for image_id in catalog.list_images(name).names()}  # fmt: skip
        id_of_path = catalog.resolve()
    of_image: dict[str, list[Annotation]] = {}
    for one in opinions:
        of_image.setdefault(one.image_id, []).append(one)
    third = set(workspace.config.dataset.third_party)
    examples, left_out = [], {}
    shaped: dict[str, Annotation] = {}
    for row in rows:
        said, resolution = of_image.get(row.image_id, []), resolutions.get(row.image_id)
        example = _example(row, labels.get(row.image_id), resolution, said, third)
        if example is not None and row.image_id in bought and example.origin is not Origin.weak:
            example = replace(example, origin=Origin.third_party)
        if row.image_id in evaluation:
            example = replace(example or Example(row.image_id, row.path, "", LabelState.raw, Origin.first_party),
                              evaluation=True)  # fmt: skip
        if example is None:
            if resolution is not None and resolution.state is LabelState.rejected:
                left_out[row.image_id] = REJECTED_LABEL
        elif example.state is LabelState.synthetic or Path(row.path).name.startswith(VARIANT_PREFIX):
            left_out[row.image_id] = UNNAMED_VARIANT
        else:
            opinion = find_shapes(said, example.label)
            shaped |= {row.image_id: opinion} if opinion is not None else {}
            examples.append(replace(example, shapes=opinion.key) if opinion is not None else example)
    return Found(tuple(examples), left_out, shaped, id_of_path)


def _example(
    row: ImageRow, label: Label | None, resolution: Resolution | None, said: Sequence[Annotation], third: set[str]
) -> Example | None:
    """Return what counts for an image, None where nothing does."""
    mask = os.path.normpath(find_picture(row.meta.get("mask"), row.path) or "") if row.meta.get("mask") else ""
    if resolution is not None:
        if resolution.name is None or resolution.state is LabelState.rejected:
            return None
        origin = _origin(resolution.state, resolution.name, said, third, "")
        # A weak label is worth what its rules were sure of; others are whole.
        weight = (resolution.confidence or 1.0) if origin is Origin.weak else 1.0
        return Example(row.image_id, row.path, resolution.name, resolution.state, origin, resolution.by,
                       resolution.confidence, weight, mask=mask)  # fmt: skip
    if label is None or label.source == RESOLVED:
        return None
    origin = _origin(LabelState.raw, label.name, said, third, label.source)
    return Example(row.image_id, row.path, label.name, LabelState.raw, origin, label.source, mask=mask)


def _origin(state: LabelState, name: str, said: Iterable[Annotation], third: set[str], source: str) -> Origin:
    if state is LabelState.weak:
        return Origin.weak
    own = [one for one in said if one.name == name and one.role in _HUMAN]
    if source in third or (own and all(one.source in third for one in own)):
        return Origin.third_party
    return Origin.first_party if own else Origin.second_party


def find_shapes(said: Sequence[Annotation], name: str) -> Annotation | None:
    """Return the opinion whose shapes count: an expert's before a gold one's before an annotator's, the newest of
    those that agree with the label; a model's or rule's never."""
    for role in _HUMAN:
        of_role = [one for one in said if one.role is role and one.shapes and one.name in (name, None)]
        if of_role:
            return max(of_role, key=lambda one: one.created)
    return None


def read_made(folder: Path, id_of_path: Mapping[str, str]) -> MadeSet:
    """Read a finished set; every picture is hashed.

    Raises:
        DataError: not the folder of a finished set, or a file of it is gone.
    """
    with translate():
        run, records, decisions = read_run(folder), read_lines(folder / RECORDS), read_decisions(folder)
    weights = _read_weights(folder / "weights.csv")
    kept = [one for one in records if decisions.get(one["id"]) != REJECTED]
    examples = tuple(_variant(folder, one, weights, id_of_path) for one in kept)
    return MadeSet(folder.resolve(), str(run["key"]), refused_of(run), examples)


def _variant(folder: Path, record: Mapping[str, Any], weights: Mapping[str, float], ids: Mapping[str, str]) -> Example:
    with translate():
        path, mask = (inside(folder.resolve(), *record[name].split("/")) for name in ("image", "mask"))
    sources = [record["source"].get("path", ""), record["host"]["path"]]
    made_from = [_id_of(source, ids) for source in sources if source]
    return Example(
        content_id(path), str(path), record["label"], LabelState.synthetic, Origin.synthetic, f"synth {record['id']}",
        weight=weights.get(record["image"], 1.0), mask=str(mask),
        made_from=tuple(dict.fromkeys(one for one in made_from if one)),
    )  # fmt: skip


def _id_of(path: str, ids: Mapping[str, str]) -> str:
    """Return an image's id by its path, else by its content: a copy under another name leaks as much."""
    if path in ids:
        return ids[path]
    try:
        return content_id(Path(path))
    except DataError:  # it is gone, and so can test nobody
        return ""


def _read_weights(path: Path) -> dict[str, float]:
    """Return what `synth prove` found each image worth; {} where nothing is promoted."""
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf8", newline="") as stream:
            return {row["path"]: float(row["weight"]) for row in csv.DictReader(stream)}
    except (KeyError, ValueError, UnicodeDecodeError) as error:
        raise DataError("not the weights of a set", where=str(path), found=str(error),
                        hint="run `activesel synth prove` again") from None  # fmt: skip


def group_images(workspace: Workspace, images: Images, *, embeds: bool) -> tuple[dict[str, str], list[str]]:
    """Return image id -> the least id of its group, and notes. Near-duplicates are one group, and so are images of one
    part or lot where the settings name that column. embeds: give images a vector that have none."""
    notes, n = [], len(images)
    names = images.names()
    alike = np.full(n, -1, np.int64)
    if embeds and n:
        embed_missing(workspace, images)
    missing = open_store(workspace).missing(images.ids) if n else np.empty(0, np.int64)
    seen = np.setdiff1d(np.arange(n), missing)
    if len(missing):
        notes.append(f"{len(missing)} images have no vector: near-duplicates among them are not known")
    if len(seen) > 1:
        alike[seen] = _near_duplicates(workspace, [names[row] for row in seen])
    partitions: list[IntArray] = [alike]
    column = workspace.config.dataset.group_column
    if column is not None:
        partitions.append(images.column(column).codes.astype(np.int64))
        if n and not images.column(column).values:
            raise DataError("no labelled image has this column", where="dataset.group_column", found=repr(column),
                            expected="one of " + ", ".join(images.columns()))  # fmt: skip
    numbers = join_groups(n, *partitions)
    least: dict[int, str] = {}
    for number, name in zip(numbers.tolist(), names, strict=True):  # ids ascend: the first is the least
        least.setdefault(number, name)
    largest = int(np.bincount(numbers).max()) if n else 0
    if n >= 20 and largest > n / 3:
        notes.append(f"{largest} of {n} images are one group, which no split can spread: is dataset.group_column, or "
                     "duplicates.similarity, too coarse?")  # fmt: skip
    return {name: least[number] for name, number in zip(names, numbers.tolist(), strict=True)}, notes


def _near_duplicates(workspace: Workspace, ids: Sequence[str]) -> IntArray:
    vectors = np.asarray(open_store(workspace).load(ids), np.float32)
    graph = knn_graph(vectors, min(NEIGHBOURS, len(ids) - 1), seed=0)
    return group_near_duplicates(graph, workspace.config.duplicates.similarity).astype(np.int64)
