"""From the bytes of images to answers: who judges, decode, wait for the batch, verdict, log. Knows no HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from activesel.images import Refused, decode_content, widen
from activesel.lots import Arm, Split
from activesel.serving.batching import Job, Row
from activesel.serving.lineup import Lineup, Standing
from activesel.serving.log import PredictionLog, prediction_event
from activesel.serving.messages import Asked, Picture, Rejected
from activesel.serving.metrics import Metrics
from activesel.serving.verdict import Verdict, judge

_STATUS = {"not-an-image": 415, "too-large": 413, "empty": 400}  # any other reason: 422
_ID_DIGITS = 32
BY_IMAGE = "no lot was given: the arm follows from the image's id, and lots stay unmixed only if they are told"


@dataclass(frozen=True)
class _Told:
    """A prediction, as it is answered and as it is logged."""

    prediction_id: str
    arm: Arm
    model_id: str
    verdict: Verdict

    def answer(self, image_id: str) -> dict[str, Any]:
        one = self.verdict
        return {
            "prediction_id": self.prediction_id, "image_id": image_id, "model_id": self.model_id, "arm": self.arm.value,
            "label": one.label, "probs": one.probs, "score": one.score, "threshold": one.threshold,
            "verdict": one.decision,
        }  # fmt: skip

    def record(self) -> dict[str, Any]:
        """Return what the events' schema of prediction.made asks for: verdict is the class, plain values alone."""
        one = self.verdict
        return {
            "prediction_id": self.prediction_id, "model_version": self.model_id, "arm": self.arm.value,
            "verdict": one.label, "score": one.probs[one.label], "decision": one.decision,
            "defect_score": one.score, "threshold": one.threshold, "probs": one.probs_as_text(),
        }  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """queue: images under way at once. max_pixels: of one image."""

    queue: int
    max_pixels: int


class Service:
    """Answers requests with the models of a lineup. Its methods run on one event loop."""

    def __init__(
        self, lineup: Lineup, log: PredictionLog, metrics: Metrics, decoders: Executor, limits: Limits, *,
        split: Split | None = None, source: str = "activesel/serve",
    ) -> None:  # fmt: skip
        """split: by which lots go to the challenger; None = the champion judges all. source: of the log's events."""
        self.lineup, self.log, self.metrics, self.split = lineup, log, metrics, split
        self._decoders, self._limits, self._source = decoders, limits, source
        self.n_under_way = 0
        self._shadows: set[asyncio.Task[None]] = set()

    async def answer(self, asked: Asked) -> list[dict[str, Any] | Rejected]:
        """Return, for each picture, its prediction or why there is none.

        Raises:
            Rejected: there is no room for so many now.
        """
        n = len(asked.pictures)
        if n > self._limits.queue:
            raise Rejected(413, f"{n} images in one request; at most {self._limits.queue} are judged at once")
        if self.n_under_way + n > self._limits.queue:
            raise Rejected(503, f"{self.n_under_way} images are under way already", retry_s=1)
        self.n_under_way += n
        try:
            if n == 1:
                return [await self._judge(asked.pictures[0], asked)]
            return await asyncio.gather(*(self._judge(picture, asked) for picture in asked.pictures))
        finally:
            self.n_under_way -= n

    async def _judge(self, picture: Picture, asked: Asked) -> dict[str, Any] | Rejected:
        began = time.perf_counter()
        content_id = hashlib.sha256(picture.content).hexdigest()[:_ID_DIGITS]
        image_id = picture.image_id or content_id
        arm, standing, note = self._choose(asked.lot, image_id)
        try:
            row = await self._run(standing, picture.content)
        except Refused as error:
            self.metrics.refused.add(reason=error.reason)
            return Rejected(_STATUS.get(error.reason, 422), str(error))
        verdict = judge(standing.opened, row)
        told = _Told(uuid.uuid4().hex, arm, standing.model_id, verdict)
        more = {"image_id": content_id, "given_id": picture.image_id, "lot": asked.lot, "station": asked.station}
        self._record(told, more | {"latency_s": round(time.perf_counter() - began, 4)})
        self._shadow(picture.content, more | {"answered_by": told.prediction_id})
        return told.answer(image_id) | ({} if note is None else {"note": note})

    def _record(self, told: _Told, more: Mapping[str, Any]) -> None:
        self.log.write(prediction_event(self._source, {**told.record(), **more}))
        self.metrics.predictions.add(model=told.model_id, arm=told.arm.value, verdict=str(told.verdict.decision))

    def _choose(self, lot: str | None, image_id: str) -> tuple[Arm, Standing, str | None]:
        """Return who judges; a comparison whose challenger is gone leaves everything to the champion."""
        challenger = self.lineup.get(Arm.challenger)
        if self.split is not None and challenger is not None:
            mine = Split(self.split.share, f"{self.split.salt}\n{challenger.model_id}")
            arm = mine.arm_of(lot if lot is not None else image_id)
            note = BY_IMAGE if lot is None else None
        else:
            arm, note = Arm.champion, None
        standing = challenger if arm is Arm.challenger else self.lineup.get(Arm.champion)
        if standing is None:
            raise Rejected(503, "no model is loaded yet", retry_s=1)
        return arm, standing, note

    async def _run(self, standing: Standing, content: bytes) -> Row:
        """Return the probabilities (c,); nothing awaits between choosing a model and counting on it."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Row] = loop.create_future()
        standing.n_under_way += 1
        self._decoders.submit(self._prepare, standing, content, answer, loop)
        try:
            return await answer
        finally:
            standing.n_under_way -= 1

    def _prepare(
        self, standing: Standing, content: bytes, answer: asyncio.Future[Row], loop: asyncio.AbstractEventLoop
    ) -> None:
        """Decode and hand over to the batch; on a thread of its own."""
        opened = standing.opened
        try:
            pixels = decode_content(content, max_pixels=self._limits.max_pixels, at_least_px=opened.least_px)
            picture = pixels if opened.takes_grey else widen(pixels)
            standing.batcher.put(Job(opened.predictor.prepare(picture), answer))
        except Exception as error:  # noqa: BLE001 - the one who waits gets it, whatever it is
            loop.call_soon_threadsafe(_fail, answer, error)

    def _shadow(self, content: bytes, more: Mapping[str, Any]) -> None:
        """Ask the shadow model, where there is one, for the log alone; never at the cost of an answer."""
        standing = self.lineup.get(Arm.shadow)
        if standing is None:
            return
        if standing.n_under_way + self.n_under_way >= self._limits.queue:
            self.metrics.shadow_dropped.add()
            return
        task = asyncio.get_running_loop().create_task(self._judge_aside(standing, content, more))
        self._shadows.add(task)
        task.add_done_callback(self._shadows.discard)

    async def _judge_aside(self, standing: Standing, content: bytes, more: Mapping[str, Any]) -> None:
        try:
            row = await self._run(standing, content)
        except Exception:  # noqa: BLE001 - logged where it happened; a shadow's failure is nobody's answer
            self.metrics.shadow_dropped.add()
            return
        told = _Told(uuid.uuid4().hex, Arm.shadow, standing.model_id, judge(standing.opened, row))
        self._record(told, more)

    async def close(self) -> None:
        """Finish what is under way, shadows too."""
        await self.lineup.close()
        if self._shadows:
            await asyncio.gather(*self._shadows, return_exceptions=True)


def _fail(answer: asyncio.Future[Row], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
