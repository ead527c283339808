"""The prediction server's routes: from a request to the service, and back."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from activesel.lots import Arm
from activesel.serving.lineup import Standing
from activesel.serving.messages import Asked, Rejected, Room, plain_error, read_request
from activesel.serving.metrics import CONTENT_TYPE
from activesel.serving.service import Service
from activesel.web.guard import is_own_host

_BODIES = 16  # of the longest kind, in memory at once
_HEADER_BYTES = 65536
_LOG = logging.getLogger(__name__)
Handler = Callable[["Door", Request], Awaitable[Response]]


@dataclass(frozen=True)
class Terms:
    """Under which requests are let in. host: the address we are bound to. token: "" = none is asked for."""

    host: str
    token: str
    max_bytes: int
    timeout_s: float
    refresh_s: float


class Door:
    """What every route knows. closing: set when no more requests should come."""

    def __init__(self, service: Service, terms: Terms) -> None:
        self.service, self.terms, self.closing = service, terms, False
        self.room = Room(_BODIES * terms.max_bytes)

    def check(self, request: Request) -> None:
        """Refuse heads without end, and strangers: by the token, or, where none is asked for, pages of others.

        Raises:
            Rejected: 401, 421 or 431.
        """
        if sum(len(name) + len(value) for name, value in request.scope["headers"]) > _HEADER_BYTES:
            raise Rejected(431, f"headers of more than {_HEADER_BYTES} bytes")
        if self.terms.token:
            given = request.headers.get("authorization", "").encode("utf8", "replace")
            if not hmac.compare_digest(given, f"Bearer {self.terms.token}".encode()):
                raise Rejected(401, "the token is missing or wrong; send the header Authorization: Bearer TOKEN")
            return
        try:
            own = is_own_host(request.headers.get("host", ""), self.terms.host) and "origin" not in request.headers
        except ValueError:
            own = False
        if not own:
            raise Rejected(421, "this host is not served here, or a page of another one asks")


def create_app(open_service: Callable[[], Service], terms: Terms) -> FastAPI:
    """Return the application; open_service: called on the event loop when it starts."""

    @contextlib.asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        service = open_service()
        await service.lineup.refresh()
        door = app.state.door = Door(service, terms)
        watching = asyncio.get_running_loop().create_task(_watch(service, terms.refresh_s))
        try:
            yield
        finally:
            door.closing = True
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
            await service.close()

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=live)
    # Plain routes: a request here has no parameters for FastAPI to take apart, which costs a tenth of a millisecond.
    app.add_route("/v1/predict", _guarded(predict), methods=["POST"])
    app.add_route("/v1/model", _guarded(model), methods=["GET"])
    app.add_route("/metrics", _guarded(metrics), methods=["GET"])
    app.add_route("/health", health, methods=["GET"])
    app.add_exception_handler(HTTPException, _tell_nothing_here)
    app.add_route("/ready", ready, methods=["GET"])
    return app


async def _tell_nothing_here(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse(plain_error(error.detail), error.status_code, error.headers)


async def _watch(service: Service, refresh_s: float) -> None:
    while True:
        await asyncio.sleep(refresh_s)
        try:
            await service.lineup.refresh()
        except Exception as error:  # noqa: BLE001 - a catalog that cannot be read now may be read next time
            _LOG.error("the aliases cannot be read: %s", error)


def _guarded(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def guarded(request: Request) -> Response:
        door: Door = request.app.state.door
        began = time.perf_counter()
        try:
            door.check(request)
            response = await handler(door, request)
        except Rejected as error:
            response = tell_rejection(error)
        except Exception:  # noqa: BLE001 - one request's failure is not the server's
            _LOG.exception("a request failed")
            response = JSONResponse(plain_error("the model failed; the server's log says why"), 500)
        if handler is predict:
            door.service.metrics.requests.add(status=str(response.status_code))
            door.service.metrics.seconds.add(time.perf_counter() - began)
        return response

    return guarded


def tell_rejection(error: Rejected) -> Response:
    headers = {"retry-after": str(error.retry_s)} if error.retry_s else {}
    if error.status in (408, 413):
        headers["connection"] = "close"  # what is still to come of it is not read
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return JSONResponse(plain_error(error.why), error.status, headers)


async def predict(door: Door, request: Request) -> Response:
    if door.closing:
        raise Rejected(503, "the server is closing", retry_s=5)
    asked = await read_request(request, door.room, max_bytes=door.terms.max_bytes, timeout_s=door.terms.timeout_s)
    try:
        return tell_answers(asked, await door.service.answer(asked))
    finally:
        door.room.give_back(asked.n_bytes)


def tell_answers(asked: Asked, answers: list[dict[str, Any] | Rejected]) -> Response:
    """Return one answer as an object, several as a list in their order, an image that is none as its error.

    The status is 200 unless no image got a prediction: then that of the first error.
    """
    rejections = [one for one in answers if isinstance(one, Rejected)]
    if len(rejections) == len(answers) and (not asked.several or len(answers) == 1):
        return tell_rejection(rejections[0])
    told = [plain_error(one.why) if isinstance(one, Rejected) else one for one in answers]
    status = rejections[0].status if len(rejections) == len(answers) else 200
    return JSONResponse({"predictions": told} if asked.several else told[0], status)


async def model(door: Door, _request: Request) -> Response:
    lineup, split = door.service.lineup, door.service.split
    told: dict[str, Any] = {arm.value: _describe(one) for arm in Arm if (one := lineup.get(arm)) is not None}
    if split is not None:
        told["share"] = split.share
    if lineup.failed:
        told["failed"] = {arm.value: model_id for arm, model_id in lineup.failed.items()}
    return JSONResponse(told)


def _describe(one: Standing) -> dict[str, Any]:
    card = one.opened.card
    return {"model_id": card.model_id, "trainer": card.trainer, "dataset": card.dataset, "created": card.created,
            "classes": list(card.classes), "good": card.good, "threshold": one.opened.threshold,
            "since": one.since}  # fmt: skip


async def metrics(door: Door, _request: Request) -> Response:
    service, champion = door.service, door.service.lineup.get(Arm.champion)
    n_waiting = float(champion.batcher.n_waiting if champion else 0)
    gauges = {
        "activesel_images_under_way": ("Images that have no answer yet.", float(service.n_under_way)),
        "activesel_queue_images": ("Images that wait for the model.", n_waiting),
        "activesel_log_lost": ("Predictions that the log could not take.", float(service.log.n_lost)),
    }  # fmt: skip
    return PlainTextResponse(service.metrics.render(gauges), media_type=CONTENT_TYPE)


async def health(_request: Request) -> Response:
    return JSONResponse({"status": "alive"})


async def ready(request: Request) -> Response:
    """Say whether requests should come here: a model is loaded, its log can be written, nobody is closing."""
    door: Door = request.app.state.door
    champion = door.service.lineup.get(Arm.champion)
    if door.closing or champion is None:
        return JSONResponse({"status": "not ready"}, 503)
    return JSONResponse({"status": "ready", "model_id": champion.model_id, "log_lost": door.service.log.n_lost})
