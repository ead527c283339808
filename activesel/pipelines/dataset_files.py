"""Where versions of the dataset lie: a folder each under .activesel/datasets, which appears whole and never changes."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from activesel.dataset import SCHEMA_VERSION, Dataset, Entry, from_lines, version_of
from activesel.errors import DataError, UnreachableError
from activesel.pipelines.tables import write_csv
from activesel.workspace import Workspace, write_atomic, write_json

HEAD, IMAGES, SHAPES, TABLE, LEFT_OUT, MADE = (
    "dataset.json", "images.jsonl", "shapes.jsonl", "images.csv", "left_out.csv", "made.json",
)  # fmt: skip
_COLUMNS = ("image_id", "path", "label", "split", "group", "weight", "state", "origin", "source", "confidence", "mask",
            "shapes", "evaluation")  # fmt: skip


@dataclass(frozen=True)
class Parts:
    """A version with what its files hold. lines, shapes: their text. left_out: image id -> why."""

    dataset: Dataset
    lines: str
    shapes: str
    left_out: Mapping[str, str]


@dataclass(frozen=True)
class Listed:
    """One version, for a list. made: UTC, ISO 8601."""

    version: str
    name: str
    made: str
    n_images: int
    n_classes: int
    folder: Path


def datasets_folder(workspace: Workspace) -> Path:
    return workspace.state / "datasets"


def publish(workspace: Workspace, parts: Parts, write_card: Callable[[Path], None]) -> tuple[Path, bool]:
    """Write a version's folder, whole or not at all; return it, and whether it is new.

    Raises:
        UnreachableError: the disk is full.
    """
    root, version = datasets_folder(workspace), parts.dataset.version
    folder, draft = root / version, root / f".{version}.draft"
    for leftover in root.glob(".*.draft"):
        shutil.rmtree(leftover)
    if folder.exists():
        return folder, False
    try:
        write_json(draft / HEAD, parts.dataset.head)
        write_atomic(draft / IMAGES, parts.lines)
        write_atomic(draft / SHAPES, parts.shapes)
        write_atomic(draft / TABLE, _as_csv(parts.dataset.entries).encode("utf8", "backslashreplace"))
        write_atomic(draft / LEFT_OUT, _left_out(parts))
        write_json(draft / MADE, {"made": datetime.now(UTC).isoformat(timespec="microseconds")})
        write_card(draft)
        draft.rename(folder)
    except OSError as error:
        raise UnreachableError("cannot write", where=str(folder), found=error.strerror or str(error)) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder, True


def _as_csv(entries: tuple[Entry, ...]) -> str:
    rows: list[list[object]] = [list(_COLUMNS)]
    for one in entries:
        known = {"split": one.split, "group": one.group}
        rows.append([known[name] if name in known else getattr(one.example, name) for name in _COLUMNS])
    return write_csv(rows)


def _left_out(parts: Parts) -> str:
    rows: list[list[object]] = [["image_id", "reason"]]
    return write_csv(rows + [[image_id, why] for image_id, why in parts.left_out.items()])


def list_datasets(workspace: Workspace) -> list[Listed]:
    """Return every version, the oldest first."""
    found = []
    for folder in datasets_folder(workspace).glob("[0-9a-f]*"):
        head, made = _read_json(folder / HEAD), _read_json(folder / MADE)
        found.append(Listed(folder.name, str(head["name"]), str(made["made"]), int(head["n_images"]),
                            len(head["classes"]), folder))  # fmt: skip
    return sorted(found, key=lambda one: (one.made, one.version))


def find_version(workspace: Workspace, name: str | None) -> str:
    """Return the version whose id begins so, or the newest whose name that is, or the newest of all.

    Raises:
        DataError: there is none, or several begin so.
    """
    known = list_datasets(workspace)
    if not known:
        raise DataError("there is no dataset yet", where=str(workspace.root), hint="run `activesel dataset build`")
    if name is None:
        return known[-1].version
    found = [one.version for one in known if one.version.startswith(name)]
    found = found or [one.version for one in known if one.name == name][-1:]
    if len(found) != 1:
        what = "several datasets begin so" if found else "no dataset has this id or name"
        raise DataError(what, where=str(workspace.root), found=repr(name),
                        expected="one of " + ", ".join(one.version for one in known[-5:]))  # fmt: skip
    return found[0]


def newest(workspace: Workspace, name: str) -> Dataset | None:
    """Return the newest version of that name, None where there is none."""
    found = [one for one in list_datasets(workspace) if one.name == name]
    return read_dataset(workspace, found[-1].version) if found else None


def read_dataset(workspace: Workspace, version: str) -> Dataset:
    """Return a version.

    Raises:
        DataError: it is not there, of a newer activesel, or a file of it is not what it was.
    """
    folder = datasets_folder(workspace) / version
    head = _read_json(folder / HEAD)
    if head.get("schema_version") != SCHEMA_VERSION:
        raise DataError("a dataset of another activesel", where=str(folder), found=str(head.get("schema_version")),
                        expected=str(SCHEMA_VERSION))  # fmt: skip
    lines, shapes = _read_text(folder / IMAGES), _read_text(folder / SHAPES)
    same = version_of(head) == version and all(
        hashlib.sha256(text.encode()).hexdigest() == head.get(key)
        for text, key in ((lines, "images_sha256"), (shapes, "shapes_sha256"))
    )
    if not same:
        raise DataError("a file of this dataset was changed after it was made", where=str(folder),
                        hint="delete the folder and run `activesel dataset build` again")  # fmt: skip
    try:
        return Dataset(head, from_lines(lines))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError("not the images of a dataset", where=str(folder / IMAGES), found=str(error)) from None


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf8")
    except (OSError, UnicodeDecodeError):
        raise DataError("a file of this dataset is gone or damaged", where=str(path),
                        hint="delete its folder and run `activesel dataset build` again") from None  # fmt: skip


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_read_text(path))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise DataError("not a file of a dataset", where=str(path), hint="delete its folder and build again")
    return found
