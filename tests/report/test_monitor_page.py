"""The page of `activesel monitor`: its states, its charts, and names of strangers on it."""

from __future__ import annotations

import re

import numpy as np
import pytest

from activesel.report.monitor_page import BatchBar, MonitorPage, ReadingRow, ShareRow, draw_pair, render_monitor

EVIL = "<img src=x onerror=alert(1)>"


def page(state: str = "act") -> MonitorPage:
    rows = (ReadingRow("overrides", EVIL, state, EVIL, EVIL, EVIL, 0.01, 0.5, 0.4, 0.6, 0.3),
            ReadingRow("drift", "", "absent", "nothing", "", "", None, None, None, None, None))  # fmt: skip
    drawn = draw_pair(EVIL, np.arange(10.0), np.arange(5.0, 15.0))
    assert drawn is not None
    return MonitorPage(EVIL, state, (EVIL,), (EVIL,), EVIL, rows, (ShareRow("recall", "of", 0.5, 0.2, 0.8, 9, 8.0),),
                       (BatchBar(12, 8, 3), BatchBar(0, 0, 0)), (drawn,), ((EVIL, 0.2, 0.4),))  # fmt: skip


@pytest.mark.parametrize(("state", "said"), [("act", "act now"), ("quiet", "all quiet"), ("unknown", "not known yet")])
def test_every_state_has_its_word(state: str, said: str) -> None:
    assert f'<div class="panel verdict {state}"><b>{said}</b>' in render_monitor(page(state))


def test_names_of_strangers_are_escaped_and_nothing_is_fetched() -> None:
    text = render_monitor(page())
    assert EVIL not in text
    assert text.count("&lt;img src=x") >= 9
    assert "http" not in text.replace("http-equiv", "")
    assert "<script" not in text


def test_bars_stand_on_each_other() -> None:
    text = render_monitor(page())
    chosen, explored = (re.findall(f'class="{name}" x="40" y="([0-9.]+)" width="24" height="([0-9.]+)"', text)[0]
                        for name in ("chosen", "explored"))  # fmt: skip
    assert float(chosen[0]) + float(chosen[1]) == 150
    assert float(explored[0]) + float(explored[1]) == float(chosen[0])
    assert ">3</text>" in text


def test_numbers_on_one_scale() -> None:
    assert draw_pair("x", np.empty(0), np.ones(3)) is None
    same = draw_pair("x", np.ones(4), np.ones(4))
    assert same is not None
    assert same.pool == same.picked


def test_nothing_to_show_leaves_the_sections_out() -> None:
    bare = MonitorPage("job", "quiet", ("nothing",), (), "", (), (), (), (), ())
    text = render_monitor(bare)
    assert 'id="line"' not in text
    assert 'id="drift"' not in text
