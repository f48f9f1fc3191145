"""Any request that the API's description allows, and many that it does not: no answer is a defect."""

import os
from collections import Counter
from pathlib import Path

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
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

# Of each operation, of which there are more than twenty.
EXAMPLES = int(os.environ.get("RALM_FUZZ_EXAMPLES", "1000"))
# Streams of assistants (`/mcp`) are no part of the description.
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


@pytest.fixture(scope="module")
def app(store, tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("any")
    reader = together(tiny_reader(tiny_model(folder / "tiny")))
    settings = ServiceSettings(log=folder / "log.jsonl")
    yield create_app(Answerer(LocalRetriever.open(store), reader), settings=settings)
    reader.stop()


# What is asked for where a body could ask for much, or for what is not there.
SMALL = {
    "/v1/chat/completions": {
        "messages": [{"role": "user", "content": "Who makes blue glass?"}],
        "max_tokens": 2,
        "model": "ralm",
    },
    "/v1/completions": {"prompt": "The old bridge", "max_tokens": 2, "model": "ralm"},
    "/v1/responses": {"input": "Who makes blue glass?", "max_output_tokens": 2, "model": "ralm"},
    "/v1/embeddings": {"model": "ralm"},
    "/v1/rerank": {"model": "ralm"},
    "/tokenize": {"model": "ralm"},
    "/detokenize": {"model": "ralm"},
}


def naming(case: schemathesis.Case, file_id: str) -> schemathesis.Case:
    """A request for what is there, where it would have been for something else."""
    there = {"store_id": "vs_towns", "file_id": file_id, "chunk": 0, "model": "ralm"}
    case.path_parameters |= {name: there[name] for name in case.path_parameters if name in there}
    if isinstance(case.body, dict):
        case.body |= SMALL.get(case.path, {})
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


def statuses_of(operation: APIOperation, examples: int, derandomize: bool, file_id: str) -> list[int]:
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
        statuses.append(answered(naming(case, file_id) if there else case))

    ask()
    return statuses


def asked(app: FastAPI, examples: int, derandomize: bool) -> Counter[int]:
    """How many requests were answered with which status, so many of each operation."""
    with TestClient(app) as client:
        file_id = client.get("/v1/vector_stores/vs_towns/files").json()["data"][0]["id"]
        operations = [
            one.ok() for one in schemathesis.openapi.from_asgi("/openapi.json", app).get_all_operations()
        ]
        found = Counter[int]()
        for one in operations:
            found.update(statuses_of(one, examples, derandomize, file_id))
    return found


def test_any_request_is_answered(app):
    found = asked(app, 36, derandomize=True)
    assert found.total() > 900
    assert found[200] > 100


@pytest.mark.long
def test_twenty_thousand_requests_are_answered(app):
    found = asked(app, EXAMPLES, derandomize=False)
    print(dict(found))
    assert found.total() > 20 * EXAMPLES
