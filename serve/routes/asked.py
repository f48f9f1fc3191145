"""What a route finds in the application that it is a route of."""

from fastapi import HTTPException, Request

from base.errors import Unavailable
from lm.reader import Reader
from retriever.retriever import Retriever
from serve.answering.answerer import Answerer
from serve.answering.places import Addresses, Places
from serve.queues.reading import Reading
from serve.queues.searching import SearchQueue


def answerer_of(request: Request) -> Answerer:
    """Who answers. Raises Unavailable until all is loaded."""
    found: Answerer | None = request.app.state.answerer
    if found is None:
        raise Unavailable("The store and the models are being loaded: /ready says when they are.")
    return found


def require_model(name: str, reader: Reader) -> None:
    """Raise the 404 of a model that is not here."""
    if name not in ("ralm", reader.name):
        raise HTTPException(404, f"There is no model {name!r} here: ask for ralm or {reader.name}.")


def reading_of(request: Request) -> Reading:
    """Where calls wait for the reader."""
    found: Reading = request.app.state.reading
    return found


def searches_of(request: Request) -> SearchQueue:
    """Where searches wait for each other."""
    found: SearchQueue = request.app.state.searches
    return found


def retriever_of(request: Request) -> Retriever:
    """What is searched now: ask once for each request, for a new generation may come."""
    found = answerer_of(request).retriever
    assert found is not None  # A server always has a store.
    return found


def places_of(request: Request) -> Places:
    """What finds documents by their ids."""
    found: Places = request.app.state.places
    return found


def base_of(request: Request) -> str:
    """The address that the service was asked at, without a slash at its end."""
    return str(request.base_url).rstrip("/")


def addresses_of(request: Request, retriever: Retriever) -> Addresses:
    """Where the hits of a retriever are read by who asks."""
    return Addresses(retriever, base_of(request), places_of(request))
