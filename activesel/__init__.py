"""Choose the inspection images most worth labelling. What a script may import; nothing heavy until it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from activesel.errors import ActiveselError
    from activesel.pipelines.arrays import select
    from activesel.records import KnnGraph, Picks, Pool, Quota

__version__ = "0.1.0"
__all__ = ["ActiveselError", "KnnGraph", "Picks", "Pool", "Quota", "__version__", "select"]

_HOMES = {
    "ActiveselError": "activesel.errors",
    "KnnGraph": "activesel.records",
    "Picks": "activesel.records",
    "Pool": "activesel.records",
    "Quota": "activesel.records",
    "select": "activesel.pipelines.arrays",
}


def __getattr__(name: str) -> Any:
    """Import on first use (PEP 562), so that `activesel --help` never waits for torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'activesel' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
