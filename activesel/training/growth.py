"""How a score grows with the number of labels: level - size * labels ** -power, averaged over powers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.records import FloatArray, IntArray

POWERS = np.round(np.arange(0.1, 1.55, 0.1), 2)
USUAL_POWER, POWER_SPREAD = 0.5, 0.4  # a normal prior: errors of estimates fall with the square root of the labels
NOISE = 0.01  # standard deviation of a measured point around the curve; below it differences say nothing


@dataclass(frozen=True)
class Growth:
    """A measured curve as a mean of power laws. All (q,), one entry a power.

    levels: what the curve approaches, 0..1. sizes: how far below it the curve is at ``scale`` labels, 0..1.
    weights: >= 0, sum 1: how well each power fits.
    """

    levels: npt.NDArray[np.float64]
    sizes: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    scale: float

    def at(self, labels: FloatArray | IntArray | float) -> npt.NDArray[np.float64]:
        """Return the curve at these numbers of labels, > 0; of their shape."""
        n = np.asarray(labels, np.float64)[..., None] / self.scale
        return np.asarray((self.levels - self.sizes * n**-POWERS) @ self.weights)

    @property
    def level(self) -> float:
        """What the curve approaches."""
        return float(self.weights @ self.levels)


def fit_growth(labels: FloatArray, scores: FloatArray) -> Growth:
    """Fit scores (p,) 0..1 at labels (p,) > 0, one point or more, by least squares for each power.

    A curve that falls becomes a flat one, and no level is above 1. A power counts by exp(-squared error / (2 NOISE^2))
    times the prior.

    >>> n = np.array([25.0, 50.0, 75.0, 100.0])
    >>> fitted = fit_growth(n, 0.9 - 0.4 * (n / 25) ** -0.5)
    >>> fitted.at(np.array([100, 200])).round(2).tolist()
    [0.7, 0.75]
    """
    n, y = np.asarray(labels, np.float64), np.asarray(scores, np.float64)
    scale = float(n.max())
    shape = (n[:, None] / scale) ** -POWERS  # (p, q), 1 at the last point
    centred = shape - shape.mean(axis=0)
    spread = (centred**2).sum(axis=0)
    slope = (centred * (y - y.mean())[:, None]).sum(axis=0) / np.where(spread > 0, spread, 1.0)
    size = np.maximum(-slope, 0.0)
    level = y.mean() + size * shape.mean(axis=0)
    held = np.maximum(((1 - y)[:, None] * shape).sum(axis=0) / (shape**2).sum(axis=0), 0.0)  # from a level of 1
    size, level = np.where(level > 1, held, size), np.minimum(level, 1.0)
    error = ((level - size * shape - y[:, None]) ** 2).sum(axis=0)
    fit = -error / (2 * NOISE**2) - (POWERS - USUAL_POWER) ** 2 / (2 * POWER_SPREAD**2)
    weights = np.exp(fit - fit.max())
    return Growth(level, size, weights / weights.sum(), scale)
