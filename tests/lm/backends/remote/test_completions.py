import pytest

from base.errors import Unavailable
from lm.backends.remote.completions import Reply, Written, pieces, reply, sampled
from lm.backends.remote.failures import Malformed
from lm.prompts import Message
from lm.reader import Sampling


class Events:
    """A stream that has come already."""

    def __init__(self, *events: dict, closed: bool = False) -> None:
        self._events, self.closed = events, closed

    def __iter__(self):
        return iter(self._events)

    def broken(self, came: str) -> Unavailable:
        return Unavailable(came)


def delta(content: str | None, reason: str | None = None) -> dict:
    return {"choices": [{"delta": {"content": content}, "finish_reason": reason}]}


def test_turns_go_to_chat_and_texts_to_completions():
    turns = Written((Message("user", "Hi"),))
    assert turns.route("http://a/v1") == "http://a/v1/chat/completions"
    assert turns.body("m") == {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    text = Written(text="Once")
    assert text.route("http://a/v1") == "http://a/v1/completions"
    assert text.body("m") == {"model": "m", "prompt": "Once"}
    assert Written(text="<s>", templated=True).body("m")["add_special_tokens"] is False


def test_only_what_is_asked_for_is_sent():
    assert sampled(Sampling(5)) == {"max_tokens": 5, "temperature": 0.0}
    asked = Sampling(5, 0.7, 0.9, ("a", "b", "c", "d", "e"), seed=3)
    assert sampled(asked) == {
        "max_tokens": 5,
        "temperature": 0.7,
        "top_p": 0.9,
        "seed": 3,
        "stop": ["a", "b", "c", "d"],
    }


def test_a_reply_is_read_with_its_usage():
    usage = {"prompt_tokens": 4, "completion_tokens": 2}
    chat = {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}], "usage": usage}
    assert reply(chat) == Reply("Hi", False, 4, 2)
    assert reply({"choices": [{"text": "Hi", "finish_reason": "length"}]}) == Reply("Hi", True, None, None)
    thought = {"choices": [{"message": {"content": None, "reasoning": "hm"}, "finish_reason": "length"}]}
    assert reply(thought) == Reply("", True, None, None)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        {},
        {"choices": []},
        {"choices": {}},
        {"choices": ["a"]},
        {"choices": [{"text": "a"}]},
        {"choices": [{"text": "a", "finish_reason": None}]},
        {"choices": [{"text": "a", "finish_reason": "abort"}]},
        {"choices": [{"finish_reason": "stop"}]},
        {"choices": [{"text": 3, "finish_reason": "stop"}]},
        {"choices": [{"message": "a", "finish_reason": "stop"}]},
    ],
)
def test_an_unfinished_or_wrong_reply_is_malformed(wrong):
    with pytest.raises(Malformed):
        reply(wrong)


def test_pieces_come_with_whether_they_were_cut_off():
    found = Events(delta(""), delta("a"), delta("b"), delta(None, "length"), {"choices": [], "usage": {}})
    assert [*pieces(found)] == [("a", False), ("b", False), ("", True)]
    assert [*pieces(Events(delta("a", "stop")))] == [("a", False), ("", False)]


@pytest.mark.parametrize("last", [delta("b"), delta("b", "abort"), {"choices": [{"delta": 3}]}])
def test_a_stream_that_does_not_say_why_it_ends_is_broken(last):
    with pytest.raises(Unavailable):
        [*pieces(Events(delta("a"), last))]


def test_a_stream_that_was_closed_need_not_say_why_it_ends():
    assert [*pieces(Events(delta("a"), closed=True))] == [("a", False), ("", False)]
