"""One measurement = one process: what it is told, and the parent that watches its memory and its time."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from bench.pool import PoolSpec

Kind = Literal["machine", "pool", "graph", "strategy", "select", "head", "peer"]

POLL_S = 0.2
SETUP_S = 1800.0  # a process that has not even begun or finished by then hangs
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS",
                    "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS", "LOKY_MAX_CPU_COUNT")  # fmt: skip


@dataclass(frozen=True)
class Job:
    """What one process measures.

    kind: machine = rates; pool = write the files; graph = build and store the kNN graph; strategy = the strategy's run
    on a ready pool; select = the whole of activesel.select; head = scoring; peer = another library.
    name: of the strategy or the peer. stored_graph: select is given the graph. mapped: vectors stay on disk.
    labelled: whether the labelled rows are known. dtype: of the vectors handed over.
    """

    kind: Kind
    name: str
    pool: PoolSpec
    budget: int = 0
    stored_graph: bool = False
    labelled: bool = True
    mapped: bool = False
    dtype: Literal["float16", "float32"] = "float16"

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Job:
        fields = json.loads(text)
        return Job(**{**fields, "pool": PoolSpec(**fields["pool"])})


@dataclass(frozen=True)
class Limits:
    """time_s: of the measured part. memory_gib: resident, of the process and its children together."""

    time_s: float
    memory_gib: float
    threads: int


Result = dict[str, Any]  # the job's fields and seconds, cpu_s, peak_gib, objective, ...; dnf: why it did not finish


def run_job(job: Job, work: Path, limits: Limits) -> Result:
    """Run one job in a process of its own and return its figures, or ``dnf`` with the reason."""
    command = [sys.executable, "-m", "bench.child", job.to_json(), str(work), str(limits.time_s), str(limits.threads)]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=out, stderr=errors, text=True, start_new_session=True,
                                   env=_environment(limits.threads))  # fmt: skip
        try:
            reason = _watch(process, limits)
        finally:
            _end_group(process.pid)
            process.wait()
        figures = _last_figures(_contents(out))
        if reason is None and process.returncode:
            reason = _explain_exit(process.returncode, _contents(errors), limits)
    if figures.get("seconds") is not None and reason:  # it finished; what failed is the look at its picks
        figures["objective_failed"], reason = reason, None
    return {**asdict(job), **figures, "threads": limits.threads, "dnf": figures.get("dnf") or reason}


def _environment(threads: int) -> Mapping[str, str]:
    scripts = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join([scripts, str(Path(scripts).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)), "PYTHONPATH": path}


def _watch(process: subprocess.Popen[str], limits: Limits) -> str | None:
    """Wait for the process; return why it has to be ended, or None when it ended by itself."""
    started = time.monotonic()
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(POLL_S)
            return None
        if _resident_gib(process.pid) > limits.memory_gib:
            return f"more than {limits.memory_gib:g} GiB"
        if time.monotonic() - started > limits.time_s + SETUP_S:
            return f"hung for {limits.time_s + SETUP_S:.0f} s"


def _resident_gib(pid: int) -> float:
    import psutil

    total = 0
    try:
        parent = psutil.Process(pid)
        for process in [parent, *parent.children(recursive=True)]:
            total += process.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return float(total / 2**30)


def _end_group(pid: int) -> None:
    """The process leads a session of its own, so its id is the group's; workers that outlived it end here."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _explain_exit(code: int, errors: str, limits: Limits) -> str:
    if code == -signal.SIGALRM:
        return f"more than {limits.time_s:g} s"
    last = (errors.strip().splitlines() or ["no message"])[-1]
    return f"ended by {signal.Signals(-code).name}" if code < 0 else last[:200]


def _contents(stream: Any) -> str:
    stream.seek(0)
    return str(stream.read())


def _last_figures(text: str) -> Result:
    """The child prints its figures as soon as it has them, and again with the objective value."""
    for line in reversed(text.splitlines()):
        if line.startswith("{"):
            return dict(json.loads(line))
    return {}
