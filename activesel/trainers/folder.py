"""A model's folder: its card, its files held against their hashes, and the predictor in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from activesel.errors import DataError
from activesel.models import CARD, ModelCard, Predictor
from activesel.trainers.registry import find_trainer

SCHEMA_VERSION = 1
CHECKPOINT = "checkpoint.safetensors"
MAX_CARD_BYTES = 1 << 20
_HINT = "delete the folder and run `activesel train` again"


def card_to_json(card: ModelCard) -> dict[str, Any]:
    """Return what model.json holds."""
    return {"schema_version": SCHEMA_VERSION, **asdict(card)}


def hash_files(folder: Path) -> dict[str, str]:
    """Return name -> SHA-256 of every file of a model but its card."""
    return {path.name: digest_of(path) for path in sorted(folder.iterdir()) if path.is_file() and path.name != CARD}


def read_card(folder: Path) -> ModelCard:
    """Return a model's card.

    Raises:
        DataError: there is none, or it is damaged or of another activesel.
    """
    path = folder / CARD
    try:
        if path.stat().st_size > MAX_CARD_BYTES:
            raise ValueError(f"{path.stat().st_size} bytes")
        fields = json.loads(path.read_bytes())
        version = fields.pop("schema_version", None)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise DataError("not the card of a model", where=str(path), found=str(error)[:120], hint=_HINT) from None
    if version != SCHEMA_VERSION:
        raise DataError("a model of another activesel", where=str(path), found=str(version),
                        expected=str(SCHEMA_VERSION))  # fmt: skip
    try:
        return TypeAdapter(ModelCard).validate_python(fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError("not the card of a model", where=str(path), found=f"{first['loc']}: {first['msg']}",
                        hint=_HINT) from None  # fmt: skip


def check_files(folder: Path, files: Mapping[str, str]) -> None:
    """Hold each file that a card names against its hash.

    Raises:
        DataError: one is gone, is another one, or is named with a path.
    """
    for name, digest in files.items():
        path = folder / name
        if Path(name).name != name or name.startswith("."):
            raise DataError("the card names a file outside of its folder", where=str(folder / CARD), found=repr(name))
        if not path.is_file() or digest_of(path) != digest:
            what = "was changed after the model was made" if path.is_file() else "is gone"
            raise DataError(f"a file of this model {what}", where=str(path), hint=_HINT)


def load_predictor(folder: Path, device: str = "cpu") -> Predictor:
    """Return the model in a folder, ready to answer on a device; its files are hashed first, nothing in them is run.

    ``.network`` of the predictor is a torch module (b, 3, s, s) float32, values 0..255 -> (b, c) probabilities.

    Raises:
        DataError: a file that is not what the card says. UsageError: an unknown trainer, or one whose models do not
            answer here.
    """
    card = read_card(folder)
    check_files(folder, card.files)
    return find_trainer(card.trainer).load(folder, card, device)


def digest_of(path: Path) -> str:
    """Return a file's SHA-256, hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
