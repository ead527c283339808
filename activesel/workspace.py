"""The folder of a recurring job: where its files lie, the lock that keeps writers apart, and atomic writes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from activesel.atomic import whole_file
from activesel.config import Config, load_config
from activesel.errors import DataError, LockedError
from activesel.records import CatalogPlace, CatalogServer

SETTINGS_NAME = "activesel.yaml"
STATE_NAME = ".activesel"


@dataclass(frozen=True)
class Workspace:
    """Paths of one workspace, its settings with the command line's overrides applied."""

    root: Path
    config: Config

    @property
    def state(self) -> Path:
        return self.root / STATE_NAME

    @property
    def catalog_path(self) -> Path:
        """The catalog's file, where catalog.url names no server; open `catalog_place` instead."""
        return self.state / "catalog.sqlite"

    @property
    def catalog_place(self) -> CatalogPlace:
        """What to open the catalog by: the file, or the server that catalog.url names."""
        settings = self.config.catalog
        return self.catalog_path if settings.url is None else CatalogServer(settings.url, settings.namespace)

    @property
    def has_catalog(self) -> bool:
        """Whether opening the catalog would leave no new file behind."""
        return self.config.catalog.url is not None or self.catalog_path.exists()

    @property
    def vectors_dir(self) -> Path:
        return self.state / "vectors"

    @property
    def index_dir(self) -> Path:
        return self.state / "index"

    @property
    def batches_dir(self) -> Path:
        return self.state / "batches"

    @contextlib.contextmanager
    def lock(self, command: str) -> Iterator[None]:
        """Hold the one writer's lock; the operating system frees it when the process dies, however it dies.

        Raises:
            LockedError: another process holds it; the message names it.
        """
        path = self.state / "lock"
        with path.open("a+", encoding="utf8") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.seek(0)
                holder = handle.read().strip() or "another command"
                raise LockedError("the workspace is in use", where=str(self.root), found=holder,
                                  hint="wait until it is done, then run this again") from None  # fmt: skip
            handle.truncate(0)
            handle.write(f"`activesel {command}` (process {os.getpid()})")
            handle.flush()
            yield


def create_workspace(root: Path, overrides: Sequence[str] = ()) -> Workspace:
    """Make ``root`` a workspace, keeping an existing activesel.yaml."""
    (root / STATE_NAME).mkdir(parents=True, exist_ok=True)
    settings = root / SETTINGS_NAME
    if not settings.exists():
        write_atomic(settings, "# Only what differs from the defaults; `activesel config show` prints everything.\n"
                               "schema_version: 1\n")  # fmt: skip
    return Workspace(root.resolve(), load_config(settings, overrides))


def find_workspace(start: Path, overrides: Sequence[str] = ()) -> Workspace:
    """Return the workspace that ``start`` or the nearest folder above it is.

    Raises:
        DataError: there is none.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / STATE_NAME).is_dir() and (folder / SETTINGS_NAME).is_file():
            return Workspace(folder, load_config(folder / SETTINGS_NAME, overrides))
    raise DataError("no workspace here or in a folder above", where=str(start),
                    hint="run `activesel init`, or name one with -w DIR")  # fmt: skip


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file that is absent (or old) or complete, whatever kills the process.

    Raises:
        UnreachableError: the disk is full or the folder cannot be written.
    """
    with whole_file(path) as stream:
        stream.write(content.encode("utf8") if isinstance(content, str) else content)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    write_atomic(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
