"""What a front says of a reader without asking it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm.batching import together
from lm.prompts import Prompt
from lm.reader import Completion, Position, Sampling, TokenLogprob
from serve.scaled.reader import DeployedReader, ReaderReplica, Said
from tests.lm.models import tiny_model, tiny_reader


class Here:
    """Calls of a replica in this process, which are counted."""

    def __init__(self, replica):
        self.replica, self.asked = replica, []

    def ask(self, method, *arguments):
        self.asked.append(method)
        return getattr(self.replica, method)(*arguments)


@pytest.fixture(scope="module", params=[False, True])
def pair(tmp_path_factory, request):
    """A reader, and the one of a front; one kind puts a token before each text."""
    reader = tiny_reader(tiny_model(tmp_path_factory.mktemp("tiny") / "tiny", begins=request.param))
    replica = ReaderReplica.__new__(ReaderReplica)  # In this process there is nothing to load it from.
    replica._reader = together(reader)
    return reader, DeployedReader(Here(replica))


@given(text=st.text() | st.sampled_from(["<s>", "</s> a", "the old bridge\n\n[1] Title: text.", "漢字 ☕"]))
def test_tokens_are_counted_without_asking_and_alike(pair, text):
    reader, front = pair
    assert front.count_tokens(text) == reader.count_tokens(text)
    assert front._calls.asked == ["card", "tokenizer"]


def test_it_is_known_by_the_readers_card(pair):
    reader, front = pair
    assert (front.name, front.context_tokens) == (reader.name, reader.context_tokens)
    assert (front.quantization, front.measured_bytes) == (reader.quantization, reader.measured_bytes)
    assert front.waiting == 0


class Lost(Here):
    """Calls of two replicas: the first is lost with two tokens told, and no text."""

    async def pieces(self, method, *arguments, begun):
        one, two, three = (Position(TokenLogprob(n, b"abc"[n : n + 1], -1.0)) for n in range(3))
        for piece in (Said(), Said("", (one,)), Said("", (two,), 1)):
            yield piece
        assert not begun()
        for piece in (Said(), Said("", (one,)), Said("ab", (two,), 1), Said("c", (three,), 2)):
            yield piece
        yield Completion("abc", 3, 3, True, (one, two, three))


def test_tokens_that_a_second_replica_tells_again_are_told_once(pair):
    stream = DeployedReader(Lost(pair[1]._calls.replica)).stream(Prompt(text="x"), Sampling())
    assert "".join(stream) == "abc"
    assert [one.token.text for one in stream.positions] == ["a", "b", "c"]
