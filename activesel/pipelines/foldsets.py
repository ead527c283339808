"""What one side of a fold may train on beside its real images: variants made from it alone, and augmented copies."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from activesel.augment import augment
from activesel.config import Config
from activesel.pipelines.realset import FileEmbedder, RealSet, write_side
from activesel.pipelines.synthesise import EmbedPictures, reader, translate
from activesel.records import IntArray
from activesel.seeds import derive_seed
from activesel.training.mixture import Made
from synth.files import encode_image, write_atomic
from synth.generate import generate, request_to_json
from synth.publish import RECORDS
from synth.record import read_lines, versions
from synth.records import Embedder
from synth.stocking import GenerateRequest

MOST_COPIES = 20  # augmented copies of one image


@dataclass(frozen=True)
class Workroom:
    """Where a proof keeps its variants, copies and vectors. embeds: whether the rules that compare vectors are on."""

    folder: Path
    config: Config
    embed_files: FileEmbedder
    embeds: bool = True


def make_variants(room: Workroom, real: RealSet, rows: IntArray, request: GenerateRequest) -> Made:
    """Return variants from ``rows`` of the real images alone: donors, hosts, prior and limits. Kept for a rerun.

    Raises:
        DataError: what SynthError says, a side without a defect that can be cut out.
    """
    labels = _side_file(room, real, rows)
    asked = replace(request, labels=labels, images=None, group_column="group", formats=())
    key = json.dumps([{k: v for k, v in request_to_json(asked).items() if k not in ("out", "workers")}, room.embeds,
                      versions()], sort_keys=True)  # fmt: skip
    folder = room.folder / f"set-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    embedder: Embedder | None = EmbedPictures(room.config) if room.embeds and request.gated else None
    with translate():
        generate(replace(asked, out=folder), reader(room.config), embedder)
        records = read_lines(folder / RECORDS)
    vectors = room.embed_files([folder / record["image"] for record in records], folder)
    sources = [[int(record["group"]), int(record["host"]["group"])] for record in records]
    row_of = {path: row for row, path in enumerate(real.paths)}
    hosts = np.array([row_of[record["host"]["path"]] for record in records], np.int64)
    return Made(vectors, real.number_of(request.label), np.array(sources, np.int64).reshape(-1, 2),
                real.labelled.vectors[hosts], real.labelled.classes[hosts])  # fmt: skip


def make_copies(room: Workroom, real: RealSet, rows: IntArray, label: str, n: int, seed: int) -> Made:
    """Return about ``n`` augmented copies of the real images of the class among ``rows``, evenly of each."""
    number = real.number_of(label)
    own = [row for row in rows if real.labelled.classes[row] == number]
    n_each = int(np.clip(-(-n // max(1, len(own))), 1, MOST_COPIES))
    read = reader(room.config)
    paths: list[Path] = []
    for row in own:
        source = Path(real.paths[row])
        suffix = ".jpg" if source.suffix.lower() in (".jpg", ".jpeg") else ".png"
        name = hashlib.sha256(f"{source}\n{seed}".encode()).hexdigest()[:16]
        wanted = [room.folder / "copies" / f"{name}-{copy}{suffix}" for copy in range(n_each)]
        with translate():
            picture = None if all(path.exists() for path in wanted) else read(source)
            for copy, path in enumerate(wanted):
                if picture is not None:
                    changed = augment(picture, derive_seed(seed, "copy", copy, source.name))
                    write_atomic(path, encode_image(changed, suffix))
        paths += wanted
    key = hashlib.sha256("\n".join(map(str, paths)).encode()).hexdigest()[:16]
    vectors = room.embed_files(paths, room.folder / "copies" / key)
    return Made(vectors, number, np.repeat(real.labelled.groups[own], n_each)[:, None])


def _side_file(room: Workroom, real: RealSet, rows: IntArray) -> Path:
    """Write the side's label file, named by what is in it."""
    text = "\n".join(f"{real.paths[row]} {real.labelled.groups[row]}" for row in sorted(rows))
    path = room.folder / f"labels-{hashlib.sha256((real.table.source + text).encode()).hexdigest()[:16]}.csv"
    write_side(path, real, rows)
    return path
