"""The looks at a batch's agreement so far: looks.json in its folder, one more before each verdict that is given."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from activesel.errors import DataError
from activesel.looks import Look
from activesel.workspace import Workspace, write_json

SCHEMA_VERSION = 1
MOST_BYTES = 16 * 2**20  # some 80,000 looks
_LOOKS: TypeAdapter[list[Look]] = TypeAdapter(list[Look])


def looks_path(workspace: Workspace, batch_id: str) -> Path:
    return workspace.batches_dir / batch_id / "looks.json"


def read_looks(workspace: Workspace, batch_id: str) -> list[Look]:
    """Return the looks so far, in their order; none where nobody has looked.

    Raises:
        DataError: the file was damaged: without it nobody knows how sure the next bound must be.
    """
    path = looks_path(workspace, batch_id)
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return []
    try:
        found = json.loads(content)
        if len(content) > MOST_BYTES or found["schema_version"] != SCHEMA_VERSION:
            raise ValueError
        looks = _LOOKS.validate_python(found["looks"])
        if any(one.number < 1 for one in looks):
            raise ValueError
        return looks
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError):
        raise DataError("not a record of looks at agreement", where=str(path),
                        expected="what `activesel qc` wrote: it says how often was looked") from None  # fmt: skip


def keep_look(workspace: Workspace, batch_id: str, look: Look | None) -> bool:
    """Record a look before its verdict is told; return whether it is new. The caller holds the workspace's lock.

    Killed before, nobody has seen a verdict; killed after, the same labels are the same look when run again.
    """
    earlier = read_looks(workspace, batch_id)
    if look is None or look in earlier:
        return False
    write_json(looks_path(workspace, batch_id),
               {"schema_version": SCHEMA_VERSION, "looks": [asdict(one) for one in (*earlier, look)]})  # fmt: skip
    return True
