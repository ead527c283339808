"""The measured process: reads the pool, warms up, measures one thing, prints its figures as a line of JSON.

    python -m bench.child JOB FOLDER SECONDS THREADS

Warm-up, imports and reading files are not timed. A timer of the operating system ends a process that takes too long,
in native code too. Figures are printed before the picks are judged, so that a failing judge loses no measurement.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.jobs import Job
from bench.pool import StoredPool, read_pool, write_pool
from bench.timed import REPEATS, SHORT_S, Timed, pass_over

Array = npt.NDArray[Any]
SEEKS = ("exemplars", "focus")  # strategies that are given examples of what to look for


def main(job: Job, work: Path, limit_s: float, threads: int) -> None:
    use_threads(threads)
    folder = work / job.pool.folder
    measures = {"pool": _write, "graph": _graph, "strategy": _strategy, "select": _select, "head": _head,
                "peer": _peer, "machine": _machine}  # fmt: skip
    measures[job.kind](job, folder, limit_s)


def use_threads(threads: int) -> None:
    """Libraries that ask for the number of cores rather than an environment variable get the same share."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    import torch

    torch.set_num_threads(threads)


def _write(job: Job, folder: Path, limit_s: float) -> None:  # noqa: ARG001
    write_pool(folder, job.pool, with_probs=job.labelled)
    _print({"seconds": 0.0})


def _machine(job: Job, folder: Path, limit_s: float) -> None:  # noqa: ARG001
    from bench.machine import measure_machine

    _print({"seconds": 0.0, **measure_machine()})


def _graph(job: Job, folder: Path, limit_s: float) -> None:  # noqa: ARG001
    from activesel.index import knn_graph
    from bench.quality import recall_at_k

    stored = read_pool(folder)
    knn_graph(stored.vectors[:512], 32)
    timed = Timed(limit_s)
    with timed.measure():
        graph = knn_graph(stored.vectors, 32)
    np.save(folder / "neighbours.npy", graph.neighbours)
    np.save(folder / "similarity.npy", graph.similarity)
    timed.figures["bytes"] = stored.vectors.nbytes
    _print(timed.figures)
    _print(
        {
            **timed.figures,
            "objective": "recall",
            "better": "higher",
            "value": recall_at_k(stored.vectors, graph.neighbours),
        }
    )


def _strategy(job: Job, folder: Path, limit_s: float) -> None:
    from activesel.strategies import find_strategy

    stored = _as_asked(job, read_pool(folder))
    run = find_strategy(job.name).run
    pool = _ready_pool(job, stored)
    run(_ready_pool(job, _tiny_pool(stored)), 3, np.random.default_rng(0))
    timed = Timed(limit_s)
    picks = timed.repeat(lambda: run(pool, job.budget, np.random.default_rng(0)))
    arrays = arrays_read(job.name, stored)
    timed.figures |= {"bytes": sum(array.nbytes for array in arrays), "pass_s": pass_over(arrays)}
    _judge(job, stored, picks.rows, timed.figures)


def _select(job: Job, folder: Path, limit_s: float) -> None:
    import activesel

    stored = _as_asked(job, read_pool(folder, mapped=job.mapped))
    around: dict[str, Any] = {"exemplars": stored.labelled[:20]} if job.name in SEEKS else {}
    if job.stored_graph:
        around["graph"] = activesel.KnnGraph(_needed(stored.neighbours), _needed(stored.similarity))
    tiny = _tiny_pool(stored)
    activesel.select(tiny.vectors, budget=3, labelled=tiny.labelled, classes=tiny.classes, strategy="k-center")
    timed = Timed(limit_s)
    with timed.measure():
        picks = activesel.select(stored.vectors, budget=job.budget, labelled=stored.labelled, classes=stored.classes,
                                 strategy=job.name, **around)  # fmt: skip
    assert len(np.unique(picks.rows)) == job.budget
    _print(timed.figures)


def _head(job: Job, folder: Path, limit_s: float) -> None:
    from activesel.training.head import LinearHead

    stored = read_pool(folder)
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(job.pool.n_classes, job.pool.d)).astype(np.float32)
    head = LinearHead(weight, np.zeros(job.pool.n_classes, np.float32), 1.0)
    head.probabilities(stored.vectors[:4096])
    timed = Timed(limit_s)
    probs = timed.repeat(lambda: head.probabilities(stored.vectors))
    _print({**timed.figures, "bytes": stored.vectors.nbytes + probs.nbytes,
            "pass_s": pass_over([stored.vectors, probs])})  # fmt: skip


