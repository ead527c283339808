"""Which batch is which project of an annotation tool, and how far it has been read: .activesel/label_studio.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from activesel.errors import DataError
from activesel.labels.label_studio import person_of
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
    """What was pushed to one server, by batch. people: what to call each of its people, by their number there."""

    path: Path
    url: str
    batches: dict[str, Pushed] = field(default_factory=dict)
    people: dict[int, str] = field(default_factory=dict)

    def keep(self, batch_id: str, pushed: Pushed) -> ToolProjects:
        """Remember a batch's project, on disk too."""
        return self._write(replace(self, batches={**self.batches, batch_id: pushed}))

    def meet(self, people: Mapping[int, str]) -> ToolProjects:
        """Remember people, on disk too; those who have left the server keep their names."""
        known = {**self.people, **people}
        return self if known == self.people else self._write(replace(self, people=known))

    def _write(self, kept: ToolProjects) -> ToolProjects:
        servers = {**_read(self.path, "servers"), self.url: {key: asdict(one) for key, one in kept.batches.items()}}
        people = {**_read(self.path, "people"), self.url: {str(key): name for key, name in kept.people.items()}}
        write_json(self.path, {"schema_version": _SCHEMA_VERSION, "servers": servers, "people": people})
        return kept


def read_projects(workspace: Workspace, url: str) -> ToolProjects:
    """Return what this workspace pushed to a server.

    Raises:
        DataError: the file is damaged.
    """
    path = _path(workspace)
    return ToolProjects(path, url, _batches(path).get(url, {}), _people(path).get(url, {}))


def read_people(workspace: Workspace) -> dict[tuple[str, int | None], dict[str, str]]:
    """Return what to call those who are known to a batch's project by a number only, as ``person_of`` writes it.

    Where two servers hold a batch under the same number of a project, nobody can tell whose people they are.

    Raises:
        DataError: the file is damaged.
    """
    path = _path(workspace)
    people = _people(path)
    found: dict[tuple[str, int | None], dict[str, str]] = {}
    twice: set[tuple[str, int | None]] = set()
    for url, batches in _batches(path).items():
        for batch_id, pushed in batches.items():
            project = (batch_id, pushed.project_id)
            twice |= {project} & found.keys()
            found[project] = {person_of(number): name for number, name in people.get(url, {}).items()}
    return {project: names for project, names in found.items() if project not in twice}


def _path(workspace: Workspace) -> Path:
    return workspace.state / "label_studio.json"


def _batches(path: Path) -> dict[str, dict[str, Pushed]]:
    try:
        return {url: {key: Pushed(one["project_id"], one["title"], tuple(one["names"]), one["cursor"])
                      for key, one in batches.items()} for url, batches in _read(path, "servers").items()}  # fmt: skip
    except (TypeError, KeyError, AttributeError):
        raise _damaged(path) from None


def _people(path: Path) -> dict[str, dict[int, str]]:
    try:
        return {url: {int(number): str(name) for number, name in people.items()}
                for url, people in _read(path, "people").items()}  # fmt: skip
    except (TypeError, ValueError, AttributeError):
        raise _damaged(path) from None


def _read(path: Path, part: str) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf8")).get(part, {}))
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError):
        raise _damaged(path) from None


def _damaged(path: Path) -> DataError:
    return DataError("damaged", where=str(path), hint="delete it: the projects are then found by their titles")
