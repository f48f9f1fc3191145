"""What a route finds in the application that it is a route of."""

from fastapi import Request

from serve.answering.answerer import Answerer
from serve.queues.reading import Reading


def answerer_of(request: Request) -> Answerer:
    """Who answers."""
    found: Answerer = request.app.state.answerer
    return found


def reading_of(request: Request) -> Reading:
    """Where calls wait for the reader."""
    found: Reading = request.app.state.reading
    return found
