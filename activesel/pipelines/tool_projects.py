"""Which batch is which project of an annotation tool, and how far it has been read: .activesel/label_studio.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from activesel.errors import DataError
from activesel.workspace import Workspace, write_json

_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Pushed:
    """One batch on one server. names: the classes that people choose from. cursor: the newest change that was read."""

    project_id: int
    title: str
    names: tuple[str, ...] = ()
    cursor: str = ""


@dataclass(frozen=True)
class ToolProjects:
    """What was pushed to one server, by batch."""

    path: Path
    url: str
    batches: dict[str, Pushed] = field(default_factory=dict)

    def keep(self, batch_id: str, pushed: Pushed) -> ToolProjects:
        """Remember a batch's project, on disk too."""
        kept = replace(self, batches={**self.batches, batch_id: pushed})
        servers = {**_read(self.path), self.url: {key: asdict(one) for key, one in kept.batches.items()}}
        write_json(self.path, {"schema_version": _SCHEMA_VERSION, "servers": servers})
        return kept


def read_projects(workspace: Workspace, url: str) -> ToolProjects:
    """Return what this workspace pushed to a server.

    Raises:
        DataError: the file is damaged.
    """
    path = workspace.state / "label_studio.json"
    try:
        batches = {key: Pushed(one["project_id"], one["title"], tuple(one["names"]), one["cursor"])
                   for key, one in _read(path).get(url, {}).items()}  # fmt: skip
    except (TypeError, KeyError, AttributeError):
        raise _damaged(path) from None
    return ToolProjects(path, url, batches)


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf8"))["servers"])
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError):
        raise _damaged(path) from None


def _damaged(path: Path) -> DataError:
    return DataError("damaged", where=str(path), hint="delete it: the projects are then found by their titles")
