"""The story of `activesel dataset`: what counts at present becomes one version that never changes."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from activesel.annotations import Annotation, shapes_to_json
from activesel.catalog import Catalog
from activesel.dataset import (
    SCHEMA_VERSION,
    Dataset,
    Difference,
    Example,
    Placed,
    Shares,
    compare,
    place,
    to_lines,
)
from activesel.errors import DataError, RefusedError
from activesel.ids import pack_ids
from activesel.images import content_id
from activesel.pipelines.dataset_card import write_card
from activesel.pipelines.dataset_files import (
    Parts,
    find_version,
    newest,
    publish,
    read_dataset,
)
from activesel.pipelines.dataset_sources import Found, MadeSet, group_images, read_made, read_real
from activesel.workspace import Workspace

SAME_AS_VARIANT = "the bytes of a variant, which is no real image"
SAME_TWICE = "the bytes of another variant"


@dataclass(frozen=True)
class BuildRequest:
    """include: folders of synthetic sets. accept_refused: why sets that their own rules refuse may be in, None = they
    may not."""

    name: str = "default"
    include: tuple[Path, ...] = ()
    accept_refused: str | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class Built:
    """folder: None after a dry run. is_new: False where the same version was there. counts: side -> class -> images.
    left_out: reason -> images. since: what changed from the version of that name before."""

    version: str
    name: str
    folder: Path | None
    is_new: bool
    n_images: int
    counts: Mapping[str, Mapping[str, int]]
    left_out: Mapping[str, int]
    notes: tuple[str, ...]
    since: Difference | None


def build_dataset(workspace: Workspace, request: BuildRequest) -> Built:
    """Make the version that the catalog, the sets and the settings stand for; the caller holds the workspace's lock.

    Images keep the side that they had in the newest version of that name. The same inputs are the same version, and a
    version that is there is left as it is.

    Raises:
        DataError: no image has a label that counts, a set that is none. RefusedError: a set that its rules refuse.
    """
    found = read_real(workspace)
    sets = [read_made(folder, found.id_of_path) for folder in request.include]
    _check_refused(sets, request)
    real, made, left_out = _part(found, sets)
    if not any(one.label for one in real):
        raise DataError("no image has a label that counts", where=str(workspace.root),
                        hint="label a batch, then `activesel ingest --labels FILE`")  # fmt: skip
    groups, notes = _group(workspace, real, made, embeds=not request.dry_run)
    before = newest(workspace, request.name)
    earlier = {one.example.image_id: one.split for one in before.entries} if before is not None else {}
    settings = workspace.config.dataset
    placed = place([*real, *made], groups, Shares(settings.validation, settings.test), workspace.config.seed, earlier)
    placed = replace(placed, left_out=dict(sorted({**placed.left_out, **left_out}.items())))
    parts = _parts(workspace, request, placed, found.annotations, sets)
    if placed.n_moved:
        notes.append(f"{placed.n_moved} images that tested or validated before train now: variants were made of them, "
                     "or their group has joined one that trains")  # fmt: skip
    return _finish(workspace, request, parts, notes, before)


def _check_refused(sets: list[MadeSet], request: BuildRequest) -> None:
    refused = next((one for one in sets if one.refused), None)
    if refused is not None and request.accept_refused is None:
        raise RefusedError("the rules on this set as a whole refuse it", where=str(refused.folder),
                           found="; ".join(refused.refused),
                           hint="leave it out, or say why not with --accept-refused REASON")  # fmt: skip


def _part(found: Found, sets: list[MadeSet]) -> tuple[list[Example], list[Example], dict[str, str]]:
    """Return real and made examples, each image once; a catalog's copy of a variant is the variant."""
    made: dict[str, Example] = {}
    left_out = dict(found.left_out)
    for one in (one for some in sets for one in some.examples):
        made.setdefault(one.image_id, one)
    left_out |= {one.image_id: SAME_AS_VARIANT for one in found.examples if one.image_id in made}
    real = [one for one in found.examples if one.image_id not in made]
    return real, list(made.values()), {image_id: why for image_id, why in left_out.items() if image_id not in made}


