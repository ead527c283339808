"""The way to blend is found on the class's own examples, the same each time, and told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synth import choice
from synth.choice import FALLBACK, TRIED, Choice, choose_blend, follows_brightness, settle_blend, try_mode
from synth.planning import OpenHosts, Stock
from synth.records import Variant
from synth.stocking import GenerateRequest, Stocked, stock_up
from tests.synth.sets import write_set


def stocked(folder: Path, n_bad: int, blends: tuple[str, ...] = ()) -> Stocked:
    labels = write_set(folder, n_good=6, n_bad=n_bad)
    return stock_up(GenerateRequest(labels, "scratch", folder / "out", blends=blends))  # type: ignore[arg-type]


def test_too_few_examples_fall_back(tmp_path: Path) -> None:
    some = stocked(tmp_path, 2)
    found = choose_blend(some.stock, OpenHosts(some.stock))
    assert found == Choice(FALLBACK, {})
    assert "too few" in found.note


def test_the_least_told_wins_and_a_traced_mode_is_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = stocked(tmp_path, 6).stock
    aucs = {"residual": 0.8, "residual-scaled": 0.61, "gradient": 0.58, "alpha": float("nan")}
    monkeypatch.setattr(choice, "try_mode", lambda stock, _: aucs[stock.blends[0]])
    found = choose_blend(some, OpenHosts(some))
    assert found.mode == "residual-scaled"  # .03 better is chance: the earlier
    assert list(found.aucs) == ["residual", "residual-scaled", "gradient"]
    monkeypatch.setattr(choice, "try_mode", lambda *_: float("nan"))
    assert choose_blend(some, OpenHosts(some)).mode == FALLBACK


def test_contrast_that_follows_brightness_decides_a_tie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = stocked(tmp_path, 6).stock
    levels = (40.0, 60.0, 90.0, 130.0, 180.0, 230.0)

    def with_contrast(share: float, fixed: float) -> Stock:
        grounds = {
            one.donor_id: replace(one, background=np.full_like(one.background, level), contrast=share * level + fixed)
            for one, level in zip(some.donors.values(), levels, strict=True)
        }
        return replace(some, donors=grounds)

    follows, fixed = with_contrast(0.3, 0), with_contrast(0, 30)
    assert follows_brightness(follows)
    assert not follows_brightness(fixed)
    monkeypatch.setattr(choice, "try_mode", lambda *_: 0.6)
    assert choose_blend(follows, OpenHosts(follows)).mode == "residual-scaled"
    assert choose_blend(fixed, OpenHosts(fixed)).mode == "residual"


def test_it_is_measured_repeats_and_is_told(tmp_path: Path) -> None:
    some = stocked(tmp_path, 6)
    hosts = OpenHosts(some.stock)
    first = settle_blend(some, hosts)
    assert first.stock.blends[0] in TRIED
    assert first.stock.blends[0] in first.notes[-1]
    assert first.notes == settle_blend(some, OpenHosts(some.stock)).notes


def test_a_mode_that_was_asked_for_stays(tmp_path: Path) -> None:
    some = stocked(tmp_path, 6, blends=("alpha",))
    assert settle_blend(some, OpenHosts(some.stock)) is some


def test_a_trace_at_strength_0_rules_a_mode_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = replace(stocked(tmp_path, 6).stock, blends=("residual",))
    assert 0 <= try_mode(some, OpenHosts(some)) <= 1
    render = choice.render_plans

    def leave_a_trace(*args: Any) -> list[Variant]:
        return [replace(one, picture=np.where(one.meant[..., None], 255, one.picture)) for one in render(*args)]

    monkeypatch.setattr(choice, "render_plans", leave_a_trace)
    assert np.isnan(try_mode(some, OpenHosts(some)))
