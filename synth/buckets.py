"""The few sizes that patches are padded to, so that unequal ones share a batch and bits depend on nothing else."""

from __future__ import annotations

SIZES = (*range(24, 128, 8), 128, 160, 192, 256, 384)  # fine ones: a solve costs the third power of its side
STEP = 128  # beyond the largest size


def bucket(length: int) -> int:
    """Return the smallest size that holds ``length`` pixels.

    >>> bucket(65), bucket(96), bucket(400)
    (72, 96, 512)
    """
    return next((size for size in SIZES if size >= length), -(-length // STEP) * STEP)
