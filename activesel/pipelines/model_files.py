"""Where models lie: a folder each under .activesel/models, which appears whole and never changes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from activesel.catalog import Catalog
from activesel.errors import DataError, UnreachableError
from activesel.models import CARD, Alias, ModelCard
from activesel.trainers.folder import card_to_json, hash_files
from activesel.workspace import Workspace, write_json


def models_folder(workspace: Workspace) -> Path:
    return workspace.state / "models"


def find_model(workspace: Workspace, name: str | None) -> str:
    """Return the model that an alias stands for, or whose id begins so, or the newest.

    Raises:
        DataError: there is none, or several begin so.
    """
    with Catalog.open(workspace.catalog_place) as catalog:
        known, aliases = [card.model_id for card in catalog.models.cards()], catalog.models.aliases()
    if not known:
        raise DataError("there is no model yet", where=str(workspace.root), hint="run `activesel train`")
    if name is None:
        return known[-1]
    if name in list(Alias):
        if Alias(name) not in aliases:
            raise DataError(f"no model is {name}", where=str(workspace.root),
                            expected="one of " + ", ".join(known[-5:]))  # fmt: skip
        return aliases[Alias(name)]
    found = [model_id for model_id in known if model_id.startswith(name)]
    if len(found) != 1:
        raise DataError("several models begin so" if found else "no model has this id", where=str(workspace.root),
                        found=repr(name), expected="one of " + ", ".join(known[-5:]))  # fmt: skip
    return found[0]


def scratch_of(workspace: Workspace, model_id: str) -> Path:
    """Return where a training leaves what a later run of it goes on from; it is gone once the model is there."""
    return models_folder(workspace) / f".{model_id}.work"


def clear_scratch(workspace: Workspace) -> None:
    """Remove what trainings left behind that came to their end, but were killed before they had tidied up."""
    for left in models_folder(workspace).glob(".*.work"):
        if (models_folder(workspace) / left.name[1:].removesuffix(".work")).exists():
            shutil.rmtree(left)


def publish_model(workspace: Workspace, model_id: str, write: Callable[[Path], ModelCard]) -> ModelCard:
    """Write a model's folder, whole or not at all, in place of the one that is there, if any; return its card.

    write: puts the files into a folder and returns the card, whose ``files`` are filled in here.

    Raises:
        UnreachableError: the disk is full.
    """
    root = models_folder(workspace)
    folder, draft = root / model_id, root / f".{model_id}.draft"
    for leftover in [*root.glob(".*.draft"), *root.glob(".*.old")]:
        shutil.rmtree(leftover)
    try:
        draft.mkdir(parents=True)
        card = write(draft)
        card = replace(card, files=hash_files(draft))
        write_json(draft / CARD, card_to_json(card))
        if folder.exists():
            folder.rename(root / f".{model_id}.old")
        draft.rename(folder)
    except OSError as error:
        raise UnreachableError("cannot write", where=str(folder), found=error.strerror or str(error)) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(root / f".{model_id}.old", ignore_errors=True)
    shutil.rmtree(scratch_of(workspace, model_id), ignore_errors=True)
    return card
