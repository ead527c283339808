"""Arrays to torch, whether or not they may be written to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch


def to_tensor(values: npt.NDArray[Any]) -> torch.Tensor:
    """Return a float32 tensor; memory is shared where it may be.

    torch warns about arrays that are read-only, such as a file mapped with mode "r": those are copied.
    """
    import torch

    floats = np.ascontiguousarray(values, dtype=np.float32)
    return torch.from_numpy(floats if floats.flags.writeable else floats.copy())
