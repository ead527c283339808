"""Every error that a user of synth can cause; one line that can be acted on. The command line gives it exit code 3."""

from __future__ import annotations


class SynthError(Exception):
    """What is wrong, where, what was found, what was expected, what to do next.

    >>> str(SynthError("no defect of this class", where="labels.csv", found="crack, fray", expected="pit"))
    'labels.csv: no defect of this class; found crack, fray; expected pit'
    """

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
        super().__init__("; ".join(parts))


class Unmarked(SynthError):
    """An example whose defect nobody has marked and that does not stand out; the others may do without it."""
