"""`/` and `/page/...`: the page for people, and `/card`: what it says of the stores.

The page holds no script and no style of its own beside its files, and loads nothing from anywhere else.
"""

from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response

from serve.routes.asked import answerer_of, retriever_of
from serve.schemas.cards import CardReply

router = APIRouter()

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    # A browser asks each time: the page of another ralm has other files.
    "Cache-Control": "no-cache",
}
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


_FOLDER = files("serve.page")
_FILES = {one.name for one in _FOLDER.iterdir() if Path(one.name).suffix in _KINDS}


@router.get("/", include_in_schema=False)
def index() -> Response:
    """The page."""
    return Response(_FOLDER.joinpath("index.html").read_bytes(), media_type="text/html", headers=HEADERS)


@router.get("/page/{name}", include_in_schema=False)
def file(name: str) -> Response:
    """A file that the page loads."""
    if name not in _FILES:
        raise HTTPException(404, f"The page has no such file: it has {', '.join(sorted(_FILES))}.")
    kind = _KINDS[Path(name).suffix]
    return Response(_FOLDER.joinpath(name).read_bytes(), media_type=kind, headers=HEADERS)


@router.get("/card")
def card(request: Request) -> CardReply:
    """What is asked: the size of each store, its domains, encoder and index, and what building it took."""
    return CardReply.of(retriever_of(request), answerer_of(request).reader)
