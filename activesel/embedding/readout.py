"""From what a defect-aware network says of an image's tiles to one vector and where it is odd; arrays only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.embedding.novelty_map import Novelty, describe_novelty, merge_maps
from activesel.embedding.tiles import Tile

ODD_SHARE = 0.5  # of a vector's squared length that the odd patches have: chosen in docs/embedding.md

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ReadOut:
    """How the columns of `patches.DefectAware` lie. dim: pooled features. depth: of the odd patches. rows, columns: grid."""

    dim: int
    depth: int
    rows: int
    columns: int

    @property
    def width(self) -> int:
        return self.dim + self.depth + 1 + self.rows * self.columns

    def read(self, slots: Floats, tiles: tuple[Tile, ...]) -> tuple[Floats, Novelty]:
        """Return the vector (dim + depth,) and the novelty of one image from its tiles' rows (t, width)."""
        at = self.dim + self.depth
        share = np.exp(slots[:, at] - slots[:, at].max())
        odd = (share / share.sum()) @ slots[:, self.dim : at]
        blocks = (_unit(slots[0, : self.dim]) * np.sqrt(1 - ODD_SHARE), _unit(odd) * np.sqrt(ODD_SHARE))
        return np.concatenate(blocks).astype(np.float32), describe_novelty(self.map_of(slots, tiles))

    def map_of(self, slots: Floats, tiles: tuple[Tile, ...]) -> Floats:
        """Return the map (h, w) of one image: patch distances in usual deviations from the usual."""
        maps = slots[:, self.dim + self.depth + 1 :].reshape(len(slots), self.rows, self.columns)
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
        """Return as many patches as one tile has, (m * c,), evenly from all tiles of the image."""
        patches = slots.reshape(-1, self.channels)
        rows = np.linspace(0, len(patches) - 1, self.n_patches).round().astype(np.int64)
        return patches[rows].ravel(), None


def _unit(row: Floats) -> Floats:
    return row / max(float(np.linalg.norm(row)), 1e-9)
