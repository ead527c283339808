"""The files of a batch: batch.json (everything), batch.csv (one row per pick), stands_for.csv (who represents whom)."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from activesel import __version__
from activesel.density import score_density
from activesel.errors import UnreachableError
from activesel.ids import join_ids
from activesel.nearest import find_nearest_k, to_distance
from activesel.novelty import score_novelty
from activesel.pipelines.batch_file import SCHEMA_VERSION, BatchFile, PickRecord
from activesel.pipelines.choose import Chosen
from activesel.pipelines.gather import Gathered, SelectRequest
from activesel.pipelines.tables import write_blocks, write_cell, write_csv
from activesel.pipelines.worth import expect_worth
from activesel.records import FloatArray, IntArray
from activesel.uncertainty import score_entropy, score_least_confidence
from activesel.workspace import Workspace, write_atomic, write_json

SCORES = {  # name -> what a high value means
    "uncertainty": "high: the two likeliest classes are close",
    "entropy": "high: the class probabilities are spread out",
    "least_confidence": "high: even the likeliest class is unlikely",
    "disagreement": "high: the samples of the model disagree",
    "novelty": "high: far from every known image",
    "density": "high: typical, many images lie near it",
}
_BLOCK_LINES = 65536  # of stands_for.csv, made at a time
PACKAGES = ("activesel", "numpy", "torch", "timm", "faiss-cpu", "scikit-learn", "opencv-python-headless", "pillow")


def build_batch(
    workspace: Workspace, request: SelectRequest, gathered: Gathered, chosen: Chosen, batch_id: str, key: str
) -> BatchFile:
    """Describe a chosen batch, and what it is expected to bring."""
    config = workspace.config
    # A file name that is no UTF-8 comes from the shell as lone surrogates, which no JSON file can hold.
    command = os.fsencode(request.command).decode("utf8", errors="replace")
    worth, worth_text = expect_worth(workspace, gathered, chosen)
    return BatchFile(
        SCHEMA_VERSION, batch_id, datetime.now(UTC).isoformat(timespec="seconds"), key, config.selection.strategy,
        float(request.budget), config.seed, command, config.model_dump(mode="json"), package_versions(),
        gathered.input_hashes, chosen.picks.notes, len(gathered.images), len(gathered.labelled),
        _records(gathered, chosen, config.scores.neighbours), worth=worth, worth_text=worth_text,
    )  # fmt: skip


def store_batch(
    workspace: Workspace, batch: BatchFile, gathered: Gathered, chosen: Chosen, write_report: Callable[[Path], None]
) -> Path:
    """Write the batch's folder; it appears whole under its name or not at all.

    What a killed run left under that name was never recorded in the catalog and is replaced.
    """
    folder = workspace.batches_dir / batch.batch_id
    draft = workspace.batches_dir / f".{batch.batch_id}.draft"
    for leftover in (folder, *workspace.batches_dir.glob(".*.draft")):
        if leftover.exists():
            shutil.rmtree(leftover)
    try:
        write_json(draft / "batch.json", asdict(batch))
        write_atomic(draft / "batch.csv", _as_csv(batch))
        write_blocks(draft / "stands_for.csv", stands_for_lines(gathered, chosen))
        write_report(draft)
        _publish(draft, folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)  # a full disk needs the room
        raise
    return folder


def _publish(draft: Path, folder: Path) -> None:
    try:
        draft.rename(folder)
    except OSError as error:
        raise UnreachableError("cannot write", where=str(folder), found=error.strerror or str(error)) from None


def pool_scores(chosen: Chosen, k: int, rows: IntArray | None = None) -> dict[str, FloatArray]:
    """Return every score that the pool has, for ``rows`` (all where None): name -> (r,) 0..1.

    novelty is to the labelled images, and at a cold start to the pool's own nearest neighbours.
    """
    pool = chosen.pool
    at = np.arange(pool.n) if rows is None else rows
    scores: dict[str, FloatArray] = {}
    if pool.uncertainty is not None:
        scores["uncertainty"] = pool.uncertainty[at]
    if pool.probs is not None:
        scores["entropy"] = score_entropy(pool.probs[at])
        scores["least_confidence"] = score_least_confidence(pool.probs[at])
    if pool.mutual_information is not None:
        scores["disagreement"] = pool.mutual_information[at]
    if len(pool.labelled):
        scores["novelty"] = score_novelty(find_nearest_k(pool.vectors, at, pool.labelled, k))
    elif pool.graph is not None:
        scores["novelty"] = score_novelty(pool.graph.similarity[at, :k])
    if pool.graph is not None:
        scores["density"] = score_density(pool.graph)[at]
    return scores


def package_versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}


def _version(name: str) -> str:
    from importlib.metadata import PackageNotFoundError

    try:
        return version(name)
    except PackageNotFoundError:
        return __version__ if name == "activesel" else "absent"


def _records(gathered: Gathered, chosen: Chosen, k: int) -> tuple[PickRecord, ...]:
    picks, pool = chosen.picks, chosen.pool
    assert picks.stands_for is not None
    assert picks.propensity is not None
    scores = pool_scores(chosen, k, picks.rows)
    counts = np.bincount(picks.stands_for[picks.stands_for >= 0], minlength=len(picks.rows))
    best = None if pool.probs is None else pool.probs[picks.rows].argmax(axis=1)
    names = gathered.class_names
    records = []
    images = gathered.images.take(picks.rows)
    for i, (row, image) in enumerate(zip(picks.rows, images, strict=True)):
        predicted = None if best is None else (names[best[i]] if names else f"class {best[i]}")
        probability = None if best is None or pool.probs is None else round(float(pool.probs[row, best[i]]), 6)
        chance = picks.propensity[i]
        records.append(PickRecord(
            i + 1, image.image_id, image.path, chosen.kinds[i], picks.reasons[i], predicted, probability,
            round(float(picks.gain[i]), 6) if np.isfinite(picks.gain[i]) else 0.0,
            None if np.isnan(chance) else float(chance),
            {name: round(float(values[i]), 6) for name, values in scores.items()}, int(counts[i]),
            None if chosen.groups is None else int(chosen.groups[row]), dict(image.meta),
        ))  # fmt: skip
    return tuple(records)


def _as_csv(batch: BatchFile) -> str:
    """The picks as a table; metadata columns that share a name with ours get "meta_" in front."""
    meta = sorted({column for pick in batch.picks for column in pick.meta})
    flat = [f.name for f in fields(PickRecord) if f.name not in ("scores", "meta")]
    scores = [name for name in SCORES if any(name in pick.scores for pick in batch.picks)]
    lines: list[list[object]] = [[*flat, *scores, *_rename(meta, {*flat, *SCORES})]]
    for pick in batch.picks:
        values = [getattr(pick, name) for name in flat]
        values += [pick.scores.get(name) for name in scores]
        lines.append(values + [pick.meta.get(column) for column in meta])
    return write_csv(lines)


def _rename(columns: list[str], taken: set[str]) -> list[str]:
    names: list[str] = []
    for column in columns:
        while column in taken:
            column = f"meta_{column}"
        taken.add(column)
        names.append(column)
    return names


def stands_for_lines(gathered: Gathered, chosen: Chosen) -> Iterator[bytes]:
    """Yield the lines of stands_for.csv, many at a time: each pool image that a pick represents.

    That is: the pick's rank and id, the image's id and path, and the distance between them, 0..2; by rank, then by id.
    """
    yield b"rank,pick_image_id,image_id,path,distance\n"
    picks, images = chosen.picks, gathered.images
    assert picks.stands_for is not None
    rows = np.flatnonzero(picks.stands_for >= 0)
    rows = rows[np.argsort(picks.stands_for[rows], kind="stable")]
    heads = [f"{rank},{image_id},".encode() for rank, image_id in enumerate(images.names(picks.rows), start=1)]
    for start in range(0, len(rows), _BLOCK_LINES):
        block = rows[start : start + _BLOCK_LINES]
        cells = _path_cells(images.paths.take(block))
        distance = [b"%.4f" % far for far in to_distance(chosen.nearest_known[block]).tolist()]
        names = join_ids(images.ids[block]).encode().split(b"\n")
        ranks = picks.stands_for[block].tolist()
        yield b"".join([
            heads[rank] + name + b"," + path + b"," + far + b"\n"
            for rank, name, path, far in zip(ranks, names, cells, distance, strict=True)
        ])  # fmt: skip


def _path_cells(paths: list[bytes]) -> list[bytes]:
    """Return paths as cells of a table; a look at all of them at once tells whether any needs care."""
    together = b"\n" + b"\n".join(paths)
    all_absolute = together.count(b"\n/") == together.count(b"\n") == len(paths)  # so none is a formula or two lines
    if all_absolute and not any(sign in together for sign in (b'"', b",", b"\r")):
        return paths
    return [write_cell(path.decode()).encode() for path in paths]
