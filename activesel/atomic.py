"""Files that are absent (or old) or complete, whatever kills the process that writes them."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from activesel.errors import UnreachableError


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Give an empty file that takes the place of ``path``, on the disk, once the block ends without an error.

    Its own name, for who must have one, is ``stream.name``. Of two that write at once the later wins. A process that
    is killed leaves its draft, hidden beside, and whoever writes ``path`` next writes over that.

    Raises:
        UnreachableError: the disk is full or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _take_draft(path) as stream:
            try:
                yield stream
                stream.flush()
                os.fchmod(stream.fileno(), 0o644)
                os.fsync(stream.fileno())
                os.replace(stream.name, path)  # noqa: PTH105 - before the lock goes
            except BaseException:
                Path(stream.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise UnreachableError("cannot write", where=str(path), found=error.strerror or str(error),
                               hint="free some space, then run the same command again") from None  # fmt: skip


def _take_draft(path: Path) -> BinaryIO:
    """Open the first draft of ``path`` that no living process writes; the system frees what a dead one held."""
    for number in itertools.count():
        draft = path.with_name(f".{path.name}.part{number}")
        try:
            stream = open(draft, "r+b", opener=_make)  # noqa: SIM115 - the caller's to close
        except PermissionError:
            if not draft.exists():
                raise  # it is the folder that cannot be written
            continue  # another person's
        if _hold(stream.fileno(), draft):
            stream.truncate()
            return stream
        stream.close()
    raise AssertionError("numbers do not end")


def _make(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def _hold(handle: int, draft: Path) -> bool:
    """Lock an open draft, and tell whether it is ours: not locked, and not given its name meanwhile."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(handle), draft.stat())
    except (BlockingIOError, FileNotFoundError):
        return False
