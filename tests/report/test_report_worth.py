"""The section on whether another batch is worth its labels: geometry, words, and nothing where nothing is known."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from activesel.report.render import render_report
from activesel.report.worth import BOTTOM, LEFT, RIGHT, TOP, draw_worth
from activesel.training.worth import Point, Worth
from tests.report.sample import EVIL, make_report, make_worth


def numbers_of(path: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+\.?\d*", path)]


def test_the_next_batch_lies_between_today_and_its_labels() -> None:
    worth = make_worth()
    chart = draw_worth(worth)
    widest = worth.ahead[-1].labels
    assert chart.batch[0] == pytest.approx(LEFT + (RIGHT - LEFT) * worth.n_labels / widest)
    assert chart.batch[1] == pytest.approx(LEFT + (RIGHT - LEFT) * (worth.n_labels + worth.budget) / widest)
    assert (chart.now[0], chart.next[0]) == chart.batch
    assert chart.next[1] < chart.now[1], "up is smaller in SVG"


@pytest.mark.parametrize("worth", [make_worth(), replace(make_worth(), enough_at=None)], ids=["enough", "out of reach"])
def test_everything_lies_inside_the_frame(worth: Worth) -> None:
    chart = draw_worth(worth)
    for path in (chart.measured, chart.line, chart.band):
        xs, ys = numbers_of(path)[::2], numbers_of(path)[1::2]
        assert LEFT <= min(xs) <= max(xs) <= RIGHT
        assert TOP <= min(ys) <= max(ys) <= BOTTOM
    assert all(LEFT <= tick.at <= RIGHT for tick in chart.x_ticks)
    assert all(TOP <= tick.at <= BOTTOM for tick in chart.y_ticks)
    assert 3 <= len(chart.y_ticks) <= 8


def test_enough_is_marked_where_it_is_ahead_and_on_the_chart() -> None:
    worth = make_worth()
    assert draw_worth(worth).enough_x is not None
    assert draw_worth(replace(worth, enough_at=None)).enough_x is None
    assert draw_worth(replace(worth, enough_at=worth.n_labels)).enough_x is None, "today's line is there already"


def test_a_flat_curve_has_a_frame() -> None:
    flat = replace(
        make_worth(),
        measured=(Point(50, 1.0, 1.0, 1.0),),
        ahead=tuple(Point(labels, 1.0, 1.0, 1.0) for labels in (100, 200)),
    )
    chart = draw_worth(flat)
    assert "nan" not in chart.line + chart.band
    assert chart.y_ticks


def test_the_page_says_it() -> None:
    page = render_report(make_report(worth_text="the next 100 labels are expected to raise it"))
    assert '<a href="#worth">' in page
    assert "<p>The next 100 labels are expected to raise it.</p>" in page
    assert "next 100 labels: +0." in page


def test_a_reason_stands_alone_and_nothing_leaves_no_trace() -> None:
    page = render_report(make_report(worth=None, worth_text="no estimate: too few labels"))
    assert "No estimate: too few labels." in page
    assert "Macro-F1 over labels" not in page
    assert 'id="worth"' not in render_report(make_report(worth=None, worth_text=""))


def test_words_are_escaped() -> None:
    assert EVIL[0] not in render_report(make_report(worth_text=EVIL[0]))
