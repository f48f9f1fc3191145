"""What a route finds in the application that it is a route of."""

from fastapi import Request

from serve.answering.answerer import Answerer
from serve.queues.reading import Reading
from serve.queues.searching import SearchQueue


def answerer_of(request: Request) -> Answerer:
    """Who answers."""
    found: Answerer = request.app.state.answerer
    return found


def reading_of(request: Request) -> Reading:
    """Where calls wait for the reader."""
    found: Reading = request.app.state.reading
    return found


def searches_of(request: Request) -> SearchQueue:
    """Where searches wait for each other."""
    found: SearchQueue = request.app.state.searches
    return found
