"""Make `import torchvision` work beside a CPU-only torch; the operators stay unusable, models need none.

The package index serves torchvision built for CUDA. Beside a CPU-only torch its compiled library does not load, and its
Python half then fails to import because it decorates two operators that nobody has declared. Declaring them mends that.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from pathlib import Path

_OPERATORS = ("nms", "qnms")  # what torchvision/_meta_registrations.py decorates without asking whether they exist


@functools.cache
def declare_torchvision_operators() -> bool:
    """Declare torchvision's operators where its compiled library cannot; call before anything imports torchvision.

    timm imports torchvision too. Returns whether a declaration was needed.
    """
    import torch

    if "torchvision" in sys.modules or not _lacks_operators():
        return False
    # Kept for the life of the process: the schemas vanish with the object that declared them.
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for name in _OPERATORS:
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    globals()["_LIBRARY"] = library
    return True


def _lacks_operators() -> bool:
    """Try the compiled library without importing torchvision: a failed import would leave half of it behind."""
    import torch

    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return False  # not installed; the import that follows says so
    for path in Path(spec.origin).parent.glob("_C*"):
        try:
            torch.ops.load_library(str(path))  # type: ignore[no-untyped-call]
        except (OSError, ImportError):
            continue
        return False
    return True
