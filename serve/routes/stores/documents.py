"""`/documents`: a document as a page for people, and a passage of it with those beside it.

The page holds text alone: nothing of a document is markup, and nothing is loaded from anywhere.
"""

import base64
import hashlib
from html import escape
from itertools import pairwise
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse

from base.invalid import written
from serve.answering.places import Whole, between, url_of
from serve.routes.asked import base_of, places_of, retriever_of
from serve.schemas.hits import shown
from serve.schemas.stores.passages import NeighboursQuery, PassageModel

router = APIRouter(prefix="/documents")

_STYLE = """
:root { color-scheme: light dark; }
body { font: 1.05rem/1.6 Georgia, serif; max-width: 42rem; margin: 2rem auto; padding: 0 1rem; }
h1 { line-height: 1.2; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem; font-size: 0.9rem; }
dd { margin: 0; overflow-wrap: anywhere; }
article { white-space: pre-wrap; overflow-wrap: anywhere; }
span { scroll-margin: 40vh; }
span:target { background: #ffe58a; color: #000; }
"""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@router.get("/{file_id}", response_class=HTMLResponse)
def page(file_id: str, request: Request) -> HTMLResponse:
    """A document for people. Each passage has an anchor: `#chunk-3` is marked."""
    return HTMLResponse(html_of(_document(file_id, request)), headers=_HEADERS)


@router.get("/{file_id}/passages/{chunk}")
def passage(
    file_id: str, chunk: int, query: Annotated[NeighboursQuery, Query()], request: Request
) -> PassageModel:
    """A passage by its number in its document, with those beside it."""
    document = _document(file_id, request)
    numbers = [one.chunk for one in document.passages]
    if chunk not in numbers:
        there = f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else str(numbers[0])
        raise HTTPException(404, f"The document has no passage {chunk}: there are {there}.")
    return PassageModel.within(document, numbers.index(chunk), query.neighbours, base_of(request))


def _document(file_id: str, request: Request) -> Whole:
    found = places_of(request).find(file_id, retriever_of(request))
    if found is None:
        raise HTTPException(404, f"There is no document {written(file_id)} here: it may be taken down.")
    return found


def html_of(document: Whole) -> str:
    """A document's page."""
    title = escape(document.title)
    known = {"Domain": document.passages[0].domain, "Id": document.passages[0].doc_id}
    known |= {name: str(shown(one)) for name, one in document.metadata.items() if one is not None}
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in known.items())
    own = url_of(document.passages[0], document.place, "")
    link = "" if own.startswith("/") else f'<p><a href="{escape(own)}" rel="noreferrer">The original</a></p>'
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<dl>{rows}</dl>\n{link}"
        f"<article>{_article(document)}</article>\n</main>\n</body>\n</html>\n"
    )


def _article(document: Whole) -> str:
    gaps = ["", *(between(*two) for two in pairwise(document.passages))]
    return "".join(
        f'{escape(gap)}<span id="chunk-{one.chunk}">{escape(one.text)}</span>'
        for gap, one in zip(gaps, document.passages, strict=True)
    )
