"""Completions as they are asked over HTTP, of tiny random readers: their figures are exact, in float32."""

import json
from threading import Thread

import pytest
import uvicorn
from fastapi.testclient import TestClient
from lm_eval.api.instance import Instance
from lm_eval.models.openai_completions import LocalCompletionsAPI

from lm.backends.remote.remote_reader import RemoteReader
from lm.batching import together
from lm.prompts import Prompt
from lm.reader import Continuation, Row, Sampling
from retriever.local import LocalRetriever
from serve.answering.answerer import Answerer
from serve.app import create_app
from serve.listening import listen
from tests.lm.models import tiny_model, tiny_reader

TEXT = "Who built the old bridge?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("tiny") / "model", context=1500)


@pytest.fixture(scope="module")
def reader(folder):
    return tiny_reader(folder)


@pytest.fixture(scope="module")
def app(store, reader):
    with TestClient(create_app(Answerer(LocalRetriever.open(store), together(reader)))) as client:
        yield client


@pytest.fixture(scope="module")
def address(store, reader):
    """Where the same is served over real connections."""
    app = create_app(Answerer(LocalRetriever.open(store), together(reader)))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    listener = listen("127.0.0.1", 0)
    listener.listen()  # Who asks before the server accepts waits.
    thread = Thread(target=server.run, args=([listener],))
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()


def ask(app, prompt=TEXT, **fields):
    reply = app.post("/v1/completions", json={"prompt": prompt} | fields)
    assert reply.status_code == 200, reply.text
    return reply


def refused(app, status, prompt=TEXT, **fields):
    reply = app.post("/v1/completions", json={"prompt": prompt} | fields)
    assert reply.status_code == status, reply.text
    return reply.json()["error"]["message"]


def ids(reader, text=TEXT):
    return list(reader.tokens(text))


def test_a_text_is_gone_on_with_as_the_reader_does(app, reader):
    (wanted,) = reader.generate([Prompt(text=TEXT)], Sampling(6, verbatim=True))
    reply = ask(app, max_tokens=6).json()
    assert reply["choices"][0] == {
        "index": 0,
        "text": wanted.text,
        "finish_reason": "length",
        "logprobs": None,
    }
    assert reply["usage"] == {
        "prompt_tokens": len(ids(reader)),
        "completion_tokens": 6,
        "total_tokens": len(ids(reader)) + 6,
    }
    assert ask(app, ids(reader), max_tokens=6).json()["choices"][0]["text"] == wanted.text


def test_each_of_several_prompts_has_its_choices(app, reader):
    texts = [TEXT, "Paris", "The river"]
    alone = [ask(app, one, max_tokens=4).json()["choices"][0]["text"] for one in texts]
    together = ask(app, texts, max_tokens=4, n=2).json()
    assert [one["text"] for one in together["choices"]] == [one for one in alone for _ in range(2)]
    assert [one["index"] for one in together["choices"]] == list(range(6))
    as_ids = ask(app, [ids(reader, one) for one in texts], max_tokens=4).json()
    assert [one["text"] for one in as_ids["choices"]] == alone
    assert together["usage"]["completion_tokens"] == 24
    assert together["usage"]["prompt_tokens"] == sum(len(ids(reader, one)) for one in texts)


def test_as_many_prompts_as_may_be_have_two_texts_each(app):
    reply = ask(app, ["The river", "Paris"] * 128, max_tokens=1, n=2)
    assert len(reply.json()["choices"]) == 512


