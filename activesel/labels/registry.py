"""The label formats by name. A new one is a new file here with @label_format, and one import in __init__.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from activesel.errors import DataError
from activesel.labels.lookup import ImageLookup
from activesel.labels.opinions import Opinion, to_labels
from activesel.records import Label

Accepts = Callable[[Path], bool]
Reader = Callable[[Path, ImageLookup], Iterator[Opinion]]


@dataclass(frozen=True)
class LabelFormat:
    """accepts: whether a path looks like this format. read: yields what each row says, its image already looked up."""

    name: str
    accepts: Accepts
    read: Reader


_FORMATS: dict[str, LabelFormat] = {}


def label_format(name: str, *, accepts: Accepts) -> Callable[[Reader], Reader]:
    """Register a reader under ``name``."""

    def register(read: Reader) -> Reader:
        assert name not in _FORMATS, f"two label formats named {name}"
        _FORMATS[name] = LabelFormat(name, accepts, read)
        return read

    return register


def format_names() -> tuple[str, ...]:
    return tuple(sorted(_FORMATS))


def find_format(path: Path) -> LabelFormat:
    """Return the format of a label file or folder, going by its name alone.

    Raises:
        DataError: there is nothing at ``path``, or no format takes it.
    """
    if not path.exists():
        raise DataError("no such label file", where=str(path))
    for one in _FORMATS.values():
        if one.accepts(path):
            return one
    raise DataError("not a label file", where=str(path), found=path.suffix or "no suffix",
                    expected="a .csv, a COCO .json, or a folder with a folder per class")  # fmt: skip


def read_labels(path: Path, lookup: ImageLookup) -> list[Label]:
    """Read every label of a file or folder, one per image, in the order of the rows.

    Rows about images that ingest set aside as unreadable are left out.

    Raises:
        DataError: not the schema of docs/formats_input.md, a label for an unknown image, two labels for one image.
    """
    return to_labels(find_format(path).read(path, lookup), source=str(path))
