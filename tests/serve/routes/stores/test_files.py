"""Documents as files, by OpenAI's client; and what the API changes nothing by."""

import io
from collections.abc import Iterator

import openai
import pytest
from fastapi.testclient import TestClient

from retriever.local import LocalRetriever
from serve.answering.answerer import Answerer
from serve.app import create_app
from tests.corpus import documents


@pytest.fixture(scope="module")
def client(store) -> Iterator[openai.OpenAI]:
    http = TestClient(create_app(Answerer(LocalRetriever.open(store), None)))  # type: ignore[arg-type]
    with openai.OpenAI(
        base_url="http://testserver/v1", api_key="none", max_retries=0, http_client=http
    ) as found:
        yield found


def test_a_cited_file_is_found_by_its_id_alone(client):
    (best,) = client.vector_stores.search("vs_towns", query="blue glass", max_num_results=1).data
    found = client.files.retrieve(best.file_id)
    assert (found.id, found.object, found.filename) == (best.file_id, "file", "Dunmarrow")
    assert (found.purpose, found.status) == ("assistants", "processed")
    text = client.files.content(best.file_id).text
    assert text in [one["text"] for one in documents()]
    assert found.bytes == len(text.encode())
    with pytest.raises(openai.NotFoundError, match="There is no file 'file-x' in vs_towns"):
        client.files.retrieve("file-x")


def changes(client):
    """What OpenAI's client asks to change, and the command that does."""
    upload = {"file": io.BytesIO(b"a text"), "purpose": "assistants"}
    parts = {"bytes": 1, "filename": "a", "mime_type": "b", "purpose": "assistants"}
    stores, files = client.vector_stores, client.vector_stores.files
    return [
        (lambda: client.files.create(**upload), "ralm add"),
        (lambda: client.files.delete("file-x"), "ralm delete"),
        (
            lambda: client.uploads.create(**parts),
            "ralm add",
        ),
        (lambda: stores.create(name="mine"), "ralm build"),
        (lambda: stores.update("vs_towns", name="mine"), "ralm build"),
        (lambda: stores.delete("vs_towns"), "ralm delete"),
        (lambda: files.create("vs_towns", file_id="file-x"), "ralm add"),
        (lambda: files.update("file-x", vector_store_id="vs_towns", attributes={}), "ralm add"),
        (lambda: files.delete("file-x", vector_store_id="vs_towns"), "ralm delete"),
        (lambda: stores.file_batches.create("vs_towns", file_ids=["file-x"]), "ralm add"),
    ]


@pytest.mark.parametrize("number", range(10))
def test_nothing_is_changed_over_http_and_a_sentence_says_how_it_is(client, number):
    change, command = changes(client)[number]
    with pytest.raises(openai.PermissionDeniedError, match=f"The API changes no store: .*`{command}`"):
        change()
