import math
from dataclasses import replace

import pytest

from base.errors import RalmError
from lm.conditioning import ALONE, Conditioning
from lm.prompts import Ensemble, Message
from lm.reader import Sampling
from retriever.local import LocalRetriever
from serve.answerer import Answerer
from tests.vectors import dense


def test_an_answer_cites_the_passage_it_comes_from(store, reader):
    answer = Answerer(LocalRetriever.open(store), reader).ask("How is the mayor of Bralgate chosen?")
    assert "Bralgate" in answer.text
    cited = [c for c in answer.citations if c.cited]
    assert cited
    assert all(f"[{c.number}]" in answer.text for c in cited)
    assert cited[0].hit.passage.doc_id == "Bralgate-4"
    assert [c.number for c in answer.citations] == [1, 2, 3]
    assert set(answer.seconds) == {"search", "generate"}


def test_the_lm_alone_sees_and_cites_nothing(store, reader):
    for answerer in (Answerer(None, reader), Answerer(LocalRetriever.open(store), reader)):
        prepared = answerer.prepare("Which town makes blue glass?", Conditioning(passages=0))
        assert prepared.hits == prepared.packed == ()
        assert prepared.asked.conversation[0].content == ALONE
    answer = Answerer(None, reader).ask("Which town makes blue glass?", sampling=Sampling(8))
    assert answer.citations == ()
    assert "[" not in answer.text


def test_only_passages_that_fit_are_numbered(store, reader):
    answerer = Answerer(LocalRetriever.open(store), reader)
    whole = answerer.prepare("Where is Arvenholm?", Conditioning(passages=10, budget=4000))
    part = answerer.prepare("Where is Arvenholm?", Conditioning(passages=10, budget=120))
    assert len(whole.hits) == 10
    assert 0 < len(part.hits) < 10
    assert whole.conditioned.trimmed == 0
    assert part.conditioned.trimmed in (10 - len(part.hits), 11 - len(part.hits))
    assert part.hits == whole.hits[: len(part.hits)]


def test_an_answer_without_some_shards_names_them(store, reader, monkeypatch):
    answerer = Answerer(LocalRetriever.open(store), reader)
    whole = answerer.retriever.search(["blue glass"], dense(3))
    lacking = [replace(ranking, missing=(1, 2)) for ranking in whole]
    assert answerer.ask("Which town makes blue glass?", sampling=Sampling(2)).missing == ()
    monkeypatch.setattr(answerer.retriever, "search", lambda *_, **__: lacking)
    assert answerer.prepare("Which town makes blue glass?").missing == (1, 2)
    assert answerer.ask("Which town makes blue glass?", sampling=Sampling(2)).missing == (1, 2)


def test_a_stream_is_the_answer_in_pieces(store, reader):
    answerer = Answerer(LocalRetriever.open(store), reader)
    question, sampling = "How is the mayor of Bralgate chosen?", Sampling(40)
    prepared = answerer.prepare(question, sampling=sampling)
    stream = answerer.stream(prepared)
    streamed = "".join(stream).strip()
    assert streamed == answerer.ask(question, sampling=sampling).text
    assert any(c.cited for c in answerer.citations(prepared, stream.claims))


def test_replug_reads_each_passage_by_itself_and_streams_the_same(store, reader):
    answerer = Answerer(LocalRetriever.open(store), reader)
    question, sampling = "How is the mayor of Bralgate chosen?", Sampling(24)
    how = Conditioning("replug", passages=2, replug_temperature=0.5)
    prepared = answerer.prepare(question, how, sampling)
    assert isinstance(prepared.asked, Ensemble)
    first, second = (hit.score for hit in prepared.hits)
    odds = prepared.asked.weights[0] / prepared.asked.weights[1]
    assert math.log(odds) == pytest.approx((first - second) / 0.5)
    for prompt, hit in zip(prepared.asked.prompts, prepared.hits, strict=True):
        assert hit.passage.text in prompt.conversation[-1].content
    answer = answerer.ask(question, how, sampling)
    assert "Bralgate" in answer.text
    assert [c.number for c in answer.citations] == [1, 2]
    assert "".join(answerer.stream(prepared)).strip() == answer.text


def test_neighbours_widen_what_is_read_within_the_budget(long_store, reader):
    answerer = Answerer(LocalRetriever.open(long_store), reader)
    question, sampling = "How is the mayor of Bralgate chosen?", Sampling(8)
    plain = answerer.ask(question, Conditioning(passages=1), sampling)
    wide = answerer.ask(question, Conditioning(passages=1, neighbours=2), sampling)
    (hit,), (same,) = ([c.hit for c in one.citations] for one in (plain, wide))
    assert hit == same
    assert plain.citations[0].read is None
    read = wide.citations[0].read
    assert read is not None
    around = answerer.retriever.around(hit, 2)
    assert len(around) > 2
    assert all(one.text in read for one in around)
    narrow = answerer.prepare(question, Conditioning(passages=1, budget=60, neighbours=2))
    assert reader.count_tokens(narrow.packed[0]) <= 60
    assert hit.passage.text in narrow.packed[0]


def test_a_plain_text_behind_examples_is_answered_and_not_gone_on_with(store, reader):
    answerer = Answerer(LocalRetriever.open(store), reader)
    how, question = Conditioning(passages=1, prompt="few-shot"), "How is the mayor of Bralgate chosen?"
    answer = answerer.ask(question, how, Sampling(40))
    assert "Bralgate" in answer.text
    assert "Question" not in answer.text
    prepared = answerer.prepare(question, how, history=[Message("user", "Hi"), Message("assistant", "Ho")])
    assert prepared.asked.text.endswith(f"Question: {question}\nAnswer:")


def test_passages_give_way_to_a_long_question_and_one_too_long_is_not_searched_for(
    store, reader, monkeypatch
):
    answerer = Answerer(LocalRetriever.open(store), reader)
    question, sampling = "How is the mayor of Bralgate chosen?", Sampling(64)
    room = reader.context_tokens - sampling.max_tokens
    alone = answerer.prepare(question, Conditioning("none"), sampling)
    filler = (room - reader.prompt_tokens(alone.asked) - 120) // reader.count_tokens(" so")
    history = [Message("user", " so" * filler), Message("assistant", "Yes.")]
    trimmed = answerer.prepare(question, Conditioning(passages=5), sampling, history)
    assert reader.prompt_tokens(trimmed.asked) <= room
    assert trimmed.asked.conversation[-1].content.endswith(f"Question: {question}")
    assert trimmed.conditioned.trimmed > 0
    assert len(trimmed.hits) == len(trimmed.packed) < 5

    def never(*_):
        raise AssertionError("searched")

    monkeypatch.setattr(answerer.retriever, "search", never)
    history[0] = Message("user", " so" * (filler + 300))
    with pytest.raises(RalmError, match=r"Without any passage the prompt takes [\d,]+ tokens .* holds 8,192"):
        answerer.prepare(question, Conditioning(), sampling, history)
