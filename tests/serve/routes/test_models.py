import openai
import pytest
from fastapi.testclient import TestClient

from lm.batching import together
from retriever.local import LocalRetriever
from serve.answering.answerer import Answerer
from serve.app import create_app
from tests.lm.models import tiny_model, tiny_reader

TURNS = [{"role": "user", "content": "Why?"}]
TEXT = "Who built the old bridge? Ansel Mirn — in the year of the flood."


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    return together(tiny_reader(tiny_model(tmp_path_factory.mktemp("models") / "tiny", begins=True)))


@pytest.fixture(scope="module")
def http(store, reader):
    return TestClient(create_app(Answerer(LocalRetriever.open(store), reader)))


def test_each_model_is_found_by_its_name(http, reader):
    # It closes its connection when it goes: this one is its own.
    own = TestClient(http.app)
    client = openai.OpenAI(base_url="http://x/v1", api_key="none", max_retries=0, http_client=own)
    names = [one.id for one in client.models.list()]
    assert names == ["ralm", reader.name]
    assert [client.models.retrieve(name).id for name in names] == names
    with pytest.raises(openai.NotFoundError, match="There is no model 'gpt-9' here"):
        client.models.retrieve("gpt-9")


@pytest.mark.parametrize("text", [TEXT, "", " ", "\x00é\U0001f600"])
def test_tokens_say_what_was_tokenized(http, reader, text):
    found = http.post("/tokenize", json={"prompt": text, "add_special_tokens": False}).json()
    assert found["count"] == len(found["tokens"]) == reader.count_tokens(text)
    assert found["max_model_len"] == reader.context_tokens
    assert http.post("/detokenize", json={"tokens": found["tokens"]}).json() == {"prompt": text}


def test_special_tokens_and_a_chats_template_are_what_the_reader_sees(http, reader):
    whole = http.post("/tokenize", json={"prompt": TEXT, "return_token_strs": True}).json()
    assert whole["tokens"][0] == http.post("/tokenize", json={"prompt": "<s>"}).json()["tokens"][0]
    assert whole["token_strs"][0] == "<s>"
    assert "".join(whole["token_strs"][1:]).startswith("Who built the old bridge?")
    chat = http.post("/tokenize", json={"messages": TURNS}).json()["tokens"]
    said = http.post("/detokenize", json={"tokens": chat}).json()["prompt"]
    assert said == "<user>Why?\n<assistant>"


def test_what_a_tokenizer_is(http):
    found = http.get("/tokenizer_info").json()
    assert (found["bos_token"], found["eos_token"]) == ("<s>", "</s>")
    assert "message['role']" in found["chat_template"]
    assert found["vocab_size"] > 256


@pytest.mark.parametrize(
    ("path", "body", "status", "reason"),
    [
        ("tokenize", {}, 422, "give either prompt or messages"),
        ("tokenize", {"prompt": "a", "messages": TURNS}, 422, "give either"),
        ("tokenize", {"prompt": "a", "model": "gpt-9"}, 404, "There is no model 'gpt-9'"),
        (
            "tokenize",
            {"messages": TURNS, "add_generation_prompt": False},
            422,
            "True",
        ),
        ("detokenize", {"tokens": [5, 99999]}, 400, "There is no token 99999: the reader's tokens are 0 to"),
        ("detokenize", {"tokens": [-1]}, 422, "must be at least 0, not -1"),
        ("detokenize", {"tokens": ["a"]}, 422, "must be a whole number"),
    ],
)
def test_what_cannot_be_tokenized_is_told_why(http, path, body, status, reason):
    reply = http.post(f"/{path}", json=body)
    assert reply.status_code == status
    assert reason in reply.json()["error"]["message"]


def test_a_reader_that_shows_no_tokens_says_so(store):
    class Far:
        name = "far"

    http = TestClient(create_app(Answerer(LocalRetriever.open(store), Far())))  # type: ignore[arg-type]
    for reply in (http.post("/tokenize", json={"prompt": "a"}), http.get("/tokenizer_info")):
        assert reply.status_code == 400
        assert "The reader far does not show its tokens here" in reply.json()["error"]["message"]
