"""What a selection says it will use, what it refuses, and whether that is true."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import activesel
from activesel.config import load_config
from activesel.errors import DataError, UsageError
from activesel.pipelines import limits
from activesel.pipelines.limits import describe_plan, foresee, shape_of, suggest_parts
from activesel.pipelines.machine import TYPICAL, measure_rates, parse_bytes, pick_device, read_memory_limit
from activesel.pipelines.plan import LIBRARIES, Plan, PoolShape, plan_selection
from activesel.pipelines.request import Request
from activesel.records import Quota
from activesel.strategies import find_strategy, strategy_names
from activesel.tensors import find_map

MILLION = PoolShape(10**6, 256, 5000, n_labelled=1000, n_classes=10, graph="built")
VECTORS = np.random.default_rng(0).normal(size=(400, 12)).astype(np.float32)


@pytest.mark.parametrize("name", strategy_names())
class TestEveryStrategy:
    def test_more_rows_take_more_memory_and_time(self, name: str) -> None:
        small, large = (plan_selection(replace(MILLION, n=n), find_strategy(name)) for n in (10**5, 10**6))
        assert LIBRARIES < small.peak_bytes < large.peak_bytes
        assert 0 < small.seconds < large.seconds

    def test_a_million_rows_stay_within_the_target(self, name: str) -> None:
        assert plan_selection(replace(MILLION, mapped=True), find_strategy(name)).peak_bytes < 4e9

    def test_parts_never_take_more_memory(self, name: str) -> None:
        strategy = find_strategy(name)
        if strategy.in_parts != "whole":
            whole = plan_selection(MILLION, strategy).peak_bytes
            parts = plan_selection(replace(MILLION, n_parts=8, graph="none"), strategy).peak_bytes
            assert parts < whole

    def test_the_plan_is_four_to_seven_lines(self, name: str) -> None:
        lines = describe_plan(plan_selection(MILLION, find_strategy(name)))
        assert 4 <= len(lines) <= 7
        assert lines[0].startswith("plan: up to ")
        assert len({len(line) for line in lines[1:]}) == 1, "not aligned"


def test_vectors_count_in_memory_and_as_pages_of_a_file() -> None:
    strategy = find_strategy("random")
    held, mapped = (plan_selection(replace(MILLION, mapped=on), strategy) for on in (False, True))
    assert held.peak_bytes - mapped.peak_bytes == pytest.approx(1.1 * 512e6)
    assert (held.mapped_bytes, mapped.mapped_bytes) == (0, 512_000_000)


def test_a_given_graph_is_held_but_not_built() -> None:
    built, given = (
        plan_selection(replace(MILLION, graph=g), find_strategy("sparse-coverage"))
        for g in ("built", "given")  # type: ignore[arg-type]
    )
    assert given.seconds < built.seconds
    assert given.peak_bytes < built.peak_bytes


# The prediction against the truth


@pytest.mark.parametrize(
    ("name", "n_parts"), [("default", 1), ("k-center", 1), ("sparse-coverage", 1), ("sparse-coverage", 3)]
)
def test_the_peak_stays_below_the_plan(tmp_path: Path, name: str, n_parts: int) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("the peak of a process is read as Linux tells it")
    code = f"""
import json, re, numpy as np
from activesel.pipelines.choose import choose
from activesel.pipelines.limits import shape_of
from activesel.pipelines.plan import plan_selection
from activesel.pipelines.request import Request
from activesel.strategies import find_strategy
rows = np.random.default_rng(0).normal(size=(6000, 64)).astype(np.float32)
rows /= np.linalg.norm(rows, axis=1, keepdims=True)
request = Request(rows, 60, {name!r}, labelled=np.arange(200), classes=np.arange(200) % 4, n_classes=4,
                  near_duplicate=0.98, group_cap=1, partitions={n_parts})
choose(request)
strategy = find_strategy({name!r})
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
print(json.dumps([plan_selection(shape_of(request, strategy), strategy).peak_bytes, peak]))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path)
    planned, actual = json.loads(done.stdout.splitlines()[-1])
    assert actual <= planned <= 1.5 * actual + 0.2 * 2**30


# The limit


def test_a_limit_that_is_met_changes_nothing() -> None:
    free = activesel.select(VECTORS, budget=20)
    assert activesel.select(VECTORS, budget=20, memory_limit="4GB").rows.tolist() == free.rows.tolist()


