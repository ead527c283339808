"""Many trials in several processes, one thread each; every finished one is kept at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for

from activesel.benchmark.dataset import Dataset, split_by_group
from activesel.benchmark.kept import KeptTrials, Trial
from activesel.benchmark.peers import find_chooser
from activesel.benchmark.trial import Bench, Protocol, make_bench, run_trial
from activesel.errors import ActiveselError, DataError, UnreachableError
from activesel.progress import show_progress

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass
class _Worker:
    """What a process holds: the data, and the bench of the seed it was at last."""

    dataset: Dataset
    protocol: Protocol
    bench: Bench | None = None


_worker: _Worker | None = None


def run_all(
    dataset: Dataset, protocol: Protocol, strategies: Sequence[str], seeds: int, workers: int, kept: KeptTrials
) -> tuple[list[Trial], int]:
    """Return the trials of every seed 0..seeds-1 and strategy, in that order, and how many of them were kept ones.

    The result does not depend on ``workers``: each trial has a process of one thread to itself while it runs.

    Raises:
        DataError: a strategy that failed. UnreachableError: a process was killed, as by a machine out of memory.
    """
    wanted = [(seed, name) for seed in range(seeds) for name in strategies]
    found = {(seed, name): trial for seed, name in wanted if (trial := kept.read(name, seed)) is not None}
    n_kept = len(found)
    missing = [key for key in wanted if key not in found]
    with show_progress("trials", len(missing)) as advance:
        for trial in _run(dataset, protocol, missing, min(workers, len(missing))):
            kept.write(trial)
            found[trial.seed, trial.strategy] = trial
            advance(1)
    return [found[key] for key in wanted], n_kept


def _run(
    dataset: Dataset, protocol: Protocol, missing: Sequence[tuple[int, str]], workers: int
) -> Iterator[Trial]:  # fmt: skip
    """Yield trials as they are finished."""
    if not missing:
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with _one_thread():
        pool = ProcessPoolExecutor(workers, context, _start_worker, (dataset, protocol))
        try:
            pending: set[Future[Trial]] = {pool.submit(_run_one, seed, name) for seed, name in missing}
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for one in done:
                    yield one.result()
        except BrokenProcessPool:
            raise UnreachableError("a process of the benchmark was killed", hint="fewer --workers need less memory; "
                                   "run the same command again to go on") from None  # fmt: skip
        finally:
            _end(pool)


def _end(pool: ProcessPoolExecutor) -> None:
    """Stop at once, also in the middle of a trial: what is finished is on disk."""
    processes = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Have processes started meanwhile compute on one thread; libraries read this when they are loaded."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _start_worker(dataset: Dataset, protocol: Protocol) -> None:
    global _worker
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    warnings.simplefilter("ignore")  # of other libraries, about themselves
    torch.set_num_threads(1)
    _worker = _Worker(dataset, protocol)


def _end_with_parent() -> None:
    """Leave when the parent is gone, however it went: nobody would read the result."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)


def _run_one(seed: int, name: str) -> Trial:
    assert _worker is not None, "a worker runs its initialiser first"
    split = split_by_group(_worker.dataset, seed)
    if _worker.bench is None or _worker.bench.seed != seed:
        _worker.bench = make_bench(_worker.dataset, split, _worker.protocol, seed)
    try:
        curve = run_trial(_worker.bench, find_chooser(name), _worker.protocol)
    except ActiveselError as error:
        raise type(error)(str(error), where=f"{name}, seed {seed}") from None
    except Exception as error:  # of another library, which may raise anything; ours are bugs
        if ":" not in name:
            raise
        raise DataError(f"the peer failed with {type(error).__name__}", where=f"{name}, seed {seed}",
                        found=str(error).split("\n")[0], hint="leave it out of --strategies") from None  # fmt: skip
    scores = {key: tuple(float(value) for value in values) for key, values in curve.scores.items()}
    rows = tuple(split.pool[curve.rows].tolist())
    return Trial(name, seed, tuple(curve.labels.tolist()), scores, rows)
