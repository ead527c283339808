"""Make blocks ahead in worker processes and hand them out in their order."""

from __future__ import annotations

import hashlib
import multiprocessing
import pickle
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from synth.blocks import Workshop, make_block
from synth.errors import SynthError
from synth.files import write_atomic
from synth.planning import OpenHosts
from synth.threads import end_with_parent, single_thread

_HANDOVER = ".workshop"  # in the folder of blocks, which is swept when a set is begun again
_worker: tuple[Workshop, OpenHosts] | None = None


def make_blocks(workshop: Workshop, n_blocks: int, workers: int) -> Generator[Path, None, None]:
    """Yield the folders of blocks 0, 1, ... ; close the iterator to stop early.

    workers: processes; 1 = this one. They start anew ("spawn") because a fork of a process with threads may hang.

    Raises:
        SynthError: a worker died, of memory mostly.
    """
    if workers <= 1:
        hosts = OpenHosts(workshop.stock)
        for number in range(n_blocks):
            with single_thread():
                folder = make_block(workshop, number, hosts)
            yield folder
        return
    spawn = multiprocessing.get_context("spawn")
    path = workshop.folder / _HANDOVER
    pickled = pickle.dumps(workshop)
    write_atomic(path, pickled)
    told = path, hashlib.sha256(pickled).digest()
    pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=_start, initargs=told)
    try:
        yield from _in_order(pool, n_blocks, 2 * workers)
    except BrokenProcessPool:
        raise SynthError("a worker process died", hint="less memory is needed with --workers 1; or the script lacks"
                         ' `if __name__ == "__main__":`') from None  # fmt: skip
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        path.unlink(missing_ok=True)


def _in_order(pool: ProcessPoolExecutor, n_blocks: int, ahead: int) -> Iterator[Path]:
    waiting: deque[Future[Path]] = deque()
    for number in range(n_blocks):
        waiting.append(pool.submit(_make, number))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _start(path: Path, digest: bytes) -> None:
    """Read the workshop from a file: by a pipe, what exceeds 64 KiB would block a parent whose worker dies early.

    digest: of the file, so that nothing is unpickled but what the parent wrote.
    """
    global _worker
    end_with_parent()
    pickled = path.read_bytes()
    if hashlib.sha256(pickled).digest() != digest:
        raise SynthError("what the workers are to make was changed", where=str(path))
    workshop: Workshop = pickle.loads(pickled)  # the parent's own bytes
    _worker = workshop, OpenHosts(workshop.stock)


def _make(number: int) -> Path:
    assert _worker is not None
    with single_thread():
        return make_block(_worker[0], number, _worker[1])
