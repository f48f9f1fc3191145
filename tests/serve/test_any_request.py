"""Any request that the API's description allows, and many that it does not: no answer is a defect."""

from pathlib import Path

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation

from lm.batching import together
from retriever.local import LocalRetriever
from serve.answering.answerer import Answerer
from serve.app import create_app
from serve.settings import ServiceSettings
from tests.lm.models import tiny_model, tiny_reader

# Streams of assistants (`/mcp`) are no part of the description.
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


@pytest.fixture(scope="module")
def app(store, tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("any")
    reader = together(tiny_reader(tiny_model(folder / "tiny")))
    settings = ServiceSettings(log=folder / "log.jsonl")
    yield create_app(Answerer(LocalRetriever.open(store), reader), settings=settings)
    reader.stop()


def naming(case: schemathesis.Case) -> schemathesis.Case:
    """A request for what is there, where it would have been for something else."""
    if "store_id" in case.path_parameters:
        case.path_parameters["store_id"] = "vs_towns"
    if isinstance(case.body, dict) and "messages" in case.body:
        case.body["messages"] = [{"role": "user", "content": "Who makes blue glass?"}]
        case.body["max_tokens"] = 2
    return case


def answered(case: schemathesis.Case) -> int:
    """The status of the answer, which is what an answer must be."""
    reply = case.call()
    assert reply.status_code not in (500, 504), reply.text
    assert reply.headers["x-request-id"]
    if reply.status_code >= 400:
        error = reply.json()["error"]
        assert error["code"] == reply.status_code
        assert error["message"].endswith((".", "?")), error
    return reply.status_code


def statuses_of(operation: APIOperation, examples: int, derandomize: bool) -> list[int]:
    """Of `examples` requests, some of which the description does not allow."""
    statuses: list[int] = []

    @settings(
        max_examples=examples,
        derandomize=derandomize,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in MODES)), st.booleans())
    def ask(case: schemathesis.Case, there: bool) -> None:
        statuses.append(answered(naming(case) if there else case))

    ask()
    return statuses


def asked(app: FastAPI, examples: int, derandomize: bool) -> int:
    """How many requests were answered, so many of each operation."""
    operations = schemathesis.openapi.from_asgi("/openapi.json", app).get_all_operations()
    return sum(len(statuses_of(one.ok(), examples, derandomize)) for one in operations)


def test_any_request_is_answered(app):
    assert asked(app, 4, derandomize=True) > 80


@pytest.mark.long
def test_twenty_thousand_requests_are_answered(app):
    assert asked(app, 1000, derandomize=False) > 20_000
