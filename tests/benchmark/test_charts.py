"""Charts by hand: no two strategies look alike, higher is further up, later is further right."""

from __future__ import annotations

import pytest

from activesel.benchmark.charts import SMALL, assign_looks, draw_curves, draw_differences, ticks_between
from activesel.benchmark.outcome import Estimate, Standing
from activesel.benchmark.summary import Compared

ZERO = Estimate(0.0, None)


def standing(name: str, points: list[float], half: float | None = 0.1, differences: tuple[float, ...] = ()) -> Standing:
    curve = tuple(Estimate(point, half) for point in points)
    against = {} if name == "random" else {"random": Compared(sum(differences) / max(len(differences), 1), 0.1, 2, 2)}
    labels = tuple(20 * (i + 1) for i in range(len(points)))
    return Standing(name, labels, {"macro_f1": curve}, {}, {}, against, differences, None, {}, ZERO)


def test_no_two_of_forty_look_alike() -> None:
    names = ["random", *(f"s{i}" for i in range(40))]
    looks = assign_looks([standing(name, [0.5]) for name in names])
    assert len({(look.colour, look.dash, look.shape) for look in looks.values()}) == 41
    by_colour: dict[str, set[tuple[str, str]]] = {}
    for look in list(looks.values())[:22]:
        by_colour.setdefault(look.colour, set()).add((look.dash, look.shape))
    dashes = [{dash for dash, _ in pairs} for pairs in by_colour.values()]
    assert all(len(one) == len(pairs) for one, pairs in zip(dashes, by_colour.values(), strict=True))


def test_curves_rise_to_the_right() -> None:
    own, random = standing("default", [0.2, 0.6, 0.8]), standing("random", [0.2, 0.3, 0.4])
    chart = draw_curves("t", [own, random], assign_looks([own, random]), "macro_f1", {"default"}, SMALL)
    assert [one.name for one in chart.series] == ["random", "default"], "the best is drawn last"
    xs, ys = zip(*chart.series[1].marks, strict=True)
    assert xs[0] == chart.left
    assert xs[2] == pytest.approx(chart.right)
    assert xs[1] == pytest.approx((chart.left + chart.right) / 2)
    assert chart.bottom > ys[0] > ys[1] > ys[2] > chart.top
    assert chart.series[0].marks[2][1] > ys[2]
    assert chart.series[1].band.endswith("Z")
    assert chart.series[0].band == ""


def test_one_point_and_one_seed_are_drawn() -> None:
    one = standing("random", [0.5], half=None)
    chart = draw_curves("t", [one], assign_looks([one]), "macro_f1", {"random"})
    assert chart.series[0].band == ""
    assert chart.top < chart.series[0].marks[0][1] <= chart.bottom


def test_differences_share_one_scale() -> None:
    better = standing("a", [0.5], differences=(0.1, 0.3))
    worse = standing("b", [0.4], differences=(-0.3, -0.1))
    plot = draw_differences([better, standing("random", [0.45]), worse], assign_looks([better, worse]))
    first, second = plot.strips
    assert first.low is not None
    assert second.low is not None
    assert second.low < second.mean < plot.zero < first.mean
    assert first.dots[0] - plot.zero == pytest.approx(plot.zero - second.dots[1])
    assert [tick.text for tick in plot.ticks] == ["−0.2", "0", "+0.2"]


@pytest.mark.parametrize(("low", "high"), [(0.13, 0.61), (0.0, 83.2), (-0.1, 0.2), (0.5, 0.5), (0.4999, 0.5001)])
def test_ticks_lie_within(low: float, high: float) -> None:
    ticks = ticks_between(low, high, 5)
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)
    assert len(ticks) <= 7
