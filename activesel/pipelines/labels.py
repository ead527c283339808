"""The story of `activesel ingest --labels FILE` without images: labels for what the catalog already has."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from activesel.catalog import Catalog
from activesel.labels import ImageLookup, read_labels
from activesel.workspace import Workspace


@dataclass(frozen=True)
class LabelSummary:
    """What one label file brought. n_by_class: labels per class, in the file."""

    source: str
    n_labels: int
    n_by_class: dict[str, int]


def import_labels(workspace: Workspace, labels: Path) -> LabelSummary:
    """Record the labels of a file or folder; the caller holds the workspace's lock. All of them, or on error none.

    Raises:
        DataError: not a label file, a label for an unknown image, two labels for one image.
    """
    with Catalog.open(workspace.catalog_place) as catalog:
        lookup = ImageLookup(catalog.resolve(), (one.path for one in catalog.quarantined()))
        read = read_labels(labels, lookup)
        catalog.add_labels(read)
    return LabelSummary(str(labels), len(read), dict(Counter(label.name for label in read)))
