"""The files that a set is made of, by content: one that was replaced between two runs is named, never mixed in.

Kept in DIR/.synth/inputs.json with each file's stamp, so that a rerun reads only what was touched since.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.errors import SynthError
from synth.files import file_id, write_atomic
from synth.hosts import HostCard
from synth.records import Example

INPUTS = "inputs.json"
UNREADABLE = "unreadable"  # in place of a digest
Stamp = tuple[int, int, int, int]  # bytes, mtime and ctime in ns, inode: a file cannot be written to and keep all four
_SETTLED_NS = 2_000_000_000  # a file touched later than this before it was read may change again within one clock tick
_READERS = 4
_NAMED = 3  # files named in a message; the others are counted


@dataclass(frozen=True)
class Inputs:
    """By path. roles: what a file is to the run. digests: as file_id, or ``UNREADABLE``. stamps: of settled files."""

    roles: Mapping[str, str]
    digests: Mapping[str, str]
    stamps: Mapping[str, Stamp]

    @property
    def digest(self) -> str:
        """Return 16 hex digits that name all files and what is in them."""
        lines = "\n".join(f"{path}\t{content}" for path, content in sorted(self.digests.items()))
        return hashlib.sha256(lines.encode("utf8", "surrogateescape")).hexdigest()[:16]


NOTHING = Inputs({}, {}, {})


def list_files(
    labels: Path, examples: Iterable[Example], cards: Iterable[HostCard], part_mask: Path | None = None
) -> dict[str, str]:
    """Return path -> role of every file that may be read: the label file, donors, hosts and their masks."""
    roles = {str(labels.absolute()): "label file"}
    if part_mask is not None:
        roles[str(part_mask)] = "mask of the part"
    for example in examples:
        roles.setdefault(example.path, "donor")
        if example.mask is not None:
            roles.setdefault(example.mask, f"mask of the donor {Path(example.path).name}")
    for card in cards:
        roles.setdefault(card.path, "host")
        for name in masks_of(card):
            roles.setdefault(name, f"mask of the host {Path(card.path).name}")
    return roles


def masks_of(card: HostCard) -> list[str]:
    """Return the masks that opening a host reads: of the part, and of what is labelled already."""
    return [*([card.part] if card.part is not None else []), *(mark.mask for mark in card.marks if mark.mask)]


def read_files(roles: Mapping[str, str], known: Inputs = NOTHING) -> Inputs:
    """Hash every file, but those that ``known`` has seen with the same stamp. Costs a read of each file, once a set."""
    with ThreadPoolExecutor(_READERS) as pool:  # a share on the network answers several at once
        found = list(pool.map(lambda path: _read_file(path, known), roles))
    return Inputs(
        roles,
        {path: digest for path, (digest, _) in zip(roles, found, strict=True)},
        {path: stamp for path, (_, stamp) in zip(roles, found, strict=True) if stamp is not None},
    )


def content_of(path: str) -> str:
    """Return a file's digest, or ``UNREADABLE``."""
    try:
        return file_id(Path(path))
    except SynthError:
        return UNREADABLE


def what_changed(was: Inputs, now: Inputs) -> list[str]:
    """Return, a few words each, the files that both have and whose content differs, and those that only one has."""
    changed = [
        f"{path} ({role}) {difference(was.digests[path], now.digests[path])}"
        for path, role in now.roles.items()
        if path in was.digests and was.digests[path] != now.digests[path]
    ]
    changed += [f"{path} ({role}) is new" for path, role in now.roles.items() if path not in was.digests]
    return changed + [f"{path} is no longer used" for path in was.digests if path not in now.digests]


def tell(changes: list[str]) -> str:
    """Return the first few in one line, and how many more there are."""
    more = len(changes) - _NAMED
    return ", ".join(changes[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def check_same(expected: Mapping[str, str], path: str, found: str | None = None) -> None:
    """Refuse a file that is another than when the run began. found: its digest, if known; files not named pass.

    Raises:
        InputChanged: as said.
    """
    if path not in expected:
        return
    now = content_of(path) if found is None else found
    if now != expected[path]:
        raise InputChanged("the file has changed while the set was made", where=path,
                           found=difference(expected[path], now),
                           hint="put it back and run this again, or remove the set's folder to begin anew")  # fmt: skip


def difference(was: str, now: str) -> str:
    """Say what became of a file, from its digests.

    >>> difference("aa", UNREADABLE), difference("aa", "bb")
    ('is gone or cannot be read', 'has other content')
    """
    if now == UNREADABLE:
        return "is gone or cannot be read"
    return "could not be read before" if was == UNREADABLE else "has other content"


class InputChanged(SynthError):
    """A file is another than when the run began: nothing that can be passed over."""


def write_inputs(path: Path, key: str, asked: Mapping[str, Any], inputs: Inputs) -> None:
    """Write what a run reads. key: the run's. asked: its request, without what the result does not depend on."""
    files = {name: [inputs.digests[name], inputs.roles[name], inputs.stamps.get(name)] for name in inputs.roles}
    write_atomic(path, json.dumps({"key": key, "asked": asked, "files": files}) + "\n")


def load_inputs(path: Path) -> tuple[str, Mapping[str, Any], Inputs]:
    """Return key, request and files as written; of a folder that has none, or a damaged file, nothing is known."""
    try:
        document = json.loads(path.read_text(encoding="utf8"))
        rows = {str(name): (str(row[0]), str(row[1]), row[2]) for name, row in document["files"].items()}
        stamps: dict[str, Stamp] = {name: (row[2][0], row[2][1], row[2][2], row[2][3]) for name, row in rows.items()
                                    if row[2] is not None}  # fmt: skip
        return str(document["key"]), dict(document["asked"]), Inputs(
            {name: row[1] for name, row in rows.items()}, {name: row[0] for name, row in rows.items()}, stamps
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return "", {}, NOTHING


def _read_file(path: str, known: Inputs) -> tuple[str, Stamp | None]:
    began = time.time_ns()
    stamp = _stamp_of(path)
    if stamp is not None and stamp == known.stamps.get(path):
        return known.digests[path], stamp
    digest = content_of(path)
    is_settled = stamp is not None and max(stamp[1], stamp[2]) < began - _SETTLED_NS and stamp == _stamp_of(path)
    return digest, stamp if is_settled else None


def _stamp_of(path: str) -> Stamp | None:
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
