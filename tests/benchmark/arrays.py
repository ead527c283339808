"""A small set of labelled vectors in code, as arrays and as an .npz."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


def make_arrays(n: int = 96, seed: int = 0) -> dict[str, Any]:
    """Three classes of 2/3, 1/4 and 1/12 of the rows in 12 dimensions, groups of two."""
    rng = np.random.default_rng(seed)
    classes = np.repeat([0, 1, 2], [n - n // 4 - n // 12, n // 4, n // 12])
    vectors = rng.standard_normal((3, 12))[classes] * 2 + rng.standard_normal((n, 12))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = np.array(["good", "crack", "hole"])
    return {"vectors": vectors.astype(np.float32), "labels": names[classes], "groups": np.arange(n) // 2}


def write_npz(path: Path, **changes: Any) -> Path:
    """Write the arrays with some of them changed; None leaves one out."""
    arrays = {name: value for name, value in {**make_arrays(), **changes}.items() if value is not None}
    np.savez(path, **arrays)
    return path
