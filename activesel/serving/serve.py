"""Runs the prediction server until somebody stops it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from activesel.config import ServingConfig
from activesel.errors import UsageError
from activesel.heap import kept_heap
from activesel.lots import Arm, Split
from activesel.pipelines.prediction_log import predictions_folder
from activesel.serving.batching import Batcher
from activesel.serving.lineup import Lineup, Opened
from activesel.serving.log import PredictionLog
from activesel.serving.metrics import Metrics
from activesel.serving.models import (
    OpenPredictor,
    count_cores,
    find_wanted,
    open_model,
    pick_device,
)
from activesel.serving.request import ServeRequest
from activesel.serving.service import Limits, Service
from activesel.web.guard import is_loopback
from activesel.web.serve import listen
from activesel.workspace import Workspace

_MOST_CONNECTIONS = 1024
_CLOSING_S = 30  # after which those who still send nothing are cut off


@dataclass(frozen=True)
class Serving:
    """What a person must know to begin. models: arm -> id, "" = nobody yet."""

    url: str
    models: dict[str, str]
    engine: str
    device: str
    log: str
    warning: str = ""


def serve_predictions(
    workspace: Workspace, request: ServeRequest, open_predictor: OpenPredictor, announce: Callable[[Serving], None]
) -> None:
    """Answer predictions until interrupted; ``announce`` is called once, when requests can be sent.

    Raises:
        UsageError: no such model, no champion, an open address without a token, or no extra [serve].
        UnreachableError: the address or port is taken, or not this machine's.
    """
    try:
        import uvicorn

        from activesel.serving.app import Terms, create_app
        from activesel.web.protocol import patient_protocol
    except ModuleNotFoundError as error:
        raise UsageError(f"the prediction server needs {error.name}", hint="pip install 'activesel[serve]'") from None
    if not is_loopback(request.host) and not request.token:
        raise UsageError("an address that other machines reach needs a token", where=f"--host {request.host}",
                         hint="set ACTIVESEL_SERVE_TOKEN or --token")  # fmt: skip
    settings = workspace.config.serving
    device = pick_device(settings.device)
    open_one = partial(open_model, workspace, open_predictor=open_predictor, device=device)
    with listen(request.host, request.port) as listener, kept_heap(), _open_threads(settings) as threads:
        wanted = find_wanted(workspace, request.names)
        # Read before anything is announced, so that what is wrong with a model is said here and now.
        first = {model_id: open_one(model_id) for model_id in set(wanted.values()) if model_id is not None}
        log = PredictionLog(predictions_folder(workspace), max_bytes=int(settings.log_mb * 1e6), sync_s=settings.sync_s)
        service = partial(assemble, workspace, request, lambda one: first.pop(one, None) or open_one(one), threads, log)
        terms = Terms(request.host, request.token, int(settings.max_body_mb * 1e6), settings.read_timeout_s,
                      settings.refresh_s)  # fmt: skip
        config = uvicorn.Config(
            create_app(service, terms), http=patient_protocol(settings.read_timeout_s), log_level="error",
            access_log=False, server_header=False, ws="none",
            limit_concurrency=_MOST_CONNECTIONS, timeout_graceful_shutdown=_CLOSING_S,
        )  # fmt: skip
        url = f"http://{_shown(request.host)}:{listener.getsockname()[1]}"
        announce(Serving(url, {arm.value: found or "" for arm, found in wanted.items()}, request.engine, device,
                         str(predictions_folder(workspace)), _warn(request.host)))  # fmt: skip
        try:
            uvicorn.Server(config).run(sockets=[listener])
        except KeyboardInterrupt:
            pass  # the usual way to end: what was under way has been answered
        finally:
            log.close()


@dataclass(frozen=True)
class Threads:
    """decoders: of images. loaders: of models and aliases, so that neither waits for the other."""

    decoders: ThreadPoolExecutor
    loaders: ThreadPoolExecutor


def assemble(
    workspace: Workspace, request: ServeRequest, open_one: Callable[[str], Opened], threads: Threads, log: PredictionLog
) -> Service:
    """Put the service together; on the event loop, whose thread its parts belong to."""
    settings, metrics, loop = workspace.config.serving, Metrics(), asyncio.get_running_loop()

    def batcher_of(opened: Opened) -> Batcher:
        lanes = count_cores() if opened.predictor.device == "cpu" else 1
        return Batcher(opened.predictor, loop, max_batch=settings.max_batch, max_wait_s=settings.max_wait_ms / 1000,
                       lanes=lanes, observe=metrics.observe_pass)  # fmt: skip

    lineup = Lineup(
        partial(find_wanted, workspace, request.names), open_one, batcher_of, threads.loaders,
        lambda arm, outcome: metrics.swaps.add(alias=arm.value, outcome=outcome),
    )  # fmt: skip
    most = min(settings.max_megapixels, workspace.config.ingest.max_megapixels)
    split = Split(request.share, settings.salt) if Arm.challenger in request.names else None
    return Service(lineup, log, metrics, threads.decoders, Limits(settings.queue, int(most * 1e6)), split=split)


@contextmanager
def _open_threads(settings: ServingConfig) -> Iterator[Threads]:
    """Start the threads; each computes alone: threads that share one image wait for each other."""
    import cv2
    import torch

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # strangers do not fill our stderr
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    decoders = ThreadPoolExecutor(settings.decode_threads or count_cores(), thread_name_prefix="decode")
    loaders = ThreadPoolExecutor(1, thread_name_prefix="load")
    try:
        yield Threads(decoders, loaders)
    finally:
        decoders.shutdown(cancel_futures=True)
        loaders.shutdown(cancel_futures=True)
        torch.set_num_threads(before)


def _shown(host: str) -> str:
    if host in ("0.0.0.0", "::"):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


def _warn(host: str) -> str:
    return (
        "" if is_loopback(host) else f"{host} can be reached from other machines, and what is sent can be read (no TLS)"
    )
