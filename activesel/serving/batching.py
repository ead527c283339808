"""Gathers the inputs of one model from many requests and runs them together.

Decoding happens before and elsewhere; what an answer becomes is decided by whoever asked.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from activesel.models import Predictor

if TYPE_CHECKING:
    import torch

Row = npt.NDArray[np.float32]  # (c,) probabilities
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """One image that waits. input: what ``Predictor.prepare`` gave. answer: of the event loop that asked."""

    input: torch.Tensor
    answer: asyncio.Future[Row]


class Batcher:
    """Lanes that each take up to ``max_batch`` waiting inputs, at most ``max_wait_s`` after the first, and run them.

    Lanes gather one after the other, so that a quiet queue makes one batch and not one for each of them.
    """

    def __init__(
        self,
        predictor: Predictor,
        loop: asyncio.AbstractEventLoop,
        *,
        max_batch: int,
        max_wait_s: float,
        lanes: int = 1,
        observe: Callable[[int, float], None] = lambda _size, _seconds: None,
    ) -> None:
        """observe: called after each pass with its number of images and its seconds."""
        self._predictor, self._loop, self._observe = predictor, loop, observe
        self._max_batch, self._max_wait_s = max_batch, max_wait_s
        self._waiting: SimpleQueue[Job | None] = SimpleQueue()
        self._gathering = threading.Lock()
        self._lanes = [threading.Thread(target=self._run, name=f"lane-{i}", daemon=True) for i in range(lanes)]
        for lane in self._lanes:
            lane.start()

    @property
    def n_waiting(self) -> int:
        return self._waiting.qsize()

    def put(self, job: Job) -> None:
        """Queue an input; safe to call from any thread, until ``close``."""
        self._waiting.put(job)

    def close(self) -> None:
        """Finish what is queued, then end the lanes."""
        for _ in self._lanes:
            self._waiting.put(None)
        for lane in self._lanes:
            lane.join()

    def _run(self) -> None:
        while batch := self._gather():
            began = time.perf_counter()
            try:
                rows: Sequence[Row | Exception] = list(self._forward(batch))
            except Exception as error:  # noqa: BLE001 - whatever the model raises is these requests' answer, not our end
                _LOG.exception("a forward pass failed")
                rows = [error] * len(batch)
            self._observe(len(batch), time.perf_counter() - began)
            try:
                self._loop.call_soon_threadsafe(_resolve, batch, rows)  # one wake-up for all of them
            except RuntimeError:
                return  # the loop is closed: nobody waits any more

    def _forward(self, batch: Sequence[Job]) -> npt.NDArray[np.float32]:
        import torch

        probs = self._predictor.probabilities(torch.stack([job.input for job in batch]))
        if probs.shape != (len(batch), len(self._predictor.classes)) or not np.isfinite(probs).all():
            raise ValueError(f"the model gave {probs.shape}, or values that are not finite")
        return probs

    def _gather(self) -> list[Job]:
        """Return what runs next; empty = the end."""
        with self._gathering:
            first = self._waiting.get()
            if first is None:
                return []
            batch, until = [first], time.monotonic() + self._max_wait_s
            while len(batch) < self._max_batch:
                try:
                    job = self._waiting.get(timeout=max(0.0, until - time.monotonic()))
                except Empty:
                    break
                if job is None:
                    self._waiting.put(None)  # of another lane, or ours after this batch
                    break
                batch.append(job)
            return batch


def _resolve(batch: Sequence[Job], rows: Sequence[Row | Exception]) -> None:
    for job, row in zip(batch, rows, strict=True):
        if job.answer.done():
            continue  # whoever asked has gone
        if isinstance(row, Exception):
            job.answer.set_exception(row)
        else:
            job.answer.set_result(row)