def test_a_limit_that_is_not_met_says_what_would_do() -> None:
    rows = np.zeros((1_000_000, 16), np.float16)
    with pytest.raises(UsageError) as caught:
        activesel.select(rows, budget=500, strategy="sparse-coverage", memory_limit="900MB")
    text = str(caught.value)
    assert text.startswith("selection.memory_limit: the selection needs more memory than it may use; found ")
    assert "expected at most 900 MB" in text
    assert "would do" in text
    wanted = text.partition("--memory-limit ")[2].split()[0]
    n_parts = int(text.partition("selection.partitions=")[2].split()[0])
    strategy = find_strategy("sparse-coverage")
    shape = shape_of(Request(rows, 500, neighbours=32), strategy)
    assert plan_selection(shape, strategy).peak_bytes <= parse_bytes(wanted, "the hint")
    cut = replace(shape, graph="none", n_parts=n_parts)
    assert plan_selection(cut, strategy).peak_bytes <= 900e6


def test_no_number_of_parts_is_named_where_none_does() -> None:
    strategy = find_strategy("sparse-coverage")
    assert suggest_parts(MILLION, strategy, 100e6) is None
    assert suggest_parts(MILLION, find_strategy("badge"), 1e12) is None


@pytest.mark.parametrize("text", ["lots", "", "4 GB please", "-1GB", "12", "0", "4XB"])
def test_a_limit_that_cannot_be_read(text: str) -> None:
    with pytest.raises(UsageError, match="memory_limit: cannot read an amount of memory"):
        activesel.select(VECTORS, budget=5, memory_limit=text)


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [("4GB", 4 * 10**9), ("900 MB", 9 * 10**8), ("1.5GiB", 3 * 2**29), ("2g", 2 * 10**9), (10**7, 10**7)],
)
def test_amounts_of_memory(text: Any, n_bytes: int) -> None:
    assert parse_bytes(text, "here") == n_bytes


def test_too_little_free_memory_is_a_warning_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(limits, "read_memory_limit", lambda: 10**6)
    assert len(activesel.select(VECTORS, budget=5).rows) == 5
    assert "are free" in caplog.text


def test_long_work_is_told_and_short_work_is_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(limits, "measure_rates", lambda _device: TYPICAL)
    with caplog.at_level(logging.INFO):
        activesel.select(VECTORS, budget=5, strategy="random")
        assert "plan:" not in caplog.text
        monkeypatch.setattr(limits, "LONG_ROWS", 400)
        activesel.select(VECTORS, budget=5, strategy="random")
    assert "plan: up to" in caplog.text
    assert capsys.readouterr().out == ""


# What the plan is made from


def test_the_shape_of_a_request(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", VECTORS.astype(np.float16))
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    request = Request(
        rows, 10.0, labelled=np.arange(20), classes=np.arange(20) % 3, n_classes=3, cost=np.full(400, 2.0),
        near_duplicate=0.9, group_cap=1, quotas=(Quota("x", np.zeros(400, int), np.array([9]), np.array([0])),),
    )  # fmt: skip
    shape = shape_of(request, find_strategy("k-center"))
    assert (shape.n, shape.d, shape.n_picks, shape.value_bytes, shape.mapped) == (400, 12, 5, 2, True)
    assert (shape.n_labelled, shape.n_classes, shape.model) == (20, 3, True)
    assert (shape.graph, shape.grouped, shape.n_parts) == ("built", True, 1)
    parts = replace(request, partitions=4)
    assert shape_of(parts, find_strategy("k-center")).graph == "none"
    assert shape_of(replace(parts, evaluation=0.1), find_strategy("k-center")).graph == "built"
    assert shape_of(parts, find_strategy("badge")).n_parts == 1


def test_a_copy_of_mapped_rows_is_not_mapped(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", VECTORS)
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    assert find_map(rows) is not None
    assert find_map(np.asarray(rows)[10:]) is not None
    assert find_map(rows[np.array([3, 1])]) is None
    assert find_map(VECTORS) is None


def test_a_plan_from_settings_alone() -> None:
    plan = foresee(load_config(None, ["selection.partitions=4"]), 10**6, 1000, 5, 5000)
    assert isinstance(plan, Plan)
    assert [stage.name for stage in plan.stages] == [
        "vectors", "model", "pick in 4 parts", "pick among their picks", "reasons"
    ]  # fmt: skip
    assert plan.peak_bytes < foresee(load_config(), 10**6, 1000, 5, 5000).peak_bytes


def test_rates_are_measured_quickly_and_memory_is_there() -> None:
    rates = measure_rates("cpu")
    assert min(rates.rough, rates.exact, rates.copy) > 1e6
    free = read_memory_limit()
    assert free is None or free > 10**7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "tpu"}, "device: cannot read a device"),
        ({"device": "cuda:99"}, "device: no such device"),
        ({"partitions": 0}, "partitions is a number of parts"),
        ({"partitions": 1.5}, "partitions is a number of parts"),
    ],
)
def test_settings_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises((UsageError, DataError), match=message):
        activesel.select(VECTORS, budget=5, **options)


def test_a_device_by_name() -> None:
    assert pick_device("cpu", "here") == "cpu"
    assert pick_device("auto", "here") in ("cpu", "cuda:0")
