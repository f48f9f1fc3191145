import json

import pytest
from fastapi import FastAPI, Request

from base.errors import RalmError
from serve.admission.bodies import Bodies
from serve.admission.journal import Journal
from serve.admission.requests import Requests
from serve.metrics import Metrics
from serve.routes.errors import handle_errors
from tests.serve.admission.applications import client_of


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log.jsonl"


def asked(log, prompts=False):
    app, metrics = FastAPI(), Metrics()

    @app.post("/say/{word}")
    async def say(word: str, request: Request):
        if word == "defect":
            raise ZeroDivisionError
        if word == "wrong":
            raise RalmError("No such word.")
        return (await request.body()).decode()

    @app.get("/health")
    async def health():
        return 1

    handle_errors(app)
    app.add_middleware(Bodies, most=1000, seconds=10)
    app.add_middleware(Requests, metrics=metrics, journal=Journal(log, metrics.line_lost), prompts=prompts)
    return client_of(app), metrics


def lines(log):
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_a_line_for_each_request_and_nothing_of_what_was_said(log):
    client, metrics = asked(log)
    reply = client.post("/say/yes", content="a secret")
    assert client.get("/health").status_code == 200
    (line,) = lines(log)
    assert line["id"] == reply.headers["x-request-id"]
    assert (line["path"], line["status"], line["took"], line["gave"]) == ("/say/yes", 200, 8, 10)
    assert line["seconds"] >= line["first"] > 0
    assert "secret" not in log.read_text()
    shown = metrics.shown().decode()
    assert 'ralm:http_requests_total{method="POST",route="/say/{word}",status="200"} 1.0' in shown
    assert "ralm:num_requests_running 0.0" in shown


def test_what_was_said_is_logged_if_asked_for(log):
    asked(log, prompts=True)[0].post("/say/yes", content="a secret")
    assert lines(log)[0]["body"] == "a secret"


@pytest.mark.parametrize(
    ("word", "status"), [("wrong", 400), ("defect", 500), ("no/such/route", 404), ("x" * 300, 200)]
)
def test_errors_carry_the_id_that_the_client_gave(log, word, status):
    reply = asked(log)[0].post(f"/say/{word}", headers={"x-request-id": "mine-1"})
    assert (reply.status_code, reply.headers["x-request-id"]) == (status, "mine-1")
    assert status == 200 or reply.json()["error"]["request_id"] == "mine-1"
    assert (lines(log)[0]["id"], lines(log)[0]["status"]) == ("mine-1", status)
    assert len(lines(log)[0]["path"]) <= 200


@pytest.mark.parametrize("given", ["", "two words", "x" * 129, "\xff"])
def test_an_id_that_no_log_should_hold_is_replaced(log, given):
    reply = asked(log)[0].post("/say/yes", headers={"x-request-id": given.encode("latin-1")})
    assert reply.headers["x-request-id"].startswith("req-")
