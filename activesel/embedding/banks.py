"""The bank: what patches of this pool usually look like, kept as a safetensors file and named by its content."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activesel.errors import DataError

BANK_IMAGES = 256
BANK_PATCHES = 2048
_MOST_KEPT = 1 / 16  # of a small sample's patches: with half of them, a defect finds itself in the bank
_NAMES = ("patches", "mean", "deviation", "usual", "spread")
_STEADY = 8  # a place seen in fewer images than this takes most of its usual distance from the others
_MAX_BYTES = 1 << 28
_BLOCK_ROWS = 4096

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Bank:
    """patches: (s, c), standardised. mean, deviation: (c,) of the raw patches. usual: (m,) the mean distance, place by
    place in an image, from a patch that is not in the bank to its nearest in the bank: a rim is odder than the middle.
    spread: (1,) the standard deviation of such distances from it.
    """

    patches: Floats
    mean: Floats
    deviation: Floats
    usual: Floats
    spread: Floats


def fit_bank(raw: Floats, rng: np.random.Generator, *, size: int = BANK_PATCHES) -> Bank:
    """Keep at most ``size`` of the raw patches (n, m, c), at random and not by a coreset, and learn what is usual.

    A coreset keeps the oddest patches first: of a pool with defects in it, the defects, which then look usual.

    Raises:
        DataError: fewer than two patches, or values that are not finite.
    """
    standard, mean, deviation = standardise(raw)
    size = min(size, math.ceil(len(standard) * _MOST_KEPT))
    return bank_of(standard, rng.permutation(len(standard)), size, raw.shape[1], mean, deviation)


def standardise(raw: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the patches (n * m, c) of raw ones (n, m, c), each channel at mean 0 and variance 1 / c; mean, deviation.

    Raises:
        DataError: as fit_bank.
    """
    channels = raw.shape[-1]
    raw = np.asarray(raw, np.float32).reshape(-1, channels)
    if len(raw) < 2 or not np.isfinite(raw).all():
        raise DataError("no bank of patches can be made", found=f"{len(raw)} patches of the pool's images",
                        expected="two or more, all finite")  # fmt: skip
    mean, deviation = raw.mean(axis=0), raw.std(axis=0) + np.float32(1e-6)
    return ((raw - mean) / deviation / np.sqrt(np.float32(channels))).astype(np.float32), mean, deviation


def bank_of(
    standard: Floats, order: npt.NDArray[np.int64], size: int, places: int, mean: Floats, deviation: Floats
) -> Bank:
    """Return the bank of the first ``size`` patches in ``order``; the others, of which is one, tell what is usual."""
    kept, others = standard[order[:size]], order[size:]
    distances, place = nearest_distance(standard[others], kept), others % places
    seen = np.bincount(place, minlength=places)
    usual = (np.bincount(place, distances, places) + _STEADY * distances.mean()) / (seen + _STEADY)
    spread = np.array([(distances - usual[place]).std() + 1e-6], np.float32)
    return Bank(kept, mean, deviation, usual.astype(np.float32), spread)


def nearest_distance(patches: Floats, bank: Floats) -> Floats:
    """Return (p,) Euclidean distances from patches (p, c) to their nearest of the bank (m, c)."""
    half_squares = 0.5 * (bank**2).sum(axis=1)
    blocks = [patches[start : start + _BLOCK_ROWS] for start in range(0, len(patches), _BLOCK_ROWS)]
    halves = np.concatenate([(half_squares - block @ bank.T).min(axis=1) for block in blocks])
    return np.asarray(np.sqrt(np.maximum((patches**2).sum(axis=1) + 2 * halves, 0)), np.float32)


def bank_bytes(bank: Bank) -> bytes:
    """Return the file's content."""
    from safetensors.numpy import save

    return bytes(save({name: np.ascontiguousarray(getattr(bank, name)) for name in _NAMES}))


def bank_digest(path: Path) -> str | None:
    """Return what names the bank in this file, 64 hex digits; None where there is no file yet.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _damaged(path, error) from None


def read_bank(path: Path) -> Bank:
    """Read what ``bank_bytes`` made; nothing in the file is run.

    Raises:
        DataError: absent, damaged, or of shapes that do not fit.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"{path.stat().st_size} bytes")
        tensors = load(path.read_bytes())
        bank = Bank(*(np.asarray(tensors[name], np.float32) for name in _NAMES))
        channels = bank.patches.shape[-1]
        shapes = (bank.patches.ndim, bank.mean.shape, bank.deviation.shape, bank.usual.ndim, bank.spread.shape)
        if shapes != (2, (channels,), (channels,), 1, (1,)) or not len(bank.patches):
            raise ValueError(f"shapes {[getattr(bank, name).shape for name in _NAMES]}")
        if not all(np.isfinite(getattr(bank, name)).all() for name in _NAMES):
            raise ValueError("values that are not finite")
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise _damaged(path, error) from None
    return bank


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError("cannot read the bank of patches", where=str(path), found=" ".join(str(error).split())[:120],
                     hint="delete it and run `activesel embed`: every image is then embedded again")  # fmt: skip
