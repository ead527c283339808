"""Processes that are measured, that take too long, that take too much; and what the tables make of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bench import sections, table
from bench.jobs import Job, Limits, Result, run_job
from bench.peers import PEERS, find_peer
from bench.pool import PoolSpec, write_pool
from bench.runner import Runner
from bench.sections import Sizes, shrink

SPEC = PoolSpec(600, 24, 40)
LIMITS = Limits(time_s=60.0, memory_gib=8.0, threads=1)
MACHINE: Result = {"copy_bytes_s": 1e10, "bf16_flop_s": 1e11, "fp32_flop_s": 5e10}
SIZES = Sizes(PoolSpec(1_000_000, 256), 5000, (600, 1200), (1000,), (SPEC,))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    write_pool(folder / SPEC.folder, SPEC)
    return folder


def test_job_survives_json() -> None:
    job = Job("select", "k-center", SPEC, 7, stored_graph=True, mapped=True, dtype="float32")
    assert Job.from_json(job.to_json()) == job


def test_a_measured_strategy(work: Path) -> None:
    result = run_job(Job("strategy", "k-center", SPEC, 10), work, LIMITS)
    assert result["dnf"] is None
    assert 0 < result["seconds"] < 60
    assert 0.01 < result["peak_gib"] < 2
    assert result["n_picks"] == 10
    assert result["objective"] == "radius"
    assert 0 < result["value"] < 2
    assert result["bytes"] == 600 * 24 * 2
    assert result["threads"] == 1


def test_too_long_is_a_dnf(work: Path) -> None:
    result = run_job(Job("select", "k-center", SPEC, 10), work, Limits(0.001, 8.0, 1))
    assert result["dnf"] == "more than 0.001 s"
    assert "seconds" not in result


def test_too_much_is_a_dnf(work: Path) -> None:
    result = run_job(Job("select", "k-center", SPEC, 10), work, Limits(60.0, 0.02, 1))
    assert result["dnf"] == "more than 0.02 GiB"


def test_a_failure_is_a_dnf_with_its_last_line(work: Path) -> None:
    result = run_job(Job("strategy", "no-such", SPEC, 10), work, LIMITS)
    assert "unknown strategy" in result["dnf"]


class Answering(Runner):
    """Answers instead of measuring: what the sections ask for is all that is of interest."""

    def __init__(self, dnf: set[tuple[str, int]], only: set[str]) -> None:
        super().__init__(Path(), LIMITS, None, only)
        self._dnf = dnf

    def run(self, section: str, job: Job, *, at_least_s: float = 0.0, **notes: Any) -> Result:  # noqa: ARG002
        dnf = "too slow" if (job.name, job.pool.n) in self._dnf else None
        result = {"section": section, **notes, **json.loads(job.to_json()), "seconds": 2.0, "cpu_s": 3.0,
                  "peak_gib": 1.0, "bytes": 1, "pass_s": 1.0, "setup_s": 0.5, "dnf": dnf}  # fmt: skip
        self.results.append(result)
        return result

    def has_graph(self, spec: PoolSpec) -> bool:  # noqa: ARG002
        return True


def test_ladder_ends_at_the_first_dnf() -> None:
    runner = Answering({("modAL margin", 600)}, {"modAL"})
    sections.run_peers(runner, SIZES)
    tried = [(r["name"], r["pool"]["n"]) for r in runner.results if r["kind"] == "peer"]
    assert ("modAL margin", 600) in tried
    assert ("modAL margin", 1200) not in tried
    assert ("modAL entropy", 1200) in tried
    assert not [name for name, _ in tried if not name.startswith("modAL")]


def test_ours_run_once_for_each_setting() -> None:
    runner = Answering(set(), {"peers"})
    sections.run_peers(runner, SIZES)
    ours = [(r["name"], r["pool"]["n"], r["labelled"]) for r in runner.results if r["kind"] == "strategy"]
    assert len(ours) == len(set(ours))
    assert {r["name"] for r in runner.results if r["kind"] == "peer"} == {peer.name for peer in PEERS}
    for result in runner.results:
        assert result["dtype"] == "float32"
        if result["kind"] == "peer":
            assert result["labelled"] == find_peer(result["name"]).knows_labels


def test_only_narrows() -> None:
    runner = Answering(set(), {"k-center"})
    for section in (
        sections.run_scale,
        sections.run_head,
        sections.run_gradients,
        sections.run_peers,
        sections.run_growth,
    ):
        section(runner, SIZES)
    assert {(r["kind"], r["name"]) for r in runner.results} == {("strategy", "k-center"), ("select", "k-center")}


def test_every_section_prints(capsys: pytest.CaptureFixture[str]) -> None:
    runner = Answering({("apricot facility location", 600)}, set())
    for name in ("scale", "head", "gradients", "peers", "growth"):
        getattr(sections, f"run_{name}")(runner, SIZES)
        getattr(table, f"print_{name}")([r for r in runner.results if r["section"] == name], MACHINE)
    printed = capsys.readouterr().out
    assert "sparse-coverage, graph built within" in printed
    assert "12 s, 2.33 GiB: met" in printed
    assert "DNF: too slow" in printed


def test_target_that_is_missed_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    runner = Answering(set(), {"k-center"})
    sections.run_scale(runner, SIZES)
    for result in runner.results:
        result["seconds"] = 12.5
    table.print_scale(runner.results, MACHINE)
    assert "12 s, 2.33 GiB: MISSED" in capsys.readouterr().out


def test_floor_by_hand() -> None:
    result = {"kind": "strategy", "name": "k-center", "budget": 4, "bytes": 2e10,
              "pool": {"n": 1000, "d": 100, "n_labelled": 6, "n_classes": 10}}  # fmt: skip
    reads, products = table.floor_s(result, MACHINE)
    assert reads == 2.0
    assert products == pytest.approx(2 * 1000 * 100 * 10 / 1e11)


def test_shrink_keeps_pools_usable() -> None:
    small = shrink(SIZES, 0.0001)
    assert small.scale.n == 600
    assert small.budget + small.scale.n_labelled <= small.scale.n
    assert all(spec.n_labelled <= spec.n // 4 for spec in small.badge)
