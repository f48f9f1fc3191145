import pytest

from base.errors import RalmError, Unavailable
from lm.backends.remote.address import Address
from lm.backends.remote.echo import KNOWN, Echo, echoed
from lm.backends.remote.exchange import Exchange
from lm.backends.remote.failures import Malformed
from tests.lm.backends.remote.servers import answer, reply, status

WORDS = [("" if at == 0 else " ") + word for at, word in enumerate(KNOWN.split(" "))]


def repeated(words=WORDS, text: str | None = None, **changes):
    """An answer that repeats a text of so many tokens; `changes` are other lists than the right ones."""
    offsets = [sum(map(len, words[:at])) for at in range(len(words))]
    lists = {
        "tokens": words,
        "token_logprobs": [None] + [-1.0] * (len(words) - 1),
        "text_offset": offsets,
        "top_logprobs": [None] + [{"x": -0.5}] * (len(words) - 1),
    } | changes
    return {"choices": [{"text": "".join(words) if text is None else text, "logprobs": lists}]}


def test_a_server_that_repeats_the_known_text_scores(server, time):
    server.usual = reply(repeated())
    assert Echo(exchange(server, time), "tiny").more == 0
    (asked,) = server.completions
    assert asked.body == {
        "model": "tiny",
        "prompt": KNOWN,
        "max_tokens": 0,
        "temperature": 0.0,
        "echo": True,
        "logprobs": 1,
    }


@pytest.mark.parametrize("first", [status(400, {"error": "max_tokens must be at least 1"}), status(500)])
def test_a_server_that_must_add_a_token_may_add_one(server, time, first):
    def way(handler):
        more = handler.body["max_tokens"]
        (reply(repeated([*WORDS, " It"])) if more else first)(handler)

    server.usual = way
    found = Echo(exchange(server, time), "tiny")
    assert found.more == 1
    assert found.of(KNOWN).ends[-1] == len(KNOWN)


def exchange(server, time) -> Exchange:
    return Exchange(Address.of(server.url), timing=time.timing)


LIES = [
    (answer(KNOWN), "no log-probabilities"),
    (reply({"choices": []}), "no log-probabilities"),
    (reply(repeated(text=" It is.")), "another text"),
    (reply(repeated([" It", " is"], text=KNOWN)), "do not add up"),
    (reply(repeated(token_logprobs=[None] * len(WORDS))), "without a log-probability"),
    (reply(repeated(token_logprobs=[0.0] * len(WORDS))), "log-probabilities of 0"),
    (reply(repeated(token_logprobs=[0.9] * len(WORDS))), "without a log-probability"),
    (reply(repeated(token_logprobs=[-1.0])), "different lengths"),
    (reply(repeated(text_offset=[0] * len(WORDS))), "text_offset"),
    (reply(repeated(top_logprobs=[None] * len(WORDS))), "no likeliest"),
    (reply(repeated(tokens=[3] * len(WORDS))), "no strings"),
    (reply(repeated() | {"usage": {"prompt_tokens": 99}}), "where the text has 99"),
    (status(400, {"error": "echo is not supported"}), "echo is not supported"),
]


@pytest.mark.parametrize(("way", "said"), LIES)
def test_a_server_that_does_not_is_refused_with_a_sentence(server, time, way, said):
    server.usual = way
    with pytest.raises(RalmError, match=f"cannot score: .*{said}"):
        Echo(exchange(server, time), "tiny")
    assert not time.waits


def test_a_server_that_fails_may_score_another_time(server, time):
    server.usual = status(503)
    with pytest.raises(Unavailable, match="HTTP 503"):
        Echo(exchange(server, time), "tiny")


def test_special_tokens_before_a_text_are_none_of_its_own():
    offsets = [0, *(3 + sum(map(len, WORDS[:at])) for at in range(len(WORDS)))]
    logs = [None] + [-1.0] * len(WORDS)
    more = {
        "token_logprobs": logs,
        "text_offset": offsets,
        "top_logprobs": [None] + [{"x": -1.0}] * len(WORDS),
    }
    found = echoed(repeated(["<s>", *WORDS], KNOWN, **more), KNOWN, 0)
    assert found.ends[:3] == (0, len(WORDS[0]), len(WORDS[0]) + len(WORDS[1]))
    assert found.logs == (None, *logs[1:])
    assert found.likeliest == (False, *[True] * len(WORDS))


def test_the_first_token_behind_a_border_holds_something_behind_it():
    found = echoed(repeated(["The", " bridge", " is"], "The bridge is"), "The bridge is", 0)
    assert [found.behind(border, "tiny") for border in (0, 2, 3, 5, 10, 13)] == [0, 0, 1, 1, 2, 3]


def test_what_continues_a_text_is_left_out():
    answered = repeated(["The", " bridge", " is", " old"]) | {
        "usage": {"prompt_tokens": 3, "completion_tokens": 1}
    }
    assert len(echoed(answered, "The bridge is", 1).logs) == 3
    assert len(echoed(answered, [7, 8, 9], 1).logs) == 3
    with pytest.raises(Malformed, match="where the text has 3"):
        echoed(answered, [7, 8], 1)