def test_it_says_what_it_took_what_was_searched_and_who_read(app, store):
    asked = {"max_tokens": 2, "retrieval": {"k": 1, "view": {"fraction": 0.5}}}
    whole = ask(app, [TEXT, "Who makes blue glass?"], **asked).json()
    lines = ask(app, [TEXT, "Who makes blue glass?"], **asked, stream=True).text.split("\n\n")
    last = json.loads(lines[-3].removeprefix("data: "))
    assert "propose" in whole["seconds"]
    for reply in (whole, last):
        assert {"queue", "prompt", "prefill", "decode"} <= set(reply["seconds"])
        assert reply["manifest"] == LocalRetriever.open(store).hash
        assert (reply["view"]["fraction"], reply["missing"]) == (0.5, [])
        assert [len(one) for one in reply["citations"]] == [1, 1]
    assert last["reader"] == whole["reader"]
    assert "seconds" not in json.loads(lines[0].removeprefix("data: "))
    metrics = app.get("/metrics").text
    for stage in ("read-queue", "prefill", "decode"):
        assert f'ralm:stage_seconds_count{{stage="{stage}"}}' in metrics
    plain = ask(app, max_tokens=1).json()
    assert (plain["manifest"], plain["view"], plain["citations"]) == (None, None, [])
    assert set(plain["seconds"]) == {"queue", "prompt", "prefill", "decode"}


@pytest.mark.parametrize("more", [0, 1, 3])
def test_an_echo_scores_the_prompt_as_the_reader_does(app, reader, more):
    for prompt in (TEXT, ids(reader)):
        choice = ask(app, prompt, max_tokens=more, echo=True, logprobs=2).json()["choices"][0]
        assert choice["text"].startswith(TEXT)
        logprobs = choice["logprobs"]
        assert len(logprobs["tokens"]) == len(ids(reader)) + more
        assert "".join(logprobs["tokens"][: len(ids(reader))]) == TEXT
        first, *rest = ids(reader)
        (wanted,) = reader.score([Row((first,), tuple(rest))])
        assert logprobs["token_logprobs"][0] is logprobs["top_logprobs"][0] is None
        assert logprobs["token_logprobs"][1 : len(rest) + 1] == pytest.approx(list(wanted), abs=1e-4)
        for at, token in enumerate(logprobs["tokens"][1:], 1):
            top = logprobs["top_logprobs"][at]
            assert top[token] == logprobs["token_logprobs"][at] <= max(top.values())
            assert len(top) in (2, 3)
        begins = [TEXT[start:] for start in logprobs["text_offset"][: len(ids(reader))]]
        assert all(map(str.startswith, begins, logprobs["tokens"]))


def test_an_echo_without_log_probabilities_is_the_text_alone(app, reader):
    for prompt in (TEXT, ids(reader)):
        choice = ask(app, prompt, max_tokens=2, echo=True).json()["choices"][0]
        assert choice["text"].startswith(TEXT)
        assert choice["logprobs"] is None
    assert ask(app, "é", max_tokens=0, echo=True).json()["choices"][0]["text"] == "é"


def test_a_stream_is_the_same_in_pieces(app):
    asked = {"max_tokens": 5, "echo": True, "logprobs": 1, "n": 2, "temperature": 1.0, "seed": 5}
    whole = ask(app, **asked).json()
    lines = ask(app, **asked, stream=True, stream_options={"include_usage": True}).text.split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    *chunks, last = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    assert (last["choices"], last["usage"]) == ([], whole["usage"])
    for wanted in whole["choices"]:
        mine = [c for one in chunks for c in one["choices"] if c["index"] == wanted["index"]]
        assert "".join(one["text"] for one in mine) == wanted["text"]
        assert [one["finish_reason"] for one in mine][-1] == wanted["finish_reason"]
        for name in ("tokens", "text_offset"):
            found = [each for one in mine if one["logprobs"] for each in one["logprobs"][name]]
            assert found == wanted["logprobs"][name]


def test_passages_stand_in_front_only_if_retrieval_is_given(app, reader):
    metrics = app.get("/metrics").text
    for stage in ("read-queue", "prefill", "decode"):
        assert f'ralm:stage_seconds_count{{stage="{stage}"}}' in metrics
    plain = ask(app, max_tokens=1).json()
    off = ask(app, max_tokens=1, retrieval={"off": True}).json()
    assert plain["citations"] == []
    assert off["usage"] == plain["usage"]
    read = ask(app, max_tokens=1, retrieval={"k": 2, "query": "blue glass"}).json()
    assert len(read["citations"][0]) == 2
    assert read["usage"]["prompt_tokens"] > plain["usage"]["prompt_tokens"] + 20


