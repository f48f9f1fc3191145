import pytest

from base.errors import RalmError, Unavailable
from lm.backends.remote.address import Address
from lm.backends.remote.exchange import Exchange
from lm.backends.remote.server import DEFAULT_CONTEXT, Server, estimate
from lm.prompts import Message
from tests.corpus import documents
from tests.lm.backends.remote.servers import html, raw, reply, status

TURNS = [Message("user", "Hi")]


def opened(server, time, more: str = "") -> Server:
    return Server(Exchange(Address.of(server.url + more), timing=time.timing))


def test_the_only_model_is_taken_with_its_context(server, time):
    found = opened(server, time)
    assert (found.model, found.context_tokens, found.tokenizes) == ("tiny", 512, False)
    assert found.written(TURNS) is None


def test_of_several_models_one_must_be_named(server, time):
    server.routes["/v1/models"] = reply({"data": [{"id": "a", "context_length": 99}, {"id": "b"}]})
    with pytest.raises(RalmError, match=r"several models \(a, b\): name one, as in .*#a"):
        opened(server, time)
    assert opened(server, time, "#a").context_tokens == 99
    assert opened(server, time, "#b").context_tokens == DEFAULT_CONTEXT
    assert opened(server, time, "?context=77#a").context_tokens == 77


def test_a_server_without_a_list_needs_a_name(server, time):
    server.routes["/v1/models"] = status(404)
    with pytest.raises(RalmError, match="name the one to read"):
        opened(server, time)
    assert opened(server, time, "#any").model == "any"


@pytest.mark.parametrize("way", [html(), raw(b"{}"), status(500), raw(b'{"data": 3}')])
def test_what_is_no_server_of_models_is_said_when_it_is_opened(server, time, way):
    server.routes["/v1/models"] = way
    with pytest.raises(Unavailable, match=r"HTTP 500|HTML instead of JSON|no list of models"):
        opened(server, time)
    assert len(server.asked) == 2


def test_a_wrong_key_is_said_when_it_is_opened(server, time):
    server.routes["/v1/models"] = status(401, {"error": {"message": "Invalid key"}})
    with pytest.raises(RalmError, match=r"RALM_READER_KEY"):
        opened(server, time)


def as_llama_cpp(server) -> None:
    """The routes of llama.cpp's server, which ignores fields that it does not know."""

    def tokenized(handler):
        text = handler.body.get("content", "")
        reply({"tokens": [1] * handler.body.get("add_special", False) + [5 for _ in text.split()]})(handler)

    def written(handler):
        reply({"prompt": "".join(f"<{one['role']}>{one['content']}" for one in handler.body["messages"])})(
            handler
        )

    meta = {"n_ctx_train": 8192}
    server.routes |= {
        "/v1/models": reply({"data": [{"id": "tiny.gguf", "meta": meta}]}),
        "/props": reply({"default_generation_settings": {"n_ctx": 1024}}),
        "/tokenize": tokenized,
        "/apply-template": written,
        "/detokenize": reply({"content": "two tokens"}),
    }


def test_llama_cpp_says_its_slots_tokens_and_template(server, time):
    as_llama_cpp(server)
    found = opened(server, time)
    assert (found.model, found.context_tokens) == ("tiny.gguf", 1024)
    assert found.tokens("one two three") == (5, 5, 5)
    assert found.tokens("one", True) == (1, 5)
    assert found.written(TURNS) == "<user>Hi"
    assert found.text_of([5, 5]) == "two tokens"
    del server.routes["/props"]
    assert opened(server, time).context_tokens == 8192


def test_a_text_is_tokenized_once(server, time):
    as_llama_cpp(server)
    found = opened(server, time)
    before = len(server.asked)
    assert found.tokens("one two") == found.tokens("one two")
    assert len(server.asked) == before + 1


def test_a_server_that_stops_tokenizing_is_not_taken_for_one_that_estimates(server, time):
    as_llama_cpp(server)
    found = opened(server, time)
    server.routes["/tokenize"] = html()
    with pytest.raises(Unavailable, match="does not tokenize 'one two'"):
        found.tokens("one two")


def test_estimates_are_rather_too_high(reader):
    assert (estimate(""), estimate("abc"), estimate("2024"), estimate("北京")) == (0, 1, 4, 2)
    for one in documents():
        assert reader.count_tokens(one["text"]) <= estimate(one["text"])
