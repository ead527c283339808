"""Which looks of a class are known: regions of vector space, and how much of each lies near a labelled image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.records import BoolArray, FloatArray, IntArray

NEIGHBOURS = 32  # how far the 32nd look-alike lies is what "alike" means in this pool
SAMPLE_ROWS = 2000  # rows that the radius is estimated by
MOST_REGIONS = 12  # of a class; more are not looked at one by one
ROUNDS = 10  # of moving the centres; they stand still earlier


@dataclass(frozen=True)
class Region:
    """Images of a class that look alike.

    centre: (d,) unit row. rows: (r,) of the vectors, nearest to the centre first. n_labelled: of the class, by label.
    n_pool: unlabelled ones. n_near: those of the pool within the radius of a labelled image. n_missed: labelled ones
    that the model misses when they are held out.
    """

    centre: npt.NDArray[np.float32]
    rows: npt.NDArray[np.int64]
    n_labelled: int
    n_pool: int
    n_near: int
    n_missed: int

    @property
    def covered(self) -> float:
        """Share of the region's pool near a labelled image, 0..1; 1 where the pool has nothing there."""
        return self.n_near / self.n_pool if self.n_pool else 1.0


def typical_radius(vectors: FloatArray, neighbours: int = NEIGHBOURS) -> float:
    """Return the median cosine distance 0..2 to the 32nd nearest image: within it images are alike, as this pool goes.

    vectors: (n, d) unit rows. Of a pool of less than ten times 32 a tenth is looked at, or everything is alike. Large
    pools are judged by 2,000 of their images, evenly spread, against a sample whose share of neighbours is the same.
    """
    step = max(1, len(vectors) // SAMPLE_ROWS)
    sample = np.asarray(vectors[::step], dtype=np.float32)
    if len(sample) < 2:
        return 0.0
    k = max(1, min(neighbours // step, len(sample) // 10))
    cosine = np.sort(sample @ sample.T, axis=1)[:, ::-1]
    return max(0.0, float(1.0 - np.median(cosine[:, k])))


def is_covered(nearest: FloatArray, radius: float) -> BoolArray:
    """Return whether each row's nearest labelled image, at a cosine (n,), lies within the radius, a cosine distance."""
    return np.asarray(1.0 - np.asarray(nearest, np.float64) <= radius + 1e-6)


def split_regions(vectors: FloatArray, radius: float, most: int = MOST_REGIONS) -> tuple[FloatArray, IntArray]:
    """Split (n, d) unit rows into regions of look-alikes: centres (g, d), unit rows, and each row's region (n,).

    Farthest-first centres (Gonzalez 1985) until every row is within the radius of one or there are ``most``, then
    spherical k-means from there; no chance in it. Time O(n d g).
    """
    rows = np.asarray(vectors, dtype=np.float32)
    mean = rows.mean(axis=0)
    first = int((rows @ mean).argmax())
    centres = [first]
    nearest = rows @ rows[first]
    while len(centres) < min(most, len(rows)) and 1.0 - nearest.min() > radius:
        centres.append(int(nearest.argmin()))
        nearest = np.maximum(nearest, rows @ rows[centres[-1]])
    middle = rows[centres]
    region = (rows @ middle.T).argmax(axis=1)
    for _ in range(ROUNDS):
        middle = np.stack([_centre(rows[region == g], middle[g]) for g in range(len(middle))])
        moved = (rows @ middle.T).argmax(axis=1)
        if (moved == region).all():
            break
        region = moved
    return middle, region


def describe_regions(
    vectors: FloatArray, rows: IntArray, radius: float, *, is_labelled: BoolArray, near: BoolArray, missed: BoolArray
) -> tuple[Region, ...]:
    """Return the regions of a class, the largest first.

    rows: (m,) of the vectors, images labelled as the class or taken for it. is_labelled, near, missed: (m,), by row.
    """
    if not len(rows):
        return ()
    own = np.asarray(vectors[rows], dtype=np.float32)
    centres, region = split_regions(own, radius)
    found = []
    for number in np.unique(region):
        here = np.flatnonzero(region == number)
        here = here[np.argsort(-(own[here] @ centres[number]), kind="stable")]
        known = is_labelled[here]
        found.append(Region(
            np.asarray(centres[number], np.float32), np.asarray(rows[here], np.int64), int(known.sum()),
            int((~known).sum()), int((near[here] & ~known).sum()), int((missed[here] & known).sum()),
        ))  # fmt: skip
    return tuple(sorted(found, key=lambda one: (-len(one.rows), int(one.rows[0]))))


def _centre(rows: FloatArray, before: FloatArray) -> FloatArray:
    if not len(rows):
        return before
    total = rows.sum(axis=0)
    length = float(np.linalg.norm(total))
    return np.asarray(total / length if length > 1e-9 else before, np.float32)
