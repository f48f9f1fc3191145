"""What goes wrong, as a reply says it and as a stream does."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from base.errors import Busy, RalmError, Unavailable
from lm.reader import ReaderStopped
from serve.routes.errors import error_of, handle_errors

ERRORS = {
    RalmError("No."): (400, "No."),
    Unavailable("Later."): (503, "Later."),
    ReaderStopped("Over."): (503, "Over."),
    Busy("Too many.", 7): (429, "Too many."),
    OSError(28, "No space left on device"): (503, None),
    KeyError("x"): (500, "The server failed (KeyError): its log says at what."),
}


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_a_reply_and_a_stream_say_the_same_of_an_error(error):
    app = FastAPI()
    handle_errors(app)

    @app.get("/")
    def route() -> None:
        raise error

    reply = TestClient(app, raise_server_exceptions=False).get("/")
    status, message = ERRORS[error]
    assert reply.status_code == status
    assert reply.json() == {"error": error_of(error)}
    assert reply.json()["error"]["code"] == status
    assert message in (None, reply.json()["error"]["message"])
    assert reply.headers.get("retry-after") == ("7" if status == 429 else None)
