"""The story of `activesel synth --fill-gaps`: gaps in, one set a class with what closes them, one verdict a gap out."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from activesel.errors import DataError, UsageError
from activesel.pipelines.gap_targets import GapEntry, aim_at, read_gaps
from activesel.pipelines.realset import FileEmbedder
from activesel.pipelines.synthesise import GenerateRequest, Summary, request_in_workspace, synthesise
from activesel.workspace import Workspace, write_json
from synth.labels_file import examples_of, read_labels
from synth.publish import STATE

REPORT = "gaps.json"
MOST_VARIANTS = 500  # asked for at once by a next command
_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class FillRequest:
    """synthesis: count, seed, blends and the like for each class; its ``out`` is the folder of all. label: only this
    class, None = every class with a gap; its set is then ``out`` itself. embed: judge realism by the backbone."""

    synthesis: GenerateRequest
    label: str | None = None
    embed: bool = True

    def folder_of(self, label: str) -> Path:
        """Return where a class's set goes."""
        return self.synthesis.out if self.label is not None else self.synthesis.out / label.replace("/", "_")


@dataclass(frozen=True)
class GapOutcome:
    """What became of one gap. command: what to run next for it, None = it is closed."""

    rank: int
    name: str
    label: str
    kind: str
    outcome: str
    before: float
    after: float
    n_kept: int
    reason: str
    command: str | None


@dataclass(frozen=True)
class Filling:
    """outcomes: one per gap, the most pressing first. sets: one a class that could be made. notes: for the user."""

    folder: Path
    outcomes: tuple[GapOutcome, ...]
    sets: tuple[Summary, ...]
    notes: tuple[str, ...]


def plan_filling(workspace: Workspace, request: FillRequest) -> dict[str, Any]:
    """Say which gaps would be filled, and how many images each lacks; writes nothing.

    Raises:
        DataError: no gaps were found out yet, or they are of other vectors. UsageError: the class has none.
    """
    found = read_gaps(workspace)
    gaps = _choose(found.entries, request)
    return {"folder": str(request.synthesis.out), "most_images_a_class": request.synthesis.count,
            "gaps": [{"rank": one.rank, "name": one.name, "class": one.label, "kind": one.kind,
                      "missing": one.missing, "set": str(request.folder_of(one.label))} for one in gaps],
            "notes": list(found.notes)}  # fmt: skip


def fill(workspace: Workspace, request: FillRequest) -> Filling:
    """Make a set for every class with a gap to synthesise, and say of each gap what became of it.

    Donors and hosts are labelled images that do not test the model. Killed and run again, it goes on.

    Raises:
        DataError: no gaps were found out yet; no class could be made. UsageError: the class has no gap.
    """
    found = read_gaps(workspace)
    gaps = _choose(found.entries, request)
    notes, sets, outcomes, failures = list(found.notes), [], [], []
    embed_files = FileEmbedder(workspace)
    for label in dict.fromkeys(one.label for one in gaps):
        own = [one for one in gaps if one.label == label]
        asked = replace(request.synthesis, label=label, out=request.folder_of(label))
        try:
            wanted = request_in_workspace(workspace, asked, masks=found.masks)
            aim = aim_at(workspace, own, found, embed_files)
            summary = synthesise(wanted, workspace.config, embed=request.embed and wanted.gated, aim=aim)
        except DataError as error:  # of this class's images or labels; the others can be made all the same
            failures.append(error)
            outcomes += [_failed(one, error) for one in own]
            continue
        sets.append(summary)
        notes += _guessed(wanted)
        outcomes += [_tell(workspace, one, verdict, summary, asked)
                     for one, verdict in zip(own, summary.gaps, strict=True)]  # fmt: skip
    if failures and not sets:
        raise failures[0]
    filling = Filling(request.synthesis.out, tuple(sorted(outcomes, key=lambda one: one.rank)), tuple(sets),
                      tuple(notes))  # fmt: skip
    if sets:
        write_json(filling.folder / REPORT, as_json(filling))
    return filling


def as_json(filling: Filling) -> dict[str, Any]:
    """Return the verdicts as JSON values, as they stand in the folder."""
    return {"schema_version": _SCHEMA_VERSION, "notes": list(filling.notes),
            "gaps": [{"rank": one.rank, "name": one.name, "class": one.label, "kind": one.kind, "verdict": one.outcome,
                      "coverage_before": one.before, "coverage_after": one.after, "kept": one.n_kept,
                      "reason": one.reason, "command": one.command} for one in filling.outcomes],
            "sets": [{"class": one.label, "folder": str(one.folder), "images": one.n_kept, "stopped": one.stopped,
                      "refused": list(one.refused)} for one in filling.sets]}  # fmt: skip


def _choose(entries: Sequence[GapEntry], request: FillRequest) -> list[GapEntry]:
    """Return the gaps to fill, all or those of a class."""
    if request.label is None:
        if (request.synthesis.out / STATE).exists():
            raise UsageError("the folder is a set itself, and without --class each class gets a folder in it",
                             where=str(request.synthesis.out), hint="name another --out")  # fmt: skip
        return list(entries)
    own = [one for one in entries if one.label == request.label]
    if not own:
        names = ", ".join(dict.fromkeys(one.label for one in entries)) or "no class has one"
        raise UsageError("no gap of this class is to be synthesised", where=f"--class {request.label}", found=names,
                         hint="`activesel gaps` says what each gap takes")  # fmt: skip
    return own


def _guessed(request: GenerateRequest) -> list[str]:
    """Return a note where nobody says where the defects lie, so that what stands out was taken for them."""
    table = read_labels(request.labels, request.images, group_column=request.group_column)
    own = examples_of(table, request.label)
    if not own or any(one.mask or one.box for one in own):
        return []
    return [f"{request.label}: no mask or box says where its defects are, so what stands out was taken for them; "
            "name them with --labels, or a table under masks: in requirements.yaml"]  # fmt: skip


def _failed(gap: GapEntry, error: DataError) -> GapOutcome:
    return GapOutcome(gap.rank, gap.name, gap.label, gap.kind, "unreachable", gap.share, gap.share, 0, str(error), None)


def _tell(
    workspace: Workspace, gap: GapEntry, verdict: Mapping[str, Any], summary: Summary, asked: GenerateRequest
) -> GapOutcome:
    outcome = str(verdict["outcome"])
    is_vain = outcome == "unreachable" or bool(verdict.get("given_up"))
    command = None if outcome in ("closed", "covered") else _next(workspace, gap, is_vain, summary, asked)
    return GapOutcome(gap.rank, gap.name, gap.label, gap.kind, outcome, verdict["before"], verdict["after"],
                      len(verdict["kept"]), verdict["reason"], command)  # fmt: skip


def _next(workspace: Workspace, gap: GapEntry, is_vain: bool, summary: Summary, asked: GenerateRequest) -> str:
    """Return the command for a gap that is not closed: more variants where some land, else the nearest of the pool."""
    if is_vain:  # however many more: none lands there
        words = ["activesel", "select", "--budget", str(max(1, gap.missing)), "--focus", gap.label]
    else:
        is_short = summary.n_kept >= asked.count
        count = max(gap.missing, 2 * asked.count) if is_short else asked.count
        words = ["activesel", "synth", "--class", gap.label, "--count", str(min(MOST_VARIANTS, count)), "--fill-gaps",
                 "--max-proposals", str(2 * asked.limit), "--out", f"{asked.out}-more"]  # fmt: skip
    here = Path.cwd().resolve()
    inside = workspace.root in (here, *here.parents)
    return shlex.join(words if inside else [*words, "-w", str(workspace.root)])
