"""Untrusted files, folders and zips: listed and read within limits, never outside of themselves, never unpacked."""

from __future__ import annotations

import contextlib
import os
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from activesel.errors import DataError
from activesel.labels.fields import shorten

MOST_BYTES = 512 << 20  # of one file that is read whole
MOST_STREAMED_BYTES = 4 << 30  # of one that is read piece by piece
_MOST_MEMBER_BYTES = 64 << 20
_MOST_ALL_BYTES = 1 << 30  # of all members of a folder or zip, unpacked
_MOST_MEMBERS = 1_000_000
_GLIMPSE_BYTES = _CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class Glimpse:
    """What a format is told by. names: of the files in a folder or zip. head: the first 64 KiB of a file as text."""

    path: Path
    names: tuple[str, ...] = ()
    head: str = ""

    def has_object_with(self, *keys: str) -> bool:
        """Whether a JSON object begins the file and one of these keys stands near."""
        return self.head.startswith("{") and any(f'"{key}"' in self.head for key in keys)


class Parcel:
    """The files of a folder or zip, read one by one. names: relative, with forward slashes, sorted."""

    def __init__(self, path: Path, names: Sequence[str], archive: zipfile.ZipFile | None = None) -> None:
        self.path = path
        self.names = tuple(sorted(names))
        self._archive = archive
        self._left = _MOST_ALL_BYTES

    def where(self, name: str) -> str:
        return f"{self.path}/{name if name.isprintable() else ascii(name)[1:-1]}"

    def read(self, name: str, most: int = _MOST_MEMBER_BYTES) -> bytes:
        """Return one file's bytes.

        Raises:
            DataError: it is larger than ``most``, all that was read is too large, or it is damaged.
        """
        return b"".join(self.read_chunks(name, most))

    def read_chunks(self, name: str, most: int = _MOST_MEMBER_BYTES) -> Iterator[bytes]:
        """Yield one file's bytes piece by piece.

        Raises:
            DataError: as ``read``.
        """
        assert name in self.names, name
        left = most = min(most, self._left)
        try:
            with self._open(name) as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    left -= len(chunk)
                    self._left -= len(chunk)
                    if left < 0:
                        raise DataError("too large", where=self.where(name), expected=f"at most {most} bytes, unpacked")
                    yield chunk
        except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError) as error:
            raise DataError(
                "cannot be read", where=self.where(name), found=shorten(str(error)) or type(error).__name__
            ) from None

    def _open(self, name: str) -> BinaryIO:
        if self._archive is not None:
            return self._archive.open(name)  # type: ignore[return-value]
        return (self.path / name).open("rb")


@contextlib.contextmanager
def open_parcel(path: Path) -> Iterator[Parcel]:
    """List a folder or zip. Files that a link leads to outside of the folder are left out.

    Raises:
        DataError: a damaged zip, one with names that lead out of it, or too many files.
    """
    if path.is_dir():
        yield Parcel(path, _limited(path, _list_folder(path)))
        return
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise DataError("not a folder and not a zip", where=str(path), found=shorten(str(error))) from None
    with archive:
        names = _limited(path, (one.filename for one in archive.infolist() if not one.filename.endswith("/")))
        stray = next((name for name in names if not _stays_inside(name)), None)
        if stray is not None:
            raise DataError("a name in the zip leads out of it", where=str(path), found=ascii(stray)[:200])
        if len(set(names)) < len(names):
            raise DataError("two files in the zip have one name", where=str(path))
        yield Parcel(path, names, archive)


def _limited(path: Path, names: Iterator[str]) -> list[str]:
    listed = []
    for name in names:
        listed.append(name)
        if len(listed) > _MOST_MEMBERS:
            raise DataError("too many files", where=str(path), expected=f"at most {_MOST_MEMBERS}")
    return listed


def _list_folder(path: Path) -> Iterator[str]:
    root = path.resolve()
    for folder, _folders, files in os.walk(path):  # follows no link to a folder
        for name in files:
            file = Path(folder, name)
            if not name.startswith(".") and file.resolve().is_relative_to(root) and file.is_file():
                yield file.relative_to(path).as_posix()


def _stays_inside(name: str) -> bool:
    parts = name.replace("\\", "/").split("/")
    return (
        name != ""
        and not name.startswith(("/", "\\"))
        and ".." not in parts
        and ":" not in parts[0]
        and "\0" not in name
    )


def is_zip(path: Path) -> bool:
    with contextlib.suppress(OSError), path.open("rb") as stream:
        return stream.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    return False


def glimpse(path: Path) -> Glimpse:
    """Look at the beginning of a file, or the list of a folder or zip.

    Raises:
        DataError: there is nothing, or it cannot be read.
    """
    if path.is_dir() or is_zip(path):
        with open_parcel(path) as parcel:
            return Glimpse(path, parcel.names)
    with open_file(path) as stream:
        head = stream.read(_GLIMPSE_BYTES)
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return Glimpse(path, head=head.decode(encoding, errors="replace").lstrip())


def open_file(path: Path, most: int = MOST_STREAMED_BYTES) -> BinaryIO:
    """Open a file to be read piece by piece.

    Raises:
        DataError: there is no such file, or it is larger than ``most``.
    """
    try:
        if not path.is_file():
            raise DataError("no such file", where=str(path))
        if path.stat().st_size > most:
            raise DataError("too large", where=str(path), found=f"{path.stat().st_size} bytes",
                            expected=f"at most {most}", hint="split it")  # fmt: skip
        return path.open("rb")
    except OSError as error:
        raise DataError("cannot be read", where=str(path), found=error.strerror or str(error)) from None


def read_file(path: Path, most: int = MOST_BYTES) -> bytes:
    """Return a file's bytes.

    Raises:
        DataError: there is no such file, or it is larger than ``most``.
    """
    with open_file(path, most) as stream:
        return stream.read(most + 1)[: most + 1]
