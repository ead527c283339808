"""Vectors on disk: shards that appear whole or not at all, read by memory map. What they mean is not known here."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from activesel.embedding.shards import NOVELTY_COLUMNS, Shard, open_shard, shard_bytes
from activesel.errors import DataError
from activesel.ids import ID_BYTES, IdArray, find_ids, pack_ids, sort_ids, unpack_ids
from activesel.workspace import write_atomic, write_json

_LOG = logging.getLogger(__name__)
_SCHEMA_VERSION = 1
_ABOUT = "store.json"
_BLOCK_ROWS = 8192  # rows normalised at a time: tens of megabytes

Half = npt.NDArray[np.float16]


class _Index(NamedTuple):
    """Where each image's vector is. ids: (n, 16), ascending. rows: (n,) counted over all shards."""

    ids: IdArray
    rows: npt.NDArray[np.int64]


class VectorStore:
    """The vectors of one backbone, by image id.

    folder/store.json              {"schema_version": 1, "key": ..., "dim": d}
    folder/shard-000000.safetensors  tensors "vectors" (r, d) float16, "ids" (r, 16) uint8, the id's bytes,
                                     and of defect-aware vectors "novelty" (r, 5) float32

    One writer at a time (the workspace's lock sees to it), any number of readers. An id's first shard counts.
    """

    def __init__(self, folder: Path, key: str) -> None:
        """Open the store, which need not exist yet.

        Raises:
            DataError: the folder is another backbone's, or its store.json is damaged.
        """
        self.folder = folder
        self.key = key
        self._dim = self._read_dim()
        self._shards, self._damaged = self._open_shards()
        self._index: _Index | None = None

    @property
    def dim(self) -> int | None:
        """d, or None while the store is empty."""
        return self._dim

    def __len__(self) -> int:
        return len(self._indexed().ids)

    def known_ids(self) -> set[str]:
        """Return every id that has a vector."""
        return set(unpack_ids(self._indexed().ids))

    def missing(self, ids: Sequence[str] | IdArray) -> npt.NDArray[np.int64]:
        """Return the positions in ``ids``, as text or as bytes, that have no vector yet, ascending."""
        return np.flatnonzero(self._find(ids) < 0)

    def mend(self) -> tuple[str, ...]:
        """Remove what killed runs left and set damaged shards aside, whose images then count as missing; writers only.

        Returns the names of the shards set aside, which are kept as NAME.damaged.
        """
        for leftover in [*self.folder.glob(".shard-*"), *self.folder.glob(f".{_ABOUT}.*")]:
            leftover.unlink(missing_ok=True)
        damaged, self._damaged = self._damaged, ()
        for path in damaged:
            os.replace(path, path.with_name(path.name + ".damaged"))  # noqa: PTH105
        return tuple(path.name for path in damaged)

    def append(self, ids: Sequence[str], vectors: Half, novelty: npt.NDArray[np.float32] | None = None) -> None:
        """Add one shard: it is there whole when this returns, and not at all if the process dies before.

        ids: r strings of 32 hex digits. vectors: (r, d) float16. novelty: (r, 5) score and box, or none.

        Raises:
            DataError: the vectors have another d than the store's. UnreachableError: the disk is full.
        """
        if not len(ids):
            return
        assert vectors.shape[0] == len(ids), f"{len(ids)} ids for vectors {vectors.shape}"
        self._agree_on_dim(int(vectors.shape[1]))
        path = self.folder / f"shard-{self._next_number():06d}.safetensors"
        write_atomic(path, shard_bytes(pack_ids(ids), vectors, novelty))
        self._shards = (*self._shards, open_shard(path))
        self._index = None  # made when it is asked for, not for every shard of a long run

    def load(self, ids: Sequence[str] | IdArray, *, normalise: bool = True) -> Half:
        """Return (n, d) float16 in the order of ``ids``; unit rows unless ``normalise`` is off.

        Memory: the result and one shard's rows. A row of zeros stays zeros.

        Raises:
            DataError: an id without a vector.
        """
        out = np.empty((len(ids), self._dim or 0), np.float16)
        for positions, rows in self.load_parts(ids):
            out[positions] = rows
        if normalise:
            _normalise(out)
        return out

    def load_parts(self, ids: Sequence[str] | IdArray) -> Iterator[tuple[npt.NDArray[np.int64], Half]]:
        """Yield (positions in ``ids``, their rows as stored), shard by shard: each is read once, in one go.

        Raises:
            DataError: an id without a vector.
        """
        where = self._find(ids)
        n_missing = int((where < 0).sum())
        if n_missing:
            raise DataError(f"{n_missing} of {len(ids)} images have no vector", where=str(self.folder),
                            hint="run `activesel embed`")  # fmt: skip
        for shard, rows, positions in self._by_shard(where):
            yield positions, shard.vectors()[rows]

    def load_novelty(self, ids: Sequence[str] | IdArray) -> npt.NDArray[np.float32]:
        """Return (n, 5): score and box (x0, y0, x1, y1 as shares of width and height); NaN where there is none."""
        where = self._find(ids)
        out = np.full((len(ids), NOVELTY_COLUMNS), np.nan, np.float32)
        for shard, rows, positions in self._by_shard(where):
            if shard.novelty is not None:
                out[positions] = shard.novelty[rows]
        return out

    def _by_shard(self, where: npt.NDArray[np.int64]) -> Iterator[tuple[Shard, Any, Any]]:
        """Yield each shard with its rows wanted, ascending, and their positions in the result."""
        order = np.argsort(where, kind="stable")
        first_rows = np.cumsum([0, *(len(shard.ids) for shard in self._shards)])
        bounds = np.searchsorted(where[order], first_rows)
        for number, shard in enumerate(self._shards):
            positions = order[bounds[number] : bounds[number + 1]]
            if len(positions):
                yield shard, where[positions] - first_rows[number], positions

    def _find(self, ids: Sequence[str] | IdArray) -> npt.NDArray[np.int64]:
        """Return for each id its row counted over all shards, -1 where it has none."""
        index = self._indexed()
        at = find_ids(index.ids, ids if isinstance(ids, np.ndarray) else pack_ids(ids))
        return np.where(at >= 0, np.append(index.rows, -1)[at], -1)

    def _indexed(self) -> _Index:
        if self._index is None:
            ids = np.concatenate([np.empty((0, ID_BYTES), np.uint8), *(shard.ids for shard in self._shards)])
            order = sort_ids(ids)
            ordered = ids[order]
            is_first = np.ones(len(ids), bool)
            is_first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
            self._index = _Index(ordered[is_first], order[is_first])
        return self._index

    def _read_dim(self) -> int | None:
        path = self.folder / _ABOUT
        try:
            about = json.loads(path.read_text(encoding="utf8"))
            version, key, dim = int(about["schema_version"]), str(about["key"]), int(about["dim"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise DataError("damaged store of vectors", where=str(path), found=f"{type(error).__name__}: {error}",
                            hint=f"delete {self.folder} and run `activesel embed`") from None  # fmt: skip
        if version != _SCHEMA_VERSION or key != self.key:
            raise DataError("vectors of another version or backbone", where=str(path),
                            found=f"version {version}, {key}", expected=f"version {_SCHEMA_VERSION}, {self.key}",
                            hint=f"move {self.folder} away and run `activesel embed`")  # fmt: skip
        return dim

    def _open_shards(self) -> tuple[tuple[Shard, ...], tuple[Path, ...]]:
        shards, damaged = [], []
        for path in sorted(self.folder.glob("shard-*.safetensors")):
            try:
                shard = open_shard(path)
            except DataError as error:
                _LOG.warning("%s; its images count as not embedded", error)
                damaged.append(path)
                continue
            if self._dim is None:
                self._dim = shard.dim  # store.json was lost; the shards know
            if shard.dim == self._dim:
                shards.append(shard)
            else:
                _LOG.warning("%s: %d dimensions, expected %d; its images count as not embedded",
                             path, shard.dim, self._dim)  # fmt: skip
                damaged.append(path)
        return tuple(shards), tuple(damaged)

    def _agree_on_dim(self, dim: int) -> None:
        if self._dim is not None and dim != self._dim:
            raise DataError("vectors of another width", where=str(self.folder), found=str(dim), expected=str(self._dim))
        if not (self.folder / _ABOUT).exists():
            write_json(self.folder / _ABOUT, {"schema_version": _SCHEMA_VERSION, "key": self.key, "dim": dim})
        self._dim = dim

    def _next_number(self) -> int:
        taken = [int(path.name[6:12]) for path in self.folder.glob("shard-[0-9][0-9][0-9][0-9][0-9][0-9].*")]
        return max(taken, default=-1) + 1


def _normalise(vectors: Half) -> None:
    for start in range(0, len(vectors), _BLOCK_ROWS):
        block = vectors[start : start + _BLOCK_ROWS].astype(np.float32)
        norms = np.linalg.norm(block, axis=1, keepdims=True)
        vectors[start : start + _BLOCK_ROWS] = block / np.where(norms > 0, norms, 1)
