from lm.citations import Citer
from lm.reader import Sampling, TextStream
from serve.answering.answerer import CitedStream
from serve.routes.chat import _events, sampling
from serve.schemas.chat import ChatRequest


def request(**fields):
    return ChatRequest.model_validate({"messages": [{"role": "user", "content": "Why?"}], **fields})


def test_a_request_is_greedy_unless_it_asks_for_a_temperature():
    assert sampling(request()) == Sampling()
    assert sampling(request(temperature=0.7, top_p=0.9, seed=3, stop="x", max_tokens=5)) == Sampling(
        max_tokens=5, temperature=0.7, top_p=0.9, stop=("x",), seed=3
    )


def test_the_newer_name_of_the_token_limit_wins():
    assert sampling(request(max_tokens=5, max_completion_tokens=7)).max_tokens == 7


def test_nothing_is_measured_for_who_has_left():
    stream = CitedStream(TextStream(iter(["Glass."]), lambda: None), Citer(()))
    events = _events(None, None, stream, request())  # type: ignore[arg-type]
    assert next(events)["choices"][0]["delta"]["role"] == "assistant"
    assert next(events)["choices"][0]["delta"]["content"] == "Glass."
    stream.close()
    assert list(events) == []
