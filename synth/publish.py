"""Turn a folder's records and decisions into what users read: labels.csv, the formats, the contact sheet.

Idempotent: run again after a kill, or after a decision, it leaves the same files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.errors import SynthError
from synth.files import hold, inside, write_atomic
from synth.output import ShippedSet, shipped_of, write_formats
from synth.record import read_lines
from synth.refusal import refused_of
from synth.sheet import Card, Standing, facts_of, render_sheet

STATE = ".synth"
RECORDS, PROPOSALS, DECISIONS, SHEET, RUN = (
    "records.jsonl",
    "proposals.jsonl",
    "decisions.json",
    "sheet.html",
    "run.json",
)
ACCEPTED, REJECTED = "accepted", "rejected"


@dataclass(frozen=True)
class Published:
    """How many images of a set are in, accepted by a person, or rejected by one."""

    n_images: int
    n_accepted: int
    n_rejected: int


def read_run(folder: Path) -> dict[str, Any]:
    """Return what made the set: request, versions, funnel.

    Raises:
        SynthError: not the folder of a finished set.
    """
    path = folder / STATE / RUN
    try:
        run = json.loads(path.read_text(encoding="utf8"))
    except (OSError, ValueError):
        run = None
    if not isinstance(run, dict):
        raise SynthError("not the folder of a finished set", where=str(folder), hint="run `activesel synth` first")
    return run


def read_decisions(folder: Path) -> dict[str, str]:
    """Return id -> accepted or rejected, as remembered in the set's folder.

    Raises:
        SynthError: the file is damaged.
    """
    path = folder / DECISIONS
    return _parse(path) if path.exists() else {}


def read_decisions_file(path: Path) -> dict[str, str]:
    """Return id -> accepted, rejected or "" (undecided) of a file that the contact sheet saved.

    Raises:
        SynthError: it is missing or no such file.
    """
    if not path.is_file():
        raise SynthError("no such file", where=str(path), hint="save it from the contact sheet")
    return _parse(path)


def decide(folder: Path, changes: Mapping[str, str]) -> Published:
    """Remember decisions (accepted, rejected, or "" to forget one), then publish the set again.

    Raises:
        SynthError: an id that the set does not have; nothing is changed then.
    """
    ids = {record["id"] for record in read_lines(folder / RECORDS)}
    unknown = sorted(set(changes) - ids)
    if unknown:
        raise SynthError("no image of this set has this id", where=str(folder), found=", ".join(unknown[:3]),
                         expected=f"an id of {RECORDS}, such as {min(ids, default='none')}")  # fmt: skip
    with hold(folder / STATE):
        merged = {name: state for name, state in {**read_decisions(folder), **changes}.items() if state}
        _write_decisions(folder, merged)
        return publish(folder)


def publish(folder: Path) -> Published:
    """Write labels.csv, the formats and the sheet from records.jsonl and decisions.json.

    Images that a person rejected move to rejected/, so that no trainer that reads the folder sees them.
    """
    run, records, decisions = read_run(folder), read_lines(folder / RECORDS), read_decisions(folder)
    kept = [record for record in records if decisions.get(record["id"]) != REJECTED]
    for record in records:
        _put(folder, record, is_out=decisions.get(record["id"]) == REJECTED)
    shipped = ShippedSet(folder, [shipped_of(record) for record in kept], tuple(run["classes"]))
    write_formats(shipped, tuple(run["request"]["formats"]))
    _write_sheet(folder, run, records, decisions)
    states = [decisions.get(record["id"]) for record in records]
    return Published(len(kept), states.count(ACCEPTED), states.count(REJECTED))


def _write_sheet(
    folder: Path, run: Mapping[str, Any], records: Iterable[Mapping[str, Any]], decisions: Mapping[str, str]
) -> None:
    cards = [
        Card(one["id"], (folder / STATE / "strips" / f"{one['id']}.jpg").read_bytes(), facts_of(one),
             decisions.get(one["id"], ""))
        for one in records
    ]  # fmt: skip
    title = f"{run['request']['label']}: synthetic variants"
    page = render_sheet(title, cards, [(str(name), int(n)) for name, n in run["funnel"]], run["key"],
                        Standing(refused_of(run), tuple(run.get("gaps", ()))))  # fmt: skip
    write_atomic(folder / SHEET, page)


def _put(folder: Path, record: Mapping[str, Any], *, is_out: bool) -> None:
    """Move an image and its mask to where the decision wants them."""
    for kind in ("image", "mask"):
        home = inside(folder, *record[kind].split("/"))
        away = inside(folder, REJECTED, *record[kind].split("/"))
        source, target = (home, away) if is_out else (away, home)
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)


def _write_decisions(folder: Path, decisions: Mapping[str, str]) -> None:
    document = {
        state: sorted(name for name, one in decisions.items() if one == state) for state in (ACCEPTED, REJECTED)
    }
    write_atomic(folder / DECISIONS, json.dumps(document, indent=1) + "\n")


def _parse(path: Path) -> dict[str, str]:
    found: dict[Any, str] = {}
    try:
        document = json.loads(path.read_text(encoding="utf8"))
        for key, state in (("undecided", ""), (ACCEPTED, ACCEPTED), (REJECTED, REJECTED)):
            found.update(dict.fromkeys(document.get(key, []), state))
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        found = {None: ""}
    if not all(isinstance(name, str) for name in found):
        raise SynthError("not a file of decisions", where=str(path),
                         expected='{"accepted": [ids], "rejected": [ids]}')  # fmt: skip
    return found
