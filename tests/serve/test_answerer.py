from dataclasses import replace

from lm.conditioning import ALONE
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
        prepared = answerer.prepare("Which town makes blue glass?", passages=0)
        assert prepared.hits == prepared.packed == ()
        assert prepared.prompt.conversation[0].content == ALONE
    answer = Answerer(None, reader).ask("Which town makes blue glass?", sampling=Sampling(8))
    assert answer.citations == ()
    assert "[" not in answer.text


def test_only_passages_that_fit_are_numbered(store, reader):
    answerer = Answerer(LocalRetriever.open(store), reader)
    whole = answerer.prepare("Where is Arvenholm?", passages=10, budget=4000)
    part = answerer.prepare("Where is Arvenholm?", passages=10, budget=120)
    assert len(whole.hits) == 10
    assert 0 < len(part.hits) < 10
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
    prepared = answerer.prepare(question)
    streamed = "".join(answerer.stream(prepared, sampling)).strip()
    assert streamed == answerer.ask(question, sampling=sampling).text
    assert any(c.cited for c in answerer.citations(prepared, streamed))
