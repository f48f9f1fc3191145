from threading import Barrier

import pytest

from base.errors import RalmError, Unavailable
from lm.backends.remote.remote_reader import CONCURRENT, RemoteReader
from lm.prompts import Ensemble, Message, Prompt
from lm.reader import Completion, Sampling
from tests.lm.backends.remote.servers import answer, choice_of, dropped, reply, status, stream

CHAT = Prompt.of([Message("user", "What is the capital of France?")])
TEXT = Prompt(text="The capital of France is")


@pytest.fixture
def reader(server, time) -> RemoteReader:
    return RemoteReader(server.url, time.timing)


def test_it_continues_conversations_and_texts_as_the_server_does(server, reader):
    assert reader.generate([CHAT, TEXT], Sampling(9)) == [Completion("Paris.", 7, 3, True)] * 2
    paths = sorted(one.path for one in server.completions)
    assert paths == ["/v1/chat/completions", "/v1/completions"]
    assert {one.body["model"] for one in server.completions} == {"tiny"}
    assert reader.generate([], Sampling()) == []


def test_a_text_ends_at_a_stop_that_the_server_does_not_know(server, reader):
    server.usual = answer("One.\n\nTwo.", "length")
    (found,) = reader.generate([TEXT], Sampling(9, stop=("\n\n",)))
    assert (found.text, found.finished) == ("One.", True)
    (found,) = reader.generate([TEXT], Sampling(9))
    assert (found.text, found.finished) == ("One.\n\nTwo.", False)
    server.usual = answer(" a ")
    assert reader.generate([TEXT], Sampling(9, verbatim=True))[0].text == " a "


def test_what_the_server_does_not_count_is_counted_here(server, reader):
    server.usual = answer("Paris", usage=None)
    assert reader.generate([TEXT], Sampling()) == [Completion("Paris", 8, 2, True)]


def test_many_prompts_are_under_way_at_once_and_come_in_order(server, reader):
    together = Barrier(CONCURRENT)

    def way(handler):
        together.wait(20)
        reply(choice_of(handler, handler.body["prompt"], "stop"))(handler)

    server.usual = way
    prompts = [Prompt(text=str(number)) for number in range(CONCURRENT)]
    assert [one.text for one in reader.generate(prompts, Sampling())] == [one.text for one in prompts]


def test_a_failure_is_raised_and_what_has_not_begun_is_left(server, reader):
    server.usual = status(400, {"error": "too long"})
    with pytest.raises(RalmError, match="too long"):
        reader.generate([TEXT] * 200, Sampling())
    assert len(server.completions) < 200


def test_what_is_streamed_is_what_is_generated(server, reader):
    server.ways = [stream(["The", " sky", ".\n", "\nIt", " is"])]
    found = reader.stream(CHAT, Sampling(9, stop=("\n\n",)))
    assert "".join(found) == "The sky."
    assert found.finished
    assert server.completions[0].body["stream"] is True
    server.ways = [stream(["The", " sky"], "length")]
    found = reader.stream(TEXT, Sampling(2))
    assert "".join(found) == "The sky"
    assert not found.finished


def test_a_stream_that_nobody_reads_on_ends_at_the_server(server, reader):
    def endless(handler):
        while True:
            handler.event(choice_of(handler, "more ", None, streamed=True))
            handler.server.over.wait(0.01)

    server.ways = [stream(["a"], then=endless)]
    found = reader.stream(CHAT, Sampling())
    next(found.pieces)
    found.close()
    assert server.left.wait(20)
    for _ in found:  # What had come already.
        pass


def test_a_stream_is_never_silently_short(server, reader):
    for way in (stream(["Half"], None, end=b""), stream(["Half"], None), stream(["Half"], then=dropped)):
        server.ways = [way]
        with pytest.raises(Unavailable, match="broke off"):
            list(reader.stream(CHAT, Sampling()))


def test_what_a_server_cannot_do_is_refused_with_a_sentence(server, reader):
    both = Ensemble((CHAT, TEXT), (0.5, 0.5))
    for ask in (lambda one, how: reader.generate([one], how), reader.stream):
        with pytest.raises(RalmError, match="an ensemble of prompts"):
            ask(both, Sampling())
        with pytest.raises(RalmError, match="leave out beginnings"):
            ask(CHAT, Sampling(without=("I do not know",)))
        with pytest.raises(RalmError, match="cannot be held to what passages support"):
            ask(CHAT, Sampling(only_supported=True))
    with pytest.raises(RalmError, match="chat template"):
        reader.generate([Prompt(CHAT.conversation, "It is")], Sampling())
    assert server.completions == []
    assert reader.generate([Ensemble((CHAT,), (1.0,))], Sampling())[0].text == "Paris."


def test_the_key_comes_from_the_environment(server, time, monkeypatch):
    monkeypatch.setenv("RALM_READER_KEY", " sesame\n")
    reader = RemoteReader(server.url, time.timing)
    reader.generate([CHAT], Sampling())
    assert {one.headers["Authorization"] for one in server.asked} == {"Bearer sesame"}
    assert "sesame" not in repr(vars(reader))


def test_it_says_what_it_is(reader):
    assert (reader.name, reader.quantization, reader.adapter) == ("tiny", "as served", None)
    assert (reader.measured_bytes, reader.context_tokens) == (None, 512)
