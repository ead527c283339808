"""Runs jobs one after another, makes what they need first, and writes every result as a line of JSON."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Set
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bench.jobs import Job, Limits, Result, run_job
from bench.pool import PoolSpec


class Runner:
    """work: folder for the pools. out: file that results are appended to, or None. only: what was asked for, or all."""

    def __init__(self, work: Path, limits: Limits, out: Path | None, only: Set[str]) -> None:
        self._work, self._limits, self._out, self._only = work, limits, out, only
        self.results: list[Result] = []
        if out is not None:
            out.parent.mkdir(parents=True, exist_ok=True)

    def wants(self, section: str, *names: str) -> bool:
        """Whether ``--only`` is silent, names the section, or names one of the things in it."""
        return not self._only or bool(self._only & {section, *names})

    def run(self, section: str, job: Job, *, at_least_s: float = 0.0, **notes: Any) -> Result:
        """Run one job on its pool, made before if need be. at_least_s: a longer time limit where none was asked for."""
        if job.kind != "machine":
            self._make_pool(job.pool, with_probs=not job.mapped)
        limits = replace(self._limits, time_s=max(self._limits.time_s, at_least_s))
        result: Result = {"section": section, **notes, **run_job(job, self._work, limits)}
        self.results.append(result)
        if self._out is not None:
            with self._out.open("a", encoding="utf8") as stream:
                stream.write(json.dumps(result) + "\n")
        said = f"DNF: {result['dnf']}" if result["dnf"] else f"{result['seconds']:.2f} s"
        print(f"{section}: {job.kind} {job.name}, {job.pool.n:,} x {job.pool.d}: {said}", file=sys.stderr, flush=True)
        return result

    def has_graph(self, spec: PoolSpec) -> bool:
        return (self._work / spec.folder / "similarity.npy").exists()

    def drop_pool(self, spec: PoolSpec) -> None:
        """Give the disk back."""
        shutil.rmtree(self._work / spec.folder, ignore_errors=True)

    def _make_pool(self, spec: PoolSpec, *, with_probs: bool) -> None:
        folder = self._work / spec.folder
        if (folder / "ready").exists():
            return
        job = Job("pool", "pool", spec, labelled=with_probs)
        result = run_job(job, self._work, replace(self._limits, time_s=3600.0))
        if result["dnf"]:
            raise SystemExit(f"the pool {asdict(spec)} could not be made: {result['dnf']}")
        (folder / "ready").touch()
