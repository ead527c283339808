"""The steps that turn labels into something to train on: a version of the data, and variants where they are proved."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from activesel.errors import DataError
from activesel.pipelines.dataset import BuildRequest, Built, build_dataset
from activesel.pipelines.fill import FillRequest, fill
from activesel.pipelines.gap_files import gaps_folder, write_gaps
from activesel.pipelines.gap_targets import read_gaps
from activesel.pipelines.gaps import REQUIREMENTS_NAME, GapsRequest, survey_gaps
from activesel.pipelines.prove import FOLD_COUNT, ProveRequest, prove, request_of_set
from activesel.pipelines.synthesise import GenerateRequest
from activesel.rounds.engine import Outcome, Room
from activesel.rounds.record import folder_of, read_rounds


def freeze_data(room: Room) -> Outcome:
    """Build the version of what counts, with the sets that earlier rounds have proved."""
    built = build_dataset(room.workspace, BuildRequest(include=_proved_before(room)))
    return Outcome(_describe(built), f"version {built.version}: {built.n_images} images")


def make_variants(room: Room) -> Outcome:
    """Fill gaps with variants, prove each class's, and build the version anew with what is proved.

    Takes the workspace's lock by itself, part by part, as `synth` does.
    """
    workspace = room.workspace
    if not room.settings["synthesis"]:
        return Outcome(message="rounds.synthesis is off", skipped=True)
    if not (workspace.root / REQUIREMENTS_NAME).exists():
        return Outcome(message=f"no {REQUIREMENTS_NAME} says what is wanted", skipped=True)
    with workspace.lock("round run, gaps"):
        survey = survey_gaps(workspace, GapsRequest())
        gaps = write_gaps(workspace, survey, gaps_folder(workspace))["gaps"]
    verdicts, promoted = _fill_and_prove(room) if read_gaps(workspace).entries else ({}, [])
    found: dict[str, Any] = {"n_gaps": len(gaps), "verdicts": verdicts, "promoted": [str(one) for one in promoted]}
    if not promoted:
        return Outcome(found, f"{len(gaps)} gaps; no variants are proved to help")
    with workspace.lock("round run, dataset"):
        built = build_dataset(workspace, BuildRequest(include=(*_proved_before(room), *promoted)))
    return Outcome(found | _describe(built), f"variants of {', '.join(one.name for one in promoted)} are trained on")


def version_of(room: Room) -> str:
    """Return the version that the round trains on."""
    return str(room.round.result("synthesise").get("version") or room.round.result("dataset")["version"])


def _fill_and_prove(room: Room) -> tuple[dict[str, str], list[Path]]:
    """Return class -> verdict, and the folders of the sets that are proved."""
    out = folder_of(room.workspace, room.round.number) / "sets"
    request = GenerateRequest(Path(), "", out, count=int(room.settings["synthesis_count"]), workers=_cores(),
                              seed=room.workspace.config.seed)  # fmt: skip
    verdicts: dict[str, str] = {}
    promoted = []
    try:
        filling = fill(room.workspace, FillRequest(request))
    except DataError as error:
        return {"all": str(error)}, []
    for made in filling.sets:
        asked = request_of_set(made.folder)
        if asked is None or not made.n_kept or made.refused:
            verdicts[made.label] = "; ".join(made.refused) or "no variant was kept"
            continue
        proof = prove(ProveRequest(asked, fold_count=min(FOLD_COUNT, request.count)), room.workspace)
        verdicts[made.label] = f"{proof.worth.outcome}: {proof.worth.reason}"
        promoted += [made.folder] if proof.worth.is_promoted else []
    return verdicts, promoted


def _proved_before(room: Room) -> tuple[Path, ...]:
    earlier = [one for one in read_rounds(room.workspace) if one.number < room.round.number]
    return tuple(Path(folder) for one in earlier for folder in one.result("synthesise").get("promoted", ()))


def _describe(built: Built) -> dict[str, Any]:
    return {"version": built.version, "n_images": built.n_images,
            "counts": {side: dict(counts) for side, counts in built.counts.items()}}  # fmt: skip


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
