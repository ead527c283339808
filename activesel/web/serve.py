"""Runs the review page until somebody stops it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from activesel.catalog import Catalog
from activesel.errors import UnreachableError, UsageError
from activesel.pipelines.review import Review, check_class
from activesel.web.guard import People, is_loopback
from activesel.workspace import Workspace


@dataclass(frozen=True)
class Invitation:
    name: str
    url: str


@dataclass(frozen=True)
class Started:
    """What a person must know to begin. warning: empty where only this machine can reach the page."""

    batch_id: str
    mode: str  # label or adjudicate
    n_images: int
    annotators: tuple[Invitation, ...]
    warning: str = ""


@dataclass(frozen=True)
class ReviewRequest:
    batch_id: str
    people: Sequence[str]
    host: str = "127.0.0.1"
    port: int = 0
    adjudicate: bool = False
    classes: Sequence[str] = ()


def serve_review(workspace: Workspace, request: ReviewRequest, announce: Callable[[Started], None]) -> None:
    """Serve a batch until interrupted; ``announce`` is called once, when the page can be opened.

    Raises:
        UsageError: two people of one name, a bad class, or the extra [review] is not installed.
        UnreachableError: the address or port is taken, or not this machine's.
    """
    if len(set(request.people)) < len(request.people):
        raise UsageError("two annotators have one name", found=", ".join(request.people))
    people_names = [_check_person(name) for name in request.people]
    try:
        import uvicorn

        from activesel.web.app import create_app
        from activesel.web.protocol import BODY_S, patient_protocol
    except ModuleNotFoundError as error:
        raise UsageError(f"the review page needs {error.name}", hint="pip install 'activesel[review]'") from None
    classes = [check_class(name) for name in (*request.classes, *workspace.config.review.classes)]
    with Catalog.open(workspace.catalog_place) as catalog, listen(request.host, request.port) as listener:
        review = Review(workspace, catalog, request.batch_id, adjudicate=request.adjudicate, classes=classes)
        port = int(listener.getsockname()[1])
        people = People.invite(people_names, port)
        app = create_app(review, people, host=request.host, image_px=workspace.config.review.image_px)
        config = uvicorn.Config(app, http=patient_protocol(body_s=BODY_S), log_level="error", access_log=False,
                                server_header=False)  # fmt: skip
        announce(_describe(request, review, people, port))
        try:
            uvicorn.Server(config).run(sockets=[listener])
        except KeyboardInterrupt:
            return  # the usual way to end


def _describe(request: ReviewRequest, review: Review, people: People, port: int) -> Started:
    shown = f"[{request.host}]" if ":" in request.host else request.host
    if request.host in ("0.0.0.0", "::"):
        shown = socket.gethostname()
    links = tuple(Invitation(name, f"http://{shown}:{port}/enter/{token}") for token, name in people.tokens.items())
    warning = "" if is_loopback(request.host) else (
        f"{request.host} can be reached from other machines, and what is sent can be read on the way (no TLS); "
        "the links are secrets")  # fmt: skip
    return Started(request.batch_id, "adjudicate" if request.adjudicate else "label", len(review.tasks), links, warning)


def _check_person(name: str) -> str:
    if not name.strip() or len(name) > 64 or not name.isprintable():
        raise UsageError("not a name of an annotator", found=repr(name[:64]), expected="1 to 64 printable characters")
    return name.strip()


@contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """Hold a port.

    Raises:
        UnreachableError: the address or port is taken, or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise UnreachableError("cannot serve there", where=f"{host}:{port}", found=error.strerror or str(error),
                                   hint="choose another --port, or 0 for any") from None  # fmt: skip
        listener.listen(128)
        yield listener