def _peer(job: Job, folder: Path, limit_s: float) -> None:
    from bench.peers import Task, find_peer

    stored = _as_asked(job, read_pool(folder))
    peer, timed, setup = find_peer(job.name), Timed(limit_s), Timed(limit_s)
    tiny = _as_asked(job, _tiny_pool(stored))
    peer.prepare(Task(tiny, tiny.labelled, 3))()  # compiles what compiles at the first call
    task = Task(stored, stored.labelled, job.budget)
    for _ in range(REPEATS):
        with setup.measure():
            select = peer.prepare(task)
        with timed.measure():
            rows = np.asarray(select(), dtype=np.int64)
        if timed.figures["seconds"] + setup.figures["seconds"] > SHORT_S:
            break
    timed.figures["peak_gib"] = max(timed.figures["peak_gib"], setup.figures["peak_gib"])
    timed.figures["setup_s"] = setup.figures["seconds"]
    _judge(replace(job, name=peer.ours), stored, rows, timed.figures)


def _judge(job: Job, stored: StoredPool, rows: Array, figures: dict[str, Any]) -> None:
    from bench.quality import judge_of, needs_graph

    figures = {**figures, "n_picks": len(np.unique(rows))}
    _print(figures)
    name, better, value = judge_of(job.name)
    if needs_graph(job.name) and stored.neighbours is None:
        return
    known = np.unique(np.concatenate([stored.labelled, rows]))
    _print({**figures, "objective": name, "better": better, "value": value(stored, known, rows)})


def _as_asked(job: Job, stored: StoredPool) -> StoredPool:
    """Cast the vectors and hide the labels as the job says."""
    vectors = stored.vectors if job.mapped else stored.vectors.astype(job.dtype, copy=False)
    none = np.empty(0, np.int64)
    if job.labelled:
        return replace(stored, vectors=vectors)
    return replace(stored, vectors=vectors, labelled=none, classes=none)


def _tiny_pool(stored: StoredPool, n: int = 512) -> StoredPool:
    """The first rows with an exact graph of their own, for the warm-up."""
    vectors = np.array(stored.vectors[:n])
    n = len(vectors)
    cosine = vectors.astype(np.float32) @ vectors.astype(np.float32).T
    np.fill_diagonal(cosine, -2.0)
    neighbours = np.argsort(-cosine, axis=1)[:, :32].astype(np.int32)
    known = np.arange(20) if len(stored.labelled) else np.empty(0, np.int64)
    return StoredPool(vectors, known, known % 10, None if stored.probs is None else stored.probs[:n], neighbours,
                      np.take_along_axis(cosine, neighbours, 1))  # fmt: skip


def _ready_pool(job: Job, stored: StoredPool) -> Any:
    """The pool as the pipeline would hand it to the strategy: probabilities, scores and graph are there."""
    from activesel.records import KnnGraph, Pool
    from bench.quality import entropy_score, margin_score

    candidates = np.ones(len(stored.vectors), bool)
    candidates[stored.labelled] = False
    probs = _needed(stored.probs)
    graph = None if stored.neighbours is None else KnnGraph(stored.neighbours, _needed(stored.similarity))
    return Pool(
        stored.vectors, stored.labelled, candidates, stored.classes, probs,
        mutual_information=entropy_score(probs) / 10 if job.name == "power-bald" else None,
        uncertainty=margin_score(probs), graph=graph,
        exemplars=stored.vectors[np.arange(20) * 7].astype(np.float32) if job.name in SEEKS else None,
    )  # fmt: skip


def arrays_read(strategy: str, stored: StoredPool) -> list[Array]:
    """Return the arrays that a strategy cannot do without reading."""
    from activesel.strategies import find_strategy

    wanted = find_strategy(strategy)
    reads = wanted.needs | wanted.uses
    only_scores = strategy in ("random", "margin", "entropy", "least-confidence", "power-bald")
    arrays = [] if only_scores else [stored.vectors]
    if "mutual_information" in reads:
        arrays.append(np.empty(len(stored.vectors), np.float32))
    if reads & {"probs", "uncertainty"}:
        arrays.append(_needed(stored.probs))
    if "graph" in reads:
        arrays += [_needed(stored.neighbours), _needed(stored.similarity)]
    return arrays


def _needed(array: Array | None) -> Array:
    assert array is not None, "the job before this one writes it"
    return array


def _print(figures: dict[str, Any]) -> None:
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main(Job.from_json(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
