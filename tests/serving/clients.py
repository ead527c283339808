"""The application as a client sees it, without a process or a network."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from starlette.testclient import TestClient

from activesel.lots import Arm
from activesel.models import Predictor
from activesel.pipelines.prediction_log import predictions_folder, read_predictions_made
from activesel.serving.app import Terms, create_app
from activesel.serving.log import PredictionLog
from activesel.serving.models import find_wanted, open_model
from activesel.serving.request import ServeRequest
from activesel.serving.serve import Threads, assemble
from activesel.serving.service import Service
from activesel.workspace import Workspace

BASE = "http://127.0.0.1:8000"


@contextmanager
def client(
    workspace: Workspace, predictors: Mapping[str, Predictor], names: Mapping[Arm, str] | None = None, *,
    share: float = 0.5, token: str = "", max_bytes: int = 1_000_000, refresh_s: float = 0.05,
) -> Iterator[TestClient]:  # fmt: skip
    """Yield a client of a server whose models are these, by id."""
    request = ServeRequest(names or {Arm.champion: "champion"}, share, token=token)
    log = PredictionLog(workspace.state / "predictions", max_bytes=10_000_000, sync_s=0.05)
    with ThreadPoolExecutor(2) as decoders, ThreadPoolExecutor(1) as loaders:
        threads = Threads(decoders, loaders)
        find_wanted(workspace, request.names)

        def open_service() -> Service:
            return assemble(workspace, request, lambda one: open_model(
                workspace, one, lambda folder, _device: predictors[folder.name], "cpu"), threads, log)  # fmt: skip

        app = create_app(open_service, Terms("127.0.0.1", token, max_bytes, 5, refresh_s))
        with TestClient(app, base_url=BASE) as one:
            yield one
    log.close()


def logged(workspace: Workspace) -> list[dict[str, object]]:
    return [event["data"] for event in read_predictions_made(predictions_folder(workspace))]


__all__ = ["asyncio", "client", "logged"]
