"""What batch.json holds, and reading it: apart from what chooses a batch, which takes torch and seconds to import."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from activesel.errors import DataError
from activesel.reasons import Kind
from activesel.training.outlook import Worth
from activesel.workspace import Workspace

SCHEMA_VERSION = 1
HEAD_BYTES = 1024  # hold the first fields of batch.json, up to the strategy


@dataclass(frozen=True)
class PickRecord:
    """One line of a batch. scores: name -> 0..1. group: near-duplicate group. stands_for: itself included."""

    rank: int
    image_id: str
    path: str
    kind: Kind
    reason: str
    predicted: str | None
    probability: float | None
    gain: float
    propensity: float | None
    scores: dict[str, float]
    stands_for: int
    group: int | None
    meta: dict[str, str]


@dataclass(frozen=True)
class BatchFile:
    """What batch.json holds. worth: what the batch is expected to bring. worth_text: that, or why it is not known."""

    schema_version: int
    batch_id: str
    created: str
    request_key: str
    strategy: str
    budget: float
    seed: int
    command: str
    config: dict[str, Any]
    versions: dict[str, str]
    inputs: dict[str, str]
    notes: tuple[str, ...]
    n_pool: int
    n_labelled: int
    worth: Worth | None = field(default=None, kw_only=True)
    worth_text: str = field(default="", kw_only=True)
    picks: tuple[PickRecord, ...]


def read_head(workspace: Workspace, batch_id: str) -> dict[str, Any]:
    """Return the first fields of a stored batch, such as its key and strategy, without reading it; {} where in doubt.

    They stand before the settings, a line each; the whole file is a kilobyte per pick.
    """
    head: dict[str, Any] = {}
    try:
        with (workspace.batches_dir / batch_id / "batch.json").open("rb") as stream:
            lines = stream.read(HEAD_BYTES).decode("utf8", "replace").splitlines()
        for line in lines[1:]:
            name, _, value = line.strip().removesuffix(",").partition(": ")
            if not line.startswith('  "') or value[:1] in ("{", "["):
                break
            head[json.loads(name)] = json.loads(value)
    except (OSError, ValueError):
        return {}
    return head


def read_batch(workspace: Workspace, batch_id: str) -> BatchFile:
    """Read a stored batch.

    Raises:
        DataError: there is none of that id, or its file is not a batch of this schema version.
    """
    path = workspace.batches_dir / batch_id / "batch.json"
    try:
        stored = json.loads(path.read_text(encoding="utf8"))
    except FileNotFoundError:
        raise DataError(f"there is no batch {batch_id}", where=str(workspace.batches_dir),
                        hint="see `activesel status`") from None  # fmt: skip
    except (OSError, ValueError, RecursionError) as error:
        raise DataError("not a batch file", where=str(path), found=str(error).splitlines()[0][:120]) from None
    if not isinstance(stored, dict) or stored.get("schema_version") != SCHEMA_VERSION:
        raise DataError("not a batch file of this schema version", where=str(path), expected=str(SCHEMA_VERSION))
    try:
        return TypeAdapter(BatchFile).validate_python(stored)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise DataError(f"bad value for {field}", where=str(path), found=repr(first["input"])[:80],
                        expected=first["msg"]) from None  # fmt: skip
