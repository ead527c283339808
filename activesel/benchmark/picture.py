"""The learning curves as PNG, for mails and slides: the geometry of the SVG, drawn twice as fine and scaled down."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from activesel.benchmark.charts import CurveChart, Series, assign_looks, draw_curves
from activesel.benchmark.outcome import REFERENCE
from activesel.benchmark.story import BenchResult

Point = tuple[float, float]
SCALE = 2  # pixels per SVG unit
FINE = 2  # drawn so many times larger, then averaged: smooth edges
INK, MUTED, RULE = (22, 32, 44), (90, 102, 117), (223, 227, 233)
TOP, ROW, LEGEND = 36, 24, 300
BAND_OPACITY = 36  # of 255
_STYLE = (Path(__file__).parent / "bench.css").read_text(encoding="utf8")
_PALETTE = dict(re.findall(r"(--s\d|--reference): (#[0-9a-f]{6})", _STYLE.split("@media")[0]))  # the light one


def draw_picture(result: BenchResult) -> bytes:
    """Return the mean curves of macro-F1 with their legend as a PNG on white."""
    standings = result.standings
    few = {one.strategy for one in standings}
    if len(standings) > 4:
        few = {next(one.strategy for one in standings if one.strategy != REFERENCE), REFERENCE}
    chart = draw_curves("macro-F1", standings, assign_looks(standings), "macro_f1", few)
    title = f"macro-F1 of {Path(result.request.source).name}, mean of {result.request.seeds} seeds"
    canvas = _Canvas(chart.width + LEGEND, max(chart.height + TOP, 60 + ROW * len(standings)))
    _draw_frame(canvas, chart, title)
    for one in chart.series:
        canvas.band(_points_of(one.band), _colour(one))
    for one in chart.series:
        _draw_series(canvas, one, one.marks, chart.mark)
    for i, one in enumerate(reversed(chart.series)):
        y, x = 52.0 + ROW * i - TOP, chart.width + 12.0
        _draw_series(canvas, one, ((x, y), (x + 44, y)), 0)
        canvas.polygon(_outline(one.look.shape, (x + 22, y), 4.5), _colour(one))
        canvas.text((x + 54, y), one.name, INK, "lm")
    return canvas.png()


class _Canvas:
    """Draws in SVG units below the title."""

    def __init__(self, width: int, height: int) -> None:
        self._k = SCALE * FINE
        self._size = (width * SCALE, height * SCALE)
        self._image = Image.new("RGB", (width * self._k, height * self._k), "white")
        self._draw = ImageDraw.Draw(self._image)
        self._fonts = {size: ImageFont.load_default(size * self._k) for size in (13, 16)}

    def line(self, points: Sequence[Point], colour: tuple[int, int, int], width: float) -> None:
        self._draw.line(self._at(points), colour, round(width * self._k), joint="curve")

    def polygon(self, points: Sequence[Point], colour: tuple[int, int, int]) -> None:
        self._draw.polygon(self._at(points), colour)

    def band(self, points: Sequence[Point], colour: tuple[int, int, int]) -> None:
        if points:
            mask = Image.new("L", self._image.size)
            ImageDraw.Draw(mask).polygon(self._at(points), BAND_OPACITY)
            self._image.paste(colour, mask=mask)

    def text(self, at: Point, text: str, colour: tuple[int, int, int], anchor: str, size: int = 13) -> None:
        self._draw.text(self._at([at])[0], text, colour, self._fonts[size], anchor)

    def png(self) -> bytes:
        stream = io.BytesIO()
        self._image.resize(self._size, Image.Resampling.BOX).save(stream, "PNG", optimize=True)
        return stream.getvalue()

    def _at(self, points: Sequence[Point]) -> list[Point]:
        return [(x * self._k, (y + TOP) * self._k) for x, y in points]


def _draw_frame(canvas: _Canvas, chart: CurveChart, title: str) -> None:
    canvas.text((chart.left, -16), title, INK, "lm", 16)
    for tick in chart.y_ticks:
        canvas.line([(chart.left, tick.at), (chart.right, tick.at)], RULE, 1)
        canvas.text((chart.left - 7, tick.at), tick.text, MUTED, "rm")
    for tick in chart.x_ticks:
        canvas.text((tick.at, chart.bottom + 14), tick.text, MUTED, "mm")
    canvas.text(((chart.left + chart.right) / 2, chart.height - 10), "labelled images", MUTED, "mm")


def _draw_series(canvas: _Canvas, one: Series, points: Sequence[Point], mark: float) -> None:
    lengths = [float(length) for length in one.look.dash.split()]
    for piece in _cut(points, lengths) if lengths else [list(points)]:
        canvas.line(piece, _colour(one), 2.2)
    if mark:
        for point in points:
            canvas.polygon(_outline(one.look.shape, point, mark + 0.8), (255, 255, 255))
            canvas.polygon(_outline(one.look.shape, point, mark), _colour(one))


def _cut(points: Sequence[Point], lengths: Sequence[float]) -> Iterator[list[Point]]:
    """Yield the drawn pieces of a dashed line: lengths on, off, on, off, in turn."""
    corners = np.asarray(points, np.float64)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
    start, turn = 0.0, 0
    while start < along[-1]:
        end = min(start + lengths[turn % len(lengths)], along[-1])
        if turn % 2 == 0:
            stops = np.concatenate([[start], along[(along > start) & (along < end)], [end]])
            xs, ys = (np.interp(stops, along, corners[:, axis]) for axis in (0, 1))
            yield list(zip(xs.tolist(), ys.tolist(), strict=True))
        start, turn = end, turn + 1


def _outline(shape: str, centre: Point, radius: float) -> list[Point]:
    """Return the corners of one of the report's unit shapes, straight lines or a circle, around a point."""
    if "A" in shape:
        angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        corners = list(zip(np.cos(angles).tolist(), np.sin(angles).tolist(), strict=True))
    else:
        corners, x, y = [], 0.0, 0.0
        for command, numbers in re.findall(r"([MLHV])([^MLHVZ]*)", shape):
            values = [float(number) for number in re.findall(r"-?\d*\.?\d+", numbers)]
            x = values[0] if command in "MLH" else x
            y = values[-1] if command in "MLV" else y
            corners.append((x, y))
    return [(centre[0] + radius * x, centre[1] + radius * y) for x, y in corners]


def _points_of(path: str) -> list[Point]:
    return [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", path)]


def _colour(one: Series) -> tuple[int, int, int]:
    text = _PALETTE[one.look.colour.removeprefix("var(").removesuffix(")")]
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)