@pytest.mark.parametrize(
    ("fields", "status", "reason"),
    [
        ({"prompt": []}, 422, "an empty prompt is an empty text"),
        ({"prompt": [[1], []]}, 422, "an empty prompt is an empty text"),
        ({"prompt": [1, 99_999]}, 400, "There is no token 99999: the reader's tokens are 0 to "),
        ({"prompt": [True]}, 422, "prompt"),
        ({"prompt": ["x"] * 257}, 422, "at most 256 prompts"),
        ({"max_tokens": 0}, 422, "add echo: true"),
        ({"max_tokens": 0, "echo": True, "stream": True}, 400, "let max_tokens be more than 0"),
        ({"best_of": 2}, 422, "best_of is not carried out"),
        ({"suffix": "x"}, 422, "suffix is no field of the request"),
        ({"echo": True, "retrieval": {}}, 422, "leave retrieval out, or echo"),
        ({"prompt": [5], "retrieval": {}}, 422, "give the prompt as text"),
        ({"retrieval": {"support": True}}, 422, "are of chats: leave them out"),
        ({"max_tokens": 5000}, 400, "shorten the prompt or lower max_tokens"),
        ({"model": "gpt-9"}, 404, "no model 'gpt-9'"),
    ],
)
def test_what_cannot_be_done_is_refused(app, fields, status, reason):
    prompt = fields.get("prompt", TEXT)
    assert reason in refused(app, status, prompt, **{k: v for k, v in fields.items() if k != "prompt"})


def test_lm_evals_class_scores_through_it_as_the_reader_does(address, reader, folder):
    """Every continuation gets the log-likelihood of the reader itself, and whether it is the likeliest."""
    pairs = [
        (TEXT, " Ansel Mirn built it."),
        ("The people of Dunmarrow", " make blue glass."),
        ("What is the capital of France?", " Paris"),
    ]
    (likely,) = reader.generate([Prompt(text=TEXT)], Sampling(1, verbatim=True))
    pairs.append((TEXT, likely.text))
    lm = LocalCompletionsAPI(
        model="ralm",
        base_url=f"{address}/v1/completions",
        tokenizer=str(folder),
        tokenizer_backend="huggingface",
        batch_size=3,
        max_length=1400,
    )
    asked = [Instance("loglikelihood", {}, pair, at) for at, pair in enumerate(pairs)]
    found = lm.loglikelihood(asked, disable_tqdm=True)
    wanted = reader.loglikelihood([Continuation(Prompt(text=one), two) for one, two in pairs])
    for (total, greedy), one in zip(found, wanted, strict=True):
        assert total == pytest.approx(one.total, abs=1e-3)
        assert greedy == one.greedy
    assert found[-1][1] is True
    asked = [Instance("loglikelihood_rolling", {}, (TEXT,), 0)]
    (total,) = lm.loglikelihood_rolling(asked, disable_tqdm=True)
    assert total == pytest.approx(reader.loglikelihood_rolling([TEXT])[0].total, abs=1e-3)
    until = Instance("generate_until", {}, (TEXT, {"until": ["\n"], "max_gen_toks": 4}), 0)
    assert TEXT not in lm.generate_until([until], disable_tqdm=True)[0]


def test_a_reader_behind_it_scores_and_answers_as_the_reader_does(address, reader):
    """Our own reader of OpenAI-compatible servers."""
    remote = RemoteReader(f"{address}/v1#ralm")
    asked = [Continuation(Prompt(text=TEXT), " Ansel Mirn built it.")]
    (found,), (wanted,) = remote.loglikelihood(asked), reader.loglikelihood(asked)
    assert found.tokens == pytest.approx(wanted.tokens, abs=1e-3)
    how = Sampling(4, verbatim=True)
    assert (
        remote.generate([Prompt(text=TEXT)], how)[0].text == reader.generate([Prompt(text=TEXT)], how)[0].text
    )
    assert "".join(remote.stream(Prompt(text=TEXT), how)) == reader.generate([Prompt(text=TEXT)], how)[0].text