def _group(
    workspace: Workspace, real: list[Example], made: list[Example], *, embeds: bool
) -> tuple[dict[str, str], list[str]]:
    """Group all real images and all that variants were made from, labelled here or not."""
    wanted = {one.image_id for one in real} | {source for one in made for source in one.made_from}
    with Catalog.open(workspace.catalog_place) as catalog:
        images = catalog.list_images()
    rows = images.find(pack_ids(sorted(wanted)))
    return group_images(workspace, images.keep(rows[rows >= 0]), embeds=embeds)


def _parts(
    workspace: Workspace, request: BuildRequest, placed: Placed, annotations: Mapping[str, Annotation],
    sets: list[MadeSet],
) -> Parts:  # fmt: skip
    lines = to_lines(placed.entries)
    shapes = "".join(
        json.dumps({"key": one.key, "image_id": one.image_id, "shapes": json.loads(shapes_to_json(one.shapes))}) + "\n"
        for one in (annotations[entry.example.image_id] for entry in placed.entries if entry.example.shapes)
    )
    settings = workspace.config.dataset
    head: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION, "name": request.name, "n_images": len(placed.entries),
        "classes": sorted({one.example.label for one in placed.entries}), "seed": workspace.config.seed,
        "validation": settings.validation, "test": settings.test, "group_column": settings.group_column,
        "near_duplicates": workspace.config.duplicates.similarity, "licence": settings.licence,
        "sets": [{"folder": str(one.folder), "key": one.key, "images": len(one.examples), "refused": list(one.refused),
                  "accepted": request.accept_refused if one.refused else None} for one in sets],
        "left_out": dict(Counter(placed.left_out.values())),
        "images_sha256": hashlib.sha256(lines.encode()).hexdigest(),
        "shapes_sha256": hashlib.sha256(shapes.encode()).hexdigest(),
    }  # fmt: skip
    return Parts(Dataset(head, placed.entries), lines, shapes, placed.left_out)


def _finish(
    workspace: Workspace, request: BuildRequest, parts: Parts, notes: list[str], before: Dataset | None
) -> Built:
    dataset = parts.dataset
    since = compare(before.entries, dataset.entries) if before is not None else None
    folder, is_new = None, before is None or before.version != dataset.version
    if not request.dry_run:
        folder, is_new = publish(workspace, parts, lambda draft: write_card(workspace, dataset, notes, draft))
    return Built(dataset.version, request.name, folder, is_new, len(dataset.entries), count_sides(dataset),
                 dataset.head["left_out"], tuple(notes), since)  # fmt: skip


def count_sides(dataset: Dataset) -> dict[str, dict[str, int]]:
    """Count a version's images by side and class."""
    counts: dict[str, Counter[str]] = {side: Counter() for side in ("train", "validation", "test")}
    for one in dataset.entries:
        counts[one.split][one.example.label] += 1
    return {side: dict(sorted(some.items())) for side, some in counts.items()}


def compare_datasets(workspace: Workspace, before: str, after: str) -> Difference:
    """Compare two versions by the first digits of their ids.

    Raises:
        DataError: there is no such version, or a file of it was changed.
    """
    one, other = (read_dataset(workspace, find_version(workspace, name)) for name in (before, after))
    return compare(one.entries, other.entries)


@dataclass(frozen=True)
class Verified:
    """Of a version's files: path -> what is wrong with it."""

    version: str
    n_images: int
    wrong: Mapping[str, str]


def verify_dataset(workspace: Workspace, name: str | None) -> Verified:
    """Hash every file of a version again, and the version itself.

    Raises:
        DataError: there is no such version, or its own files were changed.
    """
    version = find_version(workspace, name)
    dataset = read_dataset(workspace, version)
    wrong = {}
    for one in dataset.entries:
        try:
            same = content_id(Path(one.example.path)) == one.example.image_id
        except DataError:
            wrong[one.example.path] = "cannot be read"
            continue
        if not same:
            wrong[one.example.path] = "holds another image than when the version was made"
    return Verified(version, len(dataset.entries), wrong)
