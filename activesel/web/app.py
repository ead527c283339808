"""The review page's routes: from a request to a question to the review, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from activesel.errors import ActiveselError, DataError, RefusedError, UsageError
from activesel.pipelines.review import Review
from activesel.web.guard import Guard, People, csrf_of, is_own_request
from activesel.web.messages import AnswerIn, BackIn, ClassIn, OpenIn, tell_strip, tell_turn

HERE = Path(__file__).parent
THUMBNAIL_PX = 160
STATIC = {
    "review.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    **dict.fromkeys(("review.js", "stage.js", "shapes.js", "panel.js"), "text/javascript; charset=utf-8"),
}
_PAGES = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
router = APIRouter()


class NotInvited(Exception):
    """No cookie of anybody, or a request that does not come from our own page."""

    def __init__(self, why: str, status: int) -> None:
        super().__init__(why)
        self.why, self.status = why, status


def create_app(review: Review, people: People, *, host: str, image_px: int) -> FastAPI:
    """Return the application; host: the address that it is bound to."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)  # their pages load scripts from elsewhere
    app.state.review, app.state.people, app.state.image_px = review, people, image_px
    app.include_router(router)
    app.add_middleware(Guard, bound_to=host)
    app.add_exception_handler(NotInvited, _refuse)
    app.add_exception_handler(ActiveselError, _explain)
    app.add_exception_handler(RequestValidationError, _explain_request)
    return app


def _visitor(request: Request) -> str:
    """Return who asks; a POST must come from the page that we served to them."""
    people: People = request.app.state.people
    token = request.cookies.get(people.cookie)
    name = people.find(token)
    if name is None or token is None:
        raise NotInvited("open the link that `activesel review` printed for you", 401)
    if request.method != "GET" and not is_own_request(request.headers, token):
        raise NotInvited("this page is not yours any more: another link was opened in this browser; reload it", 403)
    return name


def _review(request: Request) -> Review:
    found: Review = request.app.state.review
    return found


Visitor = Annotated[str, Depends(_visitor)]
Reviewing = Annotated[Review, Depends(_review)]


@router.get("/enter/{token}")
def enter(token: str, request: Request) -> Response:
    """Take the token from the link into a cookie, then go to the page without it in the address."""
    people: People = request.app.state.people
    if people.find(token) is None:
        raise NotInvited("this link is of another run; open the one that `activesel review` printed last", 401)
    # A page that goes on by itself instead of a redirect: a Strict cookie is not sent along one that began elsewhere.
    response = HTMLResponse(_PAGES.get_template("enter.html.j2").render())
    response.set_cookie(people.cookie, token, httponly=True, samesite="strict", path="/")
    return response


@router.get("/")
def page(visitor: Visitor, review: Reviewing, request: Request) -> HTMLResponse:
    token = request.cookies[request.app.state.people.cookie]
    return HTMLResponse(_PAGES.get_template("review.html.j2").render(
        batch=review.batch_id, visitor=visitor, adjudicate=review.adjudicate, csrf=csrf_of(token)))  # fmt: skip


@router.get("/static/{name}")
def static(name: str) -> Response:
    if name not in STATIC:  # a name is never put into a path unless it is one of ours
        raise DataError("no such file")
    return Response((HERE / name).read_bytes(), media_type=STATIC[name])


@router.get("/image/{image_id}")
def image(image_id: str, _visitor: Visitor, review: Reviewing, request: Request) -> Response:
    return _picture(review, image_id, request.app.state.image_px)


@router.get("/thumbnail/{image_id}")
def thumbnail(image_id: str, _visitor: Visitor, review: Reviewing) -> Response:
    return _picture(review, image_id, THUMBNAIL_PX)


def _picture(review: Review, image_id: str, longest_px: int) -> Response:
    content, media_type = review.picture(image_id, longest_px)
    # The id follows from the content, so that it never changes; private: not for a proxy on the way.
    return Response(content, media_type=media_type, headers={"cache-control": "private, max-age=3600, immutable"})


@router.post("/api/next")
def next_turn(visitor: Visitor, review: Reviewing) -> dict[str, Any]:
    return _tell(review, visitor)


@router.post("/api/open")
def reopen(message: OpenIn, visitor: Visitor, review: Reviewing) -> dict[str, Any]:
    return tell_turn(review.reopen(visitor, message.image_id), list(review.classes))


@router.post("/api/back")
def turn_back(message: BackIn, visitor: Visitor, review: Reviewing) -> dict[str, Any]:
    turn = review.turn_back(visitor, message.image_id)
    if turn is None:
        raise RefusedError("there is nothing before this one")
    return tell_turn(turn, list(review.classes))


@router.post("/api/answer")
def answer(message: AnswerIn, visitor: Visitor, review: Reviewing) -> dict[str, Any]:
    """Save the answer and return what is next."""
    row = review.image_row(message.image_id)
    try:
        said = message.answer(row.width_px, row.height_px)
    except ValueError as error:
        raise UsageError(str(error)) from None
    saved = review.answer(visitor, said)
    return {"saved": saved, **_tell(review, visitor)}


@router.post("/api/classes")
def add_class(message: ClassIn, _visitor: Visitor, review: Reviewing) -> dict[str, Any]:
    return {"classes": review.add_class(message.name)}


def _tell(review: Review, visitor: str) -> dict[str, Any]:
    turn = review.next_turn(visitor)
    told = tell_turn(turn, list(review.classes))
    if turn is None:
        told["done"], told["total"] = review.progress(visitor)
        told["strip"] = tell_strip(review.strip(visitor))
    return told


def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, NotInvited)
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": error.why}, error.status)
    return HTMLResponse(_PAGES.get_template("closed.html.j2").render(why=error.why), error.status)


def _explain(_request: Request, error: Exception) -> Response:
    statuses: dict[type[Exception], int] = {RefusedError: 409, UsageError: 422, DataError: 404}
    status = statuses.get(type(error), 503)
    return JSONResponse({"error": str(error).encode("utf8", "backslashreplace").decode()}, status)


def _explain_request(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]  # its input is not repeated: it may be large
    return JSONResponse({"error": f"{'.'.join(map(str, first['loc']))}: {first['msg']}"}, 422)
