"""Which batch a person means; apart from what reads batches, which takes seconds to import."""

from __future__ import annotations

from activesel.catalog import Catalog
from activesel.errors import DataError
from activesel.workspace import Workspace


def find_batch(workspace: Workspace, name: str | None) -> str:
    """Return the id of the batch called ``name`` ("3" means "0003"), or of the newest.

    Raises:
        DataError: there is none, or none of that name.
    """
    with Catalog.open(workspace.catalog_place) as catalog:
        known = catalog.batches.ids()
    if not known:
        raise DataError("there is no batch yet", where=str(workspace.root), hint="run `activesel select --budget 200`")
    if name is None:
        return known[-1]
    if name.zfill(4) not in known:  # a name is never put into a path unless the catalog has it
        raise DataError(f"there is no batch {name!r}", where=str(workspace.root), expected="one of "
                        + ", ".join(known[-5:]))  # fmt: skip
    return name.zfill(4)
