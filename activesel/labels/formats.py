"""The annotation formats by name. A new one is a new file here that registers itself, and one import in __init__.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from activesel.errors import DataError, UsageError
from activesel.labels.lookup import ImageLookup
from activesel.labels.parcels import Glimpse, glimpse
from activesel.labels.said import Said
from activesel.labels.sheets import Sheet

Reads = Callable[[Path, ImageLookup], Iterator[Said]]
Writes = Callable[[Sheet], Mapping[str, str]]
LooksLike = Callable[[Glimpse], bool]


@dataclass(frozen=True)
class AnnotationFormat:
    """reads: yields what each place of a file says, its image looked up. writes: file name -> content. looks_like:
    whether a file's beginning is of this format. holds: fields of an Annotation, and the words of ``sheets.fit``.
    needs_sizes: whether reading takes the images' sizes. several_files: whether it is a folder, or a zip of one.
    reads_accepting: as reads, but what a model drew and nobody touched is the person's; None where no file tells.
    """

    name: str
    reads: Reads
    writes: Writes
    looks_like: LooksLike
    holds: frozenset[str]
    needs_sizes: bool = False
    several_files: bool = False
    reads_accepting: Reads | None = None


_FORMATS: dict[str, AnnotationFormat] = {}


def register(one: AnnotationFormat) -> None:
    assert one.name not in _FORMATS, f"two annotation formats named {one.name}"
    _FORMATS[one.name] = one


def annotation_format_names() -> tuple[str, ...]:
    return tuple(sorted(_FORMATS))


def get_format(name: str) -> AnnotationFormat:
    """Return the format of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in _FORMATS:
        raise UsageError("unknown format", found=repr(name), expected="one of " + ", ".join(annotation_format_names()))
    return _FORMATS[name]


def guess_format(path: Path) -> AnnotationFormat:
    """Return the format that a file's beginning, or a folder's or zip's list of files, looks like.

    Raises:
        DataError: nothing there, or none or several formats look like it.
    """
    seen = glimpse(path)
    fitting = [one for one in _FORMATS.values() if one.looks_like(seen)]
    if len(fitting) != 1:
        raise DataError("cannot tell the format", where=str(path),
                        found=" or ".join(one.name for one in fitting) or "no known one",
                        hint="name it with --format: " + ", ".join(annotation_format_names()))  # fmt: skip
    return fitting[0]
