"""Signals of a line where all is well; what differs differs by chance."""

from __future__ import annotations

import numpy as np

from activesel.anchoring import measure_anchoring
from activesel.config import load_config
from activesel.drift import compare_classes, compare_numbers, compare_vectors
from activesel.monitoring import Labelled, Limits, Overrides, Regions, Signals

NAMES = ("good", "crack", "fray", "pit", "scratch")
SHARES = (0.8, 0.08, 0.06, 0.04, 0.02)


def shipped_limits() -> Limits:
    settings = load_config().monitoring
    return Limits(**settings.model_dump(exclude={"good", "batches", "images"}))


def labelled(rng: np.random.Generator, n: int = 400) -> Labelled:
    """Picks of four batches, a quarter at random; the model knows how sure it may be, and errs alike in both arms."""
    classes = rng.choice(5, n, p=SHARES)
    sure = np.clip(rng.beta(9, 1, n), 0.3, 0.999)
    other = (classes + rng.integers(1, 5, n)) % 5
    predicted = np.where(rng.random(n) < sure, classes, other)
    return Labelled(NAMES, 0, classes, predicted, sure, np.arange(n) % 4 == 0, np.arange(n) * 4 // n, np.arange(n),
                    np.full(4, 5000.0), frozenset(range(5)))  # fmt: skip


def clean(seed: int) -> Signals:
    """A line on which nothing has changed; what differs differs by chance."""
    rng = np.random.default_rng(seed)
    images = rng.multinomial(3000, np.full(12, 1 / 12))
    stations = {f"S{number}": (int(rng.binomial(150, 0.04)), 150) for number in range(8)}
    shifts = {name: (int(rng.binomial(400, 0.04)), 400) for name in ("early", "late", "night")}
    drifts = [compare_numbers(name, "image", rng.normal(size=300), rng.normal(size=200))
              for name in ("brightness", "contrast", "sharpness", "megapixels")]  # fmt: skip
    drifts.append(compare_numbers("defect score", "score", rng.beta(1, 9, 300), rng.beta(1, 9, 200)))
    drifts.append(compare_classes("predicted", rng.choice(5, 300, p=SHARES), rng.choice(5, 200, p=SHARES), rng))
    drifts.append(compare_vectors("all", rng.normal(size=(150, 8)), rng.normal(size=(100, 8)), rng))
    return Signals(
        labelled(rng), 20, (5, 400),
        measure_anchoring(rng.random(300) < 0.9, rng.random(300) < 0.8, np.full(300, np.nan)),
        Regions(images, rng.multinomial(120, images / images.sum()), np.full(12, 0.6)),
        (Overrides("station", stations), Overrides("shift", shifts)),
        tuple(one for one in drifts if one is not None), "500", {"images": 1.0, "labels": 3.0},
    )  # fmt: skip
