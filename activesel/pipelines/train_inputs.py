"""What a trainer is handed: the sides of a dataset without the test labels, the images to predict, their vectors."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from activesel.catalog import Catalog
from activesel.dataset import Dataset, Example, Origin
from activesel.errors import DataError
from activesel.pipelines.bank import bank_path, vectors_key
from activesel.pipelines.dataset_files import SHAPES, datasets_folder
from activesel.pipelines.embed import embed, embed_missing, open_store
from activesel.pipelines.machine import pick_device
from activesel.records import ImageRow
from activesel.trainers import Asked, Work
from activesel.workspace import Workspace

MAJORITY = 0.5  # share of the real training images from which on the most frequent class is taken for the good one


def check_sides(dataset: Dataset) -> None:
    """Refuse a dataset that nothing can be trained on.

    Raises:
        DataError: nothing trains, or one class alone.
    """
    names = sorted({one.example.label for one in dataset.entries if one.split == "train"})
    if len(names) < 2:
        raise DataError("it takes two classes to train on", where=f"dataset {dataset.version}",
                        found=f"{names[0]} alone" if names else "no training image",
                        hint="label more, then run `activesel dataset build`")  # fmt: skip
    if not any(one.split == "train" and one.example.weight > 0 for one in dataset.entries):
        raise DataError("every training image has the weight 0", where=f"dataset {dataset.version}")


def prepare_vectors(workspace: Workspace, dataset: Dataset, *, pool: bool) -> None:
    """Give a vector to every image of the dataset, made ones too, and with ``pool`` to every image of the catalog.

    Raises:
        DataError: an image of the dataset cannot be read.
    """
    if pool:
        with Catalog.open(workspace.catalog_place) as catalog:
            images = catalog.list_images()
        embed_missing(workspace, images)
    real = [one.example for one in dataset.entries if one.example.origin is not Origin.synthetic]
    made = [one.example for one in dataset.entries if one.example.origin is Origin.synthetic]
    for examples in (real, made):  # real ones first: the bank of usual patches is made from them
        failed = embed(workspace, [ImageRow(one.image_id, one.path, 0, 0, "") for one in examples]).failed
        if failed:
            raise DataError(f"{len(failed)} of {len(examples)} images of the dataset cannot be read",
                            where=failed[0].path, found=failed[0].detail,
                            hint="see `activesel dataset verify`")  # fmt: skip


def gather_work(workspace: Workspace, dataset: Dataset, *, pool: bool, scratch: Path) -> tuple[Work, list[str]]:
    """Return what a trainer is handed, and notes. pool: ask for every image of the catalog, too."""
    sides: dict[str, list[Example]] = {"train": [], "validation": []}
    for one in dataset.entries:
        if one.split in sides:
            sides[one.split].append(one.example)
    config, good, notes = workspace.config, *_find_good(workspace, dataset)
    work = Work(
        tuple(dataset.head["classes"]), good, config.seed, tuple(sides["train"]), tuple(sides["validation"]),
        _asked(workspace, dataset, pool=pool), open_store(workspace).load, vectors_key(workspace), config.embedding,
        None if config.embedding.pooling == "plain" else bank_path(workspace), scratch,
        pick_device(config.training.device, "training.device"), round(config.ingest.max_megapixels * 1e6),
        _read_shapes(workspace, dataset), workspace.root, config.training.timeout_s,
    )  # fmt: skip
    return work, notes


def _asked(workspace: Workspace, dataset: Dataset, *, pool: bool) -> tuple[Asked, ...]:
    """Return every real image of the dataset, and of the catalog if wanted, by id."""
    found = {one.example.image_id: Asked(one.example.image_id, one.example.path, one.split)
             for one in dataset.entries if one.example.origin is not Origin.synthetic}  # fmt: skip
    if pool:
        made = {one.example.image_id for one in dataset.entries} - found.keys()
        with Catalog.open(workspace.catalog_place) as catalog:
            rows = catalog.images()
        known = found.keys() | made
        found |= {row.image_id: Asked(row.image_id, row.path) for row in rows if row.image_id not in known}
    return tuple(found[name] for name in sorted(found))


def _find_good(workspace: Workspace, dataset: Dataset) -> tuple[str | None, list[str]]:
    """Return the class without a defect: the settings', else the one that most real training images show, if any."""
    named = workspace.config.embedding.good
    if named is not None:
        if named not in dataset.head["classes"]:
            raise DataError("the class without a defect is none of the dataset's", where="embedding.good",
                            found=repr(named), expected="one of " + ", ".join(dataset.head["classes"]))  # fmt: skip
        return named, []
    counts = Counter(one.example.label for one in dataset.entries
                     if one.split == "train" and one.example.origin is not Origin.synthetic)  # fmt: skip
    if not counts:
        return None, []
    good, n = min(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    if n < MAJORITY * counts.total():
        return None, ["no class without a defect is known; set embedding.good if there is one"]
    return good, [f"the good class is taken to be {good}, the most frequent label; set embedding.good to say otherwise"]


def _read_shapes(workspace: Workspace, dataset: Dataset) -> dict[str, str]:
    """Return key of an annotation -> JSON of its shapes, of images that train or validate."""
    wanted = {one.example.shapes for one in dataset.entries if one.example.shapes and one.split != "test"}
    if not wanted:
        return {}
    text = (datasets_folder(workspace) / dataset.version / SHAPES).read_text(encoding="utf8")
    rows = [json.loads(line) for line in text.splitlines()]
    return {str(row["key"]): json.dumps(row["shapes"]) for row in rows if row["key"] in wanted}
