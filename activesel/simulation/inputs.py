"""Labelled images, cut into a pool that flywheels choose from and test images that none of them sees."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from activesel.benchmark.dataset import Dataset, split_by_group
from activesel.catalog import Catalog
from activesel.errors import DataError, UsageError
from activesel.pipelines.dataset_sources import group_images
from activesel.pipelines.embed import embed_missing
from activesel.pipelines.ingest import ingest
from activesel.seeds import derive_rng
from activesel.simulation.arms import Split
from activesel.workspace import Workspace


@dataclass(frozen=True)
class Oracle:
    """The truth: ids (n,) with classes (n,), index into names, and groups (n,). good: the class without a defect."""

    ids: tuple[str, ...]
    names: tuple[str, ...]
    classes: tuple[int, ...]
    groups: tuple[int, ...]
    good: str

    @property
    def truth(self) -> dict[str, str]:
        return {image_id: self.names[code] for image_id, code in zip(self.ids, self.classes, strict=True)}


def read_oracle(base: Workspace, oracle: Path, images: str | None, good: str | None) -> Oracle:
    """Bring the images and their truth into the base workspace, with vectors; a rerun embeds nothing.

    images: as `activesel ingest` takes it, None = the oracle's own paths. good: None = the most frequent class. The
    caller holds the base's lock.

    Raises:
        DataError: bad images or labels, fewer than two classes. UsageError: no such class.
    """
    ingest(base, str(oracle) if images is None else images, labels=oracle)
    with Catalog.open(base.catalog_place) as catalog:
        known = catalog.list_images()
    usable = embed_missing(base, known)
    with Catalog.open(base.catalog_place) as catalog:
        labels = catalog.labels()
    ids = [image_id for image_id in usable.names() if image_id in labels]
    group_of, _ = group_images(base, usable, embeds=False)
    texts = [labels[image_id].name for image_id in ids]
    if len(set(texts)) < 2:
        raise DataError("a simulation takes two classes", where=str(oracle), found=", ".join(sorted(set(texts))))
    names, classes = np.unique(texts, return_inverse=True)
    groups = np.unique([group_of[image_id] for image_id in ids], return_inverse=True)[1]
    counts = Counter(texts)
    if good is not None and good not in counts:
        raise UsageError("no such class", where=f"--good {good}", expected=", ".join(map(str, names[:12])))
    return Oracle(tuple(ids), tuple(map(str, names)), tuple(classes.tolist()), tuple(groups.tolist()),
                  good or max(sorted(counts), key=lambda name: counts[name]))  # fmt: skip


def split_oracle(oracle: Oracle, n_first: int, seed: int) -> Split:
    """Deal half of the groups to the pool and half to the test, and draw the first labels from the pool at random.

    Raises:
        DataError: a class in one group alone, or fewer images in the pool than first labels.
    """
    empty = np.empty((len(oracle.ids), 0), np.float32)
    halves = split_by_group(Dataset(empty, np.array(oracle.classes), oracle.names, np.array(oracle.groups)), seed)
    pool, test = ([oracle.ids[row] for row in rows] for rows in (halves.pool, halves.test))
    if n_first > len(pool):
        raise DataError("more first labels than images in the pool", found=str(n_first), expected=f"up to {len(pool)}")
    drawn = derive_rng(seed, "simulate", "first").permutation(len(pool))[:n_first]
    return Split(tuple(pool), tuple(test), tuple(sorted(pool[i] for i in drawn)))
