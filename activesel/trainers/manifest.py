"""What a training script is told: manifest.json and images.jsonl. Contract: docs/trainers.md."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from activesel.dataset import Example
from activesel.trainers.registry import Asked, Work
from activesel.workspace import write_atomic, write_json

SCHEMA_VERSION = 1
MANIFEST, IMAGES, HIDDEN = "manifest.json", "images.jsonl", "unlabelled"
POOL = "pool"


def write_manifest(work: Work, out: Path) -> Path:
    """Write both files into the scratch folder and return the manifest's path.

    Images that are not to be learned from have no label, no mask and a path under a neutral name: folders are often
    named after classes.
    """
    hidden = work.scratch / HIDDEN
    shutil.rmtree(hidden, ignore_errors=True)
    hidden.mkdir(parents=True)
    asked = {one.image_id for one in work.asked}
    rows = [_known(one, split, work, asked) for split, some in (("train", work.train), ("validation", work.validation))
            for one in some]  # fmt: skip
    rows += [_unknown(one, hidden) for one in work.asked if one.split not in ("train", "validation")]
    write_atomic(work.scratch / IMAGES, "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))
    write_json(work.scratch / MANIFEST, {
        "schema_version": SCHEMA_VERSION, "classes": list(work.classes), "good": work.good, "seed": work.seed,
        "out": str(out), "images": str(work.scratch / IMAGES), "n_images": len(rows), "device": work.device,
    })  # fmt: skip
    return work.scratch / MANIFEST


def _known(one: Example, split: str, work: Work, asked: set[str]) -> dict[str, Any]:
    return {
        "image_id": one.image_id, "path": one.path, "label": one.label, "weight": one.weight, "mask": one.mask,
        "shapes": json.loads(work.shapes.get(one.shapes, "[]")), "split": split, "origin": one.origin.value,
        "predict": one.image_id in asked,
    }  # fmt: skip


def _unknown(one: Asked, hidden: Path) -> dict[str, Any]:
    link = hidden / f"{one.image_id}{Path(one.path).suffix.lower()}"
    link.symlink_to(Path(one.path).absolute())
    return {"image_id": one.image_id, "path": str(link), "label": None, "weight": None, "mask": "", "shapes": [],
            "split": one.split or POOL, "origin": None, "predict": True}  # fmt: skip
