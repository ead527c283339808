"""From what a defect-aware network says of an image's tiles to one vector and where it is odd; arrays only."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.embedding.novelty_map import Novelty, describe_novelty, merge_maps
from activesel.embedding.tiles import Tile

# Of a vector's squared length: pooled features, peaks, odd patches; measured in docs/embedding.md.
SHARES = (0.45, 0.45, 0.10)

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ReadOut:
    """How the columns of `patches.DefectAware` lie: dim pooled features, depth peaks, channels of the odd patches, the
    logarithm of their weights' sum, and a grid of rows x columns distances.
    """

    dim: int
    depth: int
    channels: int
    rows: int
    columns: int

    @property
    def vector_dim(self) -> int:
        return self.dim + self.depth + self.channels

    @property
    def width(self) -> int:
        return self.vector_dim + 1 + self.rows * self.columns

    def read(self, slots: Floats, tiles: tuple[Tile, ...]) -> tuple[Floats, Novelty]:
        """Return the vector (vector_dim,) and the novelty of one image from its tiles' rows (t, width).

        The pooled features are those of the whole image, which is first; the peaks those of any tile. Odd patches are
        looked for in the tiles where there are some: the bank has their scale.
        """
        peaks_at, odd_at, end = self.dim, self.dim + self.depth, self.vector_dim
        near = slots[len(tiles) > 1 :]
        weights = np.exp(near[:, end] - near[:, end].max())
        odd = (weights / weights.sum()) @ near[:, odd_at:end]
        blocks = (slots[0, :peaks_at], slots[:, peaks_at:odd_at].max(axis=0), odd)
        parts = [_unit(block) * np.sqrt(share) for block, share in zip(blocks, SHARES, strict=True)]
        return np.concatenate(parts).astype(np.float32), describe_novelty(self.map_of(slots, tiles))

    def map_of(self, slots: Floats, tiles: tuple[Tile, ...]) -> Floats:
        """Return the map (h, w) of one image: patch distances in usual deviations from the usual."""
        maps = slots[:, self.vector_dim + 1 :].reshape(len(slots), self.rows, self.columns)
        return merge_maps(maps, tiles)


@dataclass(frozen=True)
class RawReadOut:
    """How the columns of `patches.RawPatches` lie: m patches of c channels."""

    n_patches: int
    channels: int

    @property
    def width(self) -> int:
        return self.n_patches * self.channels

    def read(self, slots: Floats, tiles: tuple[Tile, ...]) -> tuple[Floats, None]:
        """Return the patches (m * c,) of the image, or of one of its tiles, which its numbers draw."""
        near = slots[len(tiles) > 1 :]
        return near[zlib.crc32(np.ascontiguousarray(slots).tobytes()) % len(near)], None


def _unit(row: Floats) -> Floats:
    return row / max(float(np.linalg.norm(row)), 1e-9)
