import httpx
import pytest

from base.errors import RalmError, Unavailable
from client.client import Client
from client.wire import Retries
from lm.backends.remote.failures import Rejected

QUESTION = "How is the mayor of Bralgate chosen?"


@pytest.fixture
def asked(service):
    with Client(service, "a-key") as found:
        yield found


def scripted(*lines):
    """A client of a service that streams these lines."""
    content = "".join(f"{line}\n\n" for line in lines)
    reply = httpx.Response(200, content=content, headers={"Content-Type": "text/event-stream"})
    return Client("http://service", http=httpx.Client(transport=httpx.MockTransport(lambda _: reply)))


def test_one_query_and_several(asked, store):
    one = asked.search("blue glass", k=3)
    assert len(one.hits) == 3
    assert one.hits[0].doc_id.startswith("Dunmarrow")
    both = asked.search(["blue glass", "a mayor"], k=2, method="bm25", view={"domains": ["travel"]})
    assert [result.query for result in both.results] == ["blue glass", "a mayor"]
    assert {hit.domain for result in both.results for hit in result.hits} == {"travel"}
    assert both.setting is None


def test_an_answer_streamed_and_whole_is_the_same(asked):
    found = asked.ask(QUESTION, max_tokens=12, retrieval={"passages": 2})
    assert len(found.citations) == 2
    assert found.query == QUESTION
    assert 0 < found.tokens.answer <= 12
    with asked.stream(QUESTION, max_tokens=12, retrieval={"passages": 2}) as stream:
        with pytest.raises(RalmError, match="not whole yet"):
            _ = stream.answer
        text = "".join(stream)
    whole = stream.answer
    assert text == whole.text == found.text
    assert (whole.citations, whole.tokens, whole.finished) == (found.citations, found.tokens, found.finished)


def test_a_conversation_without_retrieval(asked):
    turns = [
        {"role": "user", "content": "Who?"},
        {"role": "assistant", "content": "Nobody."},
        {"role": "user", "content": QUESTION},
    ]
    found = asked.ask(turns, max_tokens=4, temperature=0.5, seed=3, retrieval={"off": True})
    assert (found.citations, found.query, found.manifest, found.view) == ((), None, None, None)
    assert list(asked.stream(turns, max_tokens=4, temperature=0.5, seed=3, retrieval={"off": True}))


def test_a_stream_that_is_left_is_closed(asked):
    with asked.stream(QUESTION, max_tokens=200) as stream:
        next(iter(stream))
    with pytest.raises(RalmError, match="not whole yet"):
        _ = stream.answer
    with pytest.raises(RalmError, match="closed, or was read before"):
        list(stream)


@pytest.mark.parametrize(
    ("options", "status", "sentence"),
    [
        ({"k": 0}, 422, "k must be at least 1, not 0."),
        ({"methd": "bm25"}, 422, "did you mean method?"),
        ({"view": {"domains": ["none"]}}, 400, "has the domain 'none'"),
        ({"recall": float("nan")}, 422, "NaN"),
    ],
)
def test_the_sentence_of_the_service_is_the_error(asked, options, status, sentence):
    with pytest.raises(Rejected) as raised:
        asked.search("blue glass", **options)
    assert raised.value.status in (status, 400)
    assert sentence in str(raised.value)


def test_half_a_character_is_refused_by_the_service(asked):
    with pytest.raises(Rejected):
        asked.search("\udcff")


def test_a_key_is_given_or_stands_in_the_environment(service, monkeypatch):
    monkeypatch.setenv("RALM_API_KEY", "a-key another")
    with Client(service) as found:
        assert found.search("blue glass", k=1).hits
    with Client(service, "wrong") as found, pytest.raises(Rejected, match="does not know that key"):
        found.search("blue glass")
    with Client(service, "") as found, pytest.raises(Rejected, match="asks for a key"):
        found.stream(QUESTION)


def test_a_stream_that_breaks_off_says_why():
    piece = 'data: {"choices": [{"index": 0, "delta": {"content": "By"}}]}'
    for lines, kind, sentence in (
        ([piece], Unavailable, "it has no end"),
        (
            [piece, 'data: {"error": {"message": "It is stopping.", "code": 503}}'],
            Unavailable,
            "It is stopping.",
        ),
        ([piece, 'data: {"error": {"message": "Too long.", "code": 400}}'], Rejected, "Too long."),
        ([piece, "data: {"], Unavailable, "broke off"),
        ([piece, "data: [DONE]"], RalmError, "does not answer as ralm does"),
    ):
        pieces = iter(scripted(*lines).stream(QUESTION))
        assert next(pieces) == "By"
        with pytest.raises(kind, match=sentence):
            list(pieces)


def test_a_reply_of_another_program_is_refused():
    other = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=["other"])))
    found = Client("http://service", "", Retries(), other)
    for ask in (found.search, found.ask):
        with pytest.raises(RalmError, match="does not answer as ralm does"):
            ask(QUESTION)
