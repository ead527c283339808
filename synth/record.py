"""What is written down about every proposal and every kept image, as JSON lines, and read back as values."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from synth.errors import SynthError
from synth.files import write_atomic
from synth.records import Plan, Variant, Verdict

SCHEMA_VERSION = 1
RENDERER = "2"  # counted up when the same plan gives other bytes
_PACKAGES = ("activesel", "numpy", "torch", "opencv-python-headless")


def versions() -> dict[str, str]:
    """Return package -> version of what the pictures depend on, our renderer's first; absent packages are left out."""
    found = {"renderer": RENDERER}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON values; floats keep every digit, so that plan_from_json gives the same plan."""
    return _fields_of(plan)


def plan_from_json(value: Mapping[str, Any]) -> Plan:
    """Return the plan that was written.

    Raises:
        SynthError: fields are missing or unknown: another version wrote it.
    """
    fields = dict(value)
    try:
        fields["top_left"] = (int(fields["top_left"][0]), int(fields["top_left"][1]))
        return Plan(**fields)
    except (TypeError, KeyError, ValueError, IndexError) as error:
        raise SynthError("not a plan of this version", found=str(error)[:120]) from None


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as JSON values; a value that is not finite becomes null."""
    return _fields_of(verdict)


def box_of(variant: Variant) -> tuple[int, int, int, int] | None:
    """Return x0, y0, x1, y1 around the visible mask, x1 and y1 beyond its last pixel; None where nothing is visible."""
    rows, columns = np.flatnonzero(variant.mask.any(axis=1)), np.flatnonzero(variant.mask.any(axis=0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line, atomically."""
    write_atomic(path, "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines))


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read JSON lines back.

    Raises:
        SynthError: the file is missing, or a line is no JSON object.
    """
    try:
        text = path.read_text(encoding="utf8")
    except (OSError, UnicodeDecodeError):
        raise SynthError("not the folder of a finished set", where=str(path.parent), expected=path.name) from None
    return list(_parse(path, text.splitlines()))


def _fields_of(one: Plan | Verdict) -> dict[str, Any]:
    return {field.name: plain(getattr(one, field.name)) for field in fields(one)}


def plain(value: Any) -> Any:
    """Return JSON values: numpy scalars and arrays as numbers and lists, what is not finite as None."""
    kind = type(value)  # most values are of these: asking for abstract types took a fifth of a set's time
    if kind is float:
        return value if math.isfinite(value) else None
    if kind is str or kind is int or kind is bool:
        return value
    if kind is list or kind is tuple:
        return [plain(inner) for inner in value]
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, str | bool | int) or value is None:
        return value
    if isinstance(value, Sequence):
        return [plain(inner) for inner in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    return value if not isinstance(value, float) or math.isfinite(value) else None


def _parse(path: Path, lines: Sequence[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, start=1):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise SynthError("not a line of JSON", where=f"{path}:{number}", found=line[:60])
        yield value
