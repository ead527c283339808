"""Every error a user can cause, as one tree; each class carries the exit code of the command that meets it."""

from __future__ import annotations

import re
from typing import ClassVar

EXIT_DONE = 0
EXIT_BUG = 1
EXIT_USAGE = 2
EXIT_BAD_INPUT = 3
EXIT_REFUSED = 4
EXIT_INCONCLUSIVE = 5
EXIT_UNREACHABLE = 6
EXIT_LOCKED = 7
EXIT_WAITING = 8
EXIT_INTERRUPTED = 130


_PASSWORDS = re.compile(r"(?<=://)([^:/@\s]*:)[^@\s]+(?=@)|([?&]password=)[^&\s'\"]+")


def hide_passwords(text: str) -> str:
    """Return a text with the password of every URL in it replaced by stars.

    >>> hide_passwords("postgresql://ann:s3cret@db/line4?sslmode=require")
    'postgresql://ann:***@db/line4?sslmode=require'
    """
    return _PASSWORDS.sub(lambda found: f"{found[1] or found[2]}***", text)


class ActiveselError(Exception):
    """One line a person can act on: what is wrong, where, what was found, what was expected, what to run next.

    >>> str(DataError("unknown label", where="labels.csv:12", found="'crak'", expected="one of crack, fray"))
    "labels.csv:12: unknown label; found 'crak'; expected one of crack, fray"
    """

    exit_code: ClassVar[int] = EXIT_BUG

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        found: str | None = None,
        expected: str | None = None,
        hint: str | None = None,
    ) -> None:
        parts = [f"{where}: {what}" if where else what]
        parts += [f"found {found}"] if found else []
        parts += [f"expected {expected}"] if expected else []
        parts += [hint] if hint else []
        super().__init__(hide_passwords("; ".join(parts)))


class UsageError(ActiveselError):
    """The command line asks for something that does not exist or does not fit together."""

    exit_code = EXIT_USAGE


class ConfigError(ActiveselError):
    """A key or value of the configuration is wrong."""

    exit_code = EXIT_BAD_INPUT


class DataError(ActiveselError):
    """An input file or array is wrong."""

    exit_code = EXIT_BAD_INPUT


class RefusedError(ActiveselError):
    """What was asked for is there, and a rule forbids to use it; somebody may decide otherwise and say why."""

    exit_code = EXIT_REFUSED


class InconclusiveError(ActiveselError):
    """A verdict was asked for, and what is known so far does not tell; more labels would."""

    exit_code = EXIT_INCONCLUSIVE


class UnreachableError(ActiveselError):
    """A disk, server or package that the work needs is full, absent or does not answer."""

    exit_code = EXIT_UNREACHABLE


class LockedError(ActiveselError):
    """Another command is writing to the same workspace."""

    exit_code = EXIT_LOCKED


class WaitingError(ActiveselError):
    """The work goes on once people have labelled, decided or approved something."""

    exit_code = EXIT_WAITING
