"""What a command that goes wrong leaves: one line on stderr and an exit code. docs/exit_codes.md has the table."""

from __future__ import annotations

import errno
import sys
import traceback
from typing import Any

import typer

from activesel.errors import EXIT_BUG, EXIT_INTERRUPTED, EXIT_UNREACHABLE, EXIT_USAGE, ActiveselError

EXIT_BROKEN_PIPE = 141  # as if the signal had ended us: 128 + SIGPIPE
EXIT_TERMINATED = 143  # 128 + SIGTERM

# BadParameter > UsageError > this one; typer ships its own click since 0.26 and used the click package before.
CommandLineError: type[Exception] = typer.BadParameter.__mro__[2]

_DISK_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EIO}
# Libraries in C++ and Rust report a full disk in their own exception types.
_DISK_SIGNS = ("No space left on device", "disk is full", "Disk quota exceeded", "Read-only file system")


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived; everything that tidies up after Ctrl-C tidies up after this, too."""


def report_failure(error: BaseException) -> int:
    """Say on stderr what went wrong and return the exit code."""
    if isinstance(error, typer.Exit):
        return int(error.exit_code)
    if isinstance(error, BrokenPipeError):
        return EXIT_BROKEN_PIPE
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        _say("interrupted; run the same command again to go on")
        return EXIT_TERMINATED if isinstance(error, Terminated) else EXIT_INTERRUPTED
    if isinstance(error, ActiveselError):
        _say(str(error))
        return error.exit_code
    if isinstance(error, CommandLineError):
        _say(_explain_usage(error))
        return EXIT_USAGE
    if _is_about_the_disk(error):
        _say(f"{_first_line(error)}; free some space or mend the permissions, then run the same command again")
        return EXIT_UNREACHABLE
    traceback.print_exception(error)
    _say("this is a bug in activesel; please report it with the lines above")
    return EXIT_BUG


def _explain_usage(error: Any) -> str:
    """Say click's complaint in one line, with the command whose help to read."""
    text = " ".join(error.format_message().split()).rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{text}; see `{context.command_path} --help`" if context is not None else text


def _is_about_the_disk(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _DISK_ERRNOS:
        return True
    return any(sign in str(error) for sign in _DISK_SIGNS)


def _first_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error).strip().splitlines()[0]


def _say(message: str) -> None:
    print(f"activesel: {message}", file=sys.stderr, flush=True)
