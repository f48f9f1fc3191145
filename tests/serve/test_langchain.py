"""LangChain's OpenAI classes ask the service as they ask OpenAI. To import them takes seconds."""

import pytest
from fastapi.testclient import TestClient

from retriever.local import LocalRetriever
from serve.answering.answerer import Answerer
from serve.app import create_app
from tests.serve.saying import Saying

pytestmark = pytest.mark.long
SAID = "The mayor of Bralgate is chosen every 8 years by lot [2]."
QUESTION = "How is the mayor of Bralgate chosen?"
TOOL = {"type": "file_search", "vector_store_ids": ["vs_towns"]}


@pytest.fixture
def model(store):
    from langchain_openai import ChatOpenAI

    http = TestClient(create_app(Answerer(LocalRetriever.open(store), Saying(SAID))))
    url = "http://testserver/v1"
    asking = ChatOpenAI(
        model="ralm", base_url=url, api_key="none", use_responses_api=True, http_client=http, max_retries=0
    )
    return asking.bind_tools([TOOL])


def texts(content):
    return [part for part in content if part["type"] == "text"]


def test_its_file_search_cites_files(model):
    reply = model.invoke(QUESTION)
    assert reply.content[0]["type"] == "file_search_call"
    (text,) = texts(reply.content)
    assert text["text"] == SAID.replace(" [2]", "")
    (cited,) = text["annotations"]
    assert (cited["type"], cited["filename"]) == ("file_citation", "Bralgate")
    assert reply.usage_metadata["output_tokens"] == len(SAID.split())


def test_its_streams_end_with_the_same_text_and_citations(model):
    whole, pieces = model.invoke(QUESTION), list(model.stream(QUESTION))
    assert len(pieces) > 5
    together = sum(pieces[1:], start=pieces[0])
    (text,), (expected,) = texts(together.content), texts(whole.content)
    assert (text["text"], text["annotations"]) == (expected["text"], expected["annotations"])
