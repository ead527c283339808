"""Counts and timings in the text format that Prometheus reads (exposition format 0.0.4), written by hand."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

Labels = tuple[tuple[str, str], ...]


class Counter:
    """A number per set of labels that only grows."""

    def __init__(self, name: str, help: str) -> None:
        self.name, self.help = name, help
        self._values: dict[Labels, float] = defaultdict(float)

    def add(self, by: float = 1, **labels: str) -> None:
        self._values[tuple(sorted(labels.items()))] += by

    def lines(self) -> list[str]:
        values = dict(self._values) or {(): 0.0}
        return _head(self.name, self.help, "counter") + [
            f"{self.name}{_braces(labels)} {value:g}" for labels, value in sorted(values.items())
        ]


class Histogram:
    """How often a value was at most each bound; safe to call from threads."""

    def __init__(self, name: str, help: str, bounds: Sequence[float]) -> None:
        self.name, self.help, self.bounds = name, help, tuple(bounds)
        self._counts, self._sum = [0] * (len(self.bounds) + 1), 0.0
        self._adding = threading.Lock()

    def add(self, value: float) -> None:
        with self._adding:
            self._counts[bisect_left(self.bounds, value)] += 1
            self._sum += value

    def lines(self) -> list[str]:
        with self._adding:
            counts, total = list(self._counts), self._sum
        told, running = _head(self.name, self.help, "histogram"), 0
        for bound, count in zip((*map(str, self.bounds), "+Inf"), counts, strict=True):
            running += count
            told.append(f'{self.name}_bucket{{le="{bound}"}} {running}')
        return [*told, f"{self.name}_sum {total:g}", f"{self.name}_count {running}"]


class Metrics:
    """All that the server counts."""

    def __init__(self) -> None:
        self.requests = Counter("activesel_requests_total", "Requests answered, by status.")
        self.predictions = Counter("activesel_predictions_total", "Images judged, by model, arm and verdict.")
        self.refused = Counter("activesel_images_refused_total", "Images not judged, by reason.")
        self.shadow_dropped = Counter("activesel_shadow_dropped_total", "Shadow predictions left out for want of time.")
        self.swaps = Counter("activesel_model_swaps_total", "Times that an alias was followed, by alias and outcome.")
        self.seconds = Histogram("activesel_request_seconds", "Time from the last byte to the answer.", SECONDS)
        self.batch = Histogram("activesel_batch_images", "Images in one forward pass.", SIZES)
        self.forward = Histogram("activesel_forward_seconds", "Time of one forward pass.", SECONDS)

    def observe_pass(self, size: int, seconds: float) -> None:
        self.batch.add(size)
        self.forward.add(seconds)

    def render(self, gauges: Mapping[str, tuple[str, float]]) -> str:
        """Return the page; gauges: name -> what it is, its value now."""
        lines = [line for one in vars(self).values() for line in one.lines()]
        for name, (help, value) in gauges.items():
            lines += [*_head(name, help, "gauge"), f"{name} {value:g}"]
        return "\n".join(lines) + "\n"


def _head(name: str, help: str, kind: str) -> list[str]:
    return [f"# HELP {name} {help}", f"# TYPE {name} {kind}"]


def _braces(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels) + "}" if labels else ""


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
