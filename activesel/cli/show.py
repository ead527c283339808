"""Print results: aligned text for people, one JSON document for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any


def show_json(value: Any) -> None:
    """Print ``value`` as one JSON document, dataclasses as objects and paths as text."""
    print(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def show_pairs(pairs: Iterable[tuple[str, object]]) -> None:
    """Print "name  value" lines, values aligned; those that are None or empty are left out."""
    kept = [(name, str(value)) for name, value in pairs if value is not None and str(value)]
    width = max((len(name) for name, _ in kept), default=0)
    for name, value in kept:
        print(f"{name:<{width}}  {value}")


def show_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print columns under their names, numbers to the right."""
    lines = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    numeric = [all(isinstance(row[i], int | float) for row in rows) for i in range(len(head))]
    for line in lines:
        cells = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ]
        print("  ".join(cells).rstrip())


def show_counts(counts: dict[str, int]) -> str:
    """Write {"crack": 3, "fray": 1} as "crack 3, fray 1", the largest first."""
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{name} {count}" for name, count in ordered)


def tell(message: str) -> None:
    """Print a note to stderr, where it does not mix with results."""
    print(message, file=sys.stderr)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value
