"""Give a resampled defect back the fine detail that the resampling took: its edges are as sharp as the real one's."""

from __future__ import annotations

import numpy as np

from synth.grain import high_pass
from synth.levels import grey
from synth.records import Levels, Mask

MOST_GAIN = 1.8  # more would turn what cannot be restored into halos


def fine_detail(residual: Levels, mask: Mask) -> float:
    """Return the root mean square of what is finer than about 3 px inside the mask, grey levels; 0 for no mask."""
    inside = grey(high_pass(residual))[mask]
    return float(np.sqrt(np.mean(inside * inside))) if inside.size else 0.0


def restore_detail(residual: Levels, mask: Mask, wanted: float) -> Levels:
    """Raise the fine detail (h, w, 3) to ``wanted``, as `fine_detail` measures it; what is sharper already stays so."""
    fine = high_pass(residual)
    inside = grey(fine)[mask]
    found = float(np.sqrt(np.mean(inside * inside))) if inside.size else 0.0
    if found <= 0 or wanted <= found:
        return residual
    return np.asarray(residual + np.float32(min(wanted / found, MOST_GAIN) - 1) * fine, np.float32)
