"""A command of the user's in a process group of its own: timed, logged, ended with all that it started.

Also where we ourselves are killed with SIGKILL: a guard, a shell in a session of its own, waits for the end of a pipe
that we hold open, which comes at our death, and then kills the group.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from activesel.errors import DataError, LockedError, UnreachableError

GRACE_S = 5.0  # between the polite signal and the other one
MAX_TAIL = 300
_TAIL_BYTES = 4096
DONE = "done"
_POLL_S = 0.05
_GATED = 'read -r go || exit 125; exec /bin/sh -c "$1" </dev/null'  # no word: we died before the guard was there
_GUARD = 'read -r over || kill -s KILL -- "-$1"'


@dataclass(frozen=True)
class Outcome:
    """log: standard output and error as they came. is_new: False where an earlier run had come to the end."""

    log: bytes
    is_new: bool


def run_command(line: str, folder: Path, scratch: Path, timeout_s: float) -> Outcome:
    """Run a shell command in ``folder`` to its end, once: a run that came to the end before is not repeated.

    scratch: where log, lock and mark of the end are. timeout_s: 0 = none. The command's processes inherit the lock, so
    that while one of them lives on after a kill -9 of ours, having left its group, no second one is started beside it.

    Raises:
        DataError: it ended with another code than 0; the message has the code and the last line of its stderr.
        UnreachableError: it took too long. LockedError: the command of a killed run is still at work.
    """
    log, done = scratch / "log", scratch / DONE
    with _locked(scratch / "lock") as lock:
        if done.exists():
            return Outcome(log.read_bytes(), is_new=False)
        with log.open("wb") as output, (scratch / "stderr").open("wb+") as errors:
            code = _run(line, folder, (output.fileno(), errors.fileno(), lock), timeout_s, log)
            errors.seek(0)
            said = errors.read()
            output.write(said)
        if code != 0:
            what = f"exit code {code}" if code > 0 else f"signal {signal.Signals(-code).name}"
            raise DataError("the training command failed", where=str(log), found=f"{what}: {tail_of(said)}",
                            hint="mend it, then run the same command again")  # fmt: skip
        done.touch()
        return Outcome(log.read_bytes(), is_new=True)


def tail_of(said: bytes) -> str:
    """Return the last line with anything in it, on one line without control signs; "nothing on stderr" without one."""
    lines = [line for line in said[-_TAIL_BYTES:].decode("utf8", "replace").splitlines() if line.strip()]
    text = "".join(sign if sign.isprintable() else " " for sign in (lines or ["nothing on stderr"])[-1])
    return text.strip()[-MAX_TAIL:]


def _run(line: str, folder: Path, files: tuple[int, int, int], timeout_s: float, log: Path) -> int:
    output, errors, lock = files
    process = subprocess.Popen(["/bin/sh", "-c", _GATED, "sh", line], cwd=folder, stdin=subprocess.PIPE, stdout=output,
                               stderr=errors, start_new_session=True, pass_fds=(lock,), env=_environment())  # fmt: skip
    try:
        with _guarded(process.pid):
            try:
                _say(process, "go")
                return process.wait(timeout_s or None)
            except subprocess.TimeoutExpired:
                raise UnreachableError("the training command took too long and was ended", where=str(log),
                                       found=f"still at work after {timeout_s:g} s",
                                       hint="raise training.timeout_s") from None  # fmt: skip
            finally:
                _end(process)
    finally:
        _end(process)  # where there is no guard to be had


@contextmanager
def _guarded(group: int) -> Iterator[None]:
    """Have a process group killed if this process dies before the end of the block."""
    guard = subprocess.Popen(["/bin/sh", "-c", _GUARD, "guard", str(group)], stdin=subprocess.PIPE,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
    try:
        yield
    finally:
        _say(guard, "over")
        guard.wait()


def _say(process: subprocess.Popen[bytes], word: str) -> None:
    """Write the one line that a process waits for; whoever is gone hears none."""
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.write(word.encode() + b"\n")
        process.stdin.close()


def _environment() -> dict[str, str]:
    """Return ours, with this package's folder among Python's, also where a checkout runs by a relative path."""
    here = str(Path(__file__).resolve().parents[2])
    paths = [here, *(str(Path(one).resolve()) for one in os.environ.get("PYTHONPATH", "").split(os.pathsep) if one)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the group: politely first where the command itself is still there."""
    group = process.pid
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    process.wait()


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    with path.open("a") as handle:
        deadline = time.monotonic() + GRACE_S  # a guard may be about to kill who holds it
        while not _try_lock(handle.fileno()):
            if time.monotonic() > deadline:
                raise LockedError("the training command of a killed run is still at work", where=str(path),
                                  hint="wait until it is done, or end it, then run this again")  # fmt: skip
            time.sleep(_POLL_S)
        yield handle.fileno()


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
