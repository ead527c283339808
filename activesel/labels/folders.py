"""Labels from a folder per class: each image is labelled with the name of the folder it lies in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from activesel.errors import DataError
from activesel.images import IMAGE_SUFFIXES, content_id
from activesel.labels.lookup import ImageLookup
from activesel.labels.opinions import Opinion
from activesel.labels.registry import label_format


@label_format("folders", accepts=Path.is_dir)
def read_folders(path: Path, lookup: ImageLookup) -> Iterator[Opinion]:
    """Yield each image in a folder below ``path``; a copy of a known image is known by its content.

    Hidden names, and names that do not end as an image's, are left out.
    """
    root = path.absolute()
    n_files = 0
    for file in sorted(root.rglob("*")):
        below = file.relative_to(root)
        hidden = any(part.startswith(".") for part in below.parts)
        if len(below.parts) < 2 or hidden or file.suffix.lower() not in IMAGE_SUFFIXES or not file.is_file():
            continue
        n_files += 1
        found = lookup.by_path(str(file), root, where=str(file)) or lookup.by_id(content_id(file))
        yield Opinion(str(file), str(below), found, file.parent.name)
    if not n_files:
        raise DataError("no labelled images", where=str(path), expected="a folder per class with images in it")
