"""Runs the collector until somebody stops it: its token, its log, and the thread that drains it."""

from __future__ import annotations

import gc
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from activesel.catalog import Catalog
from activesel.errors import UsageError
from activesel.events.commit import GroupCommit
from activesel.events.drain import Drainer
from activesel.events.log import EventLog
from activesel.pipelines.events import log_folder, store_read
from activesel.web.guard import is_loopback
from activesel.web.serve import listen
from activesel.workspace import Workspace

TOKEN_VARIABLE = "ACTIVESEL_EVENTS_TOKEN"
_LEAST_TOKEN = 16
_GARBAGE = 20_000  # objects made before a look for cycles; 64 requests at once hold some thousands


@dataclass(frozen=True)
class Collecting:
    """What a person must know to send events. left_over_bytes: of an earlier run, being stored. warning: if any."""

    url: str
    token: str
    left_over_bytes: int
    warning: str = ""


def serve_events(workspace: Workspace, host: str, port: int, announce: Callable[[Collecting], None]) -> None:
    """Collect events until interrupted; ``announce`` is called once, when they can be sent.

    Raises:
        UsageError: the extra [events] is not installed, or a token that is too short.
        LockedError: another collector runs. UnreachableError: the address or port is taken, or not this machine's.
    """
    try:
        import uvicorn
        from starlette.applications import Starlette

        from activesel.web.collector import Collector, create_collector
        from activesel.web.protocol import BODY_S, patient_protocol
    except ModuleNotFoundError as error:
        raise UsageError(f"collecting events needs {error.name}", hint="pip install 'activesel[events]'") from None
    settings, token = workspace.config.events, read_token(workspace)
    log = EventLog(log_folder(workspace))
    with Catalog.open(workspace.catalog_place) as catalog, listen(host, port) as listener:
        drainer = Drainer(log, lambda read: store_read(workspace, catalog, read))
        commit = GroupCommit(log.append)
        collector = Collector(log, commit, drainer.done, token, settings.max_body_kb << 10,
                              settings.max_waiting_mb << 20, settings.max_backlog_mb << 20)  # fmt: skip

        @asynccontextmanager
        async def live(_app: Starlette) -> AsyncIterator[None]:
            drainer.start()
            yield
            await commit.close()
            drainer.stop()
            log.close()

        config = uvicorn.Config(create_collector(collector, live), http=patient_protocol(body_s=BODY_S), ws="none",
                                log_level="error", access_log=False, server_header=False, proxy_headers=False,
                                timeout_keep_alive=60)  # fmt: skip
        shown = f"[{host}]" if ":" in host else host
        url, warning = f"http://{shown}:{listener.getsockname()[1]}", "" if is_loopback(host) else (
            "what is sent can be read on the way (no TLS); the token is a secret")  # fmt: skip
        _look_for_garbage_rarely()
        announce(Collecting(url, token, log.backlog_bytes, warning))
        try:
            uvicorn.Server(config).run(sockets=[listener])
        except KeyboardInterrupt:
            return  # the usual way to end


def _look_for_garbage_rarely() -> None:
    """Spare the garbage collector what stays for good, and look less often: a tenth of a request's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE)


def read_token(workspace: Workspace) -> str:
    """Return the token that senders need: of the environment, else the workspace's, made once and kept.

    Raises:
        UsageError: it is too short to be a secret.
    """
    given = os.environ.get(TOKEN_VARIABLE, "").strip()
    if given and len(given) < _LEAST_TOKEN:
        raise UsageError("the token is too short", where=TOKEN_VARIABLE, expected=f"{_LEAST_TOKEN} characters or more")
    if given:
        return given
    path = log_folder(workspace) / "token"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        descriptor = os.open(path.with_suffix(".new"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf8") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
        path.with_suffix(".new").replace(path)
    return path.read_text(encoding="utf8").strip()
