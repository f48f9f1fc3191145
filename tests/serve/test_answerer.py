from dataclasses import replace

from datastore.view import View
from lm.conditioning import WITH_PASSAGES
from lm.reader import Sampling
from retriever.local import Retriever
from retriever.ranking.results import DENSE, Method, Ranking
from serve.answerer import Answerer, hit_to_json, ranking_to_json, setting_to_json


def test_an_answer_cites_the_passage_it_comes_from(store, reader):
    answer = Answerer(Retriever.open(store), reader).ask("How is the mayor of Bralgate chosen?")
    assert "Bralgate" in answer.text
    cited = [c for c in answer.citations if c.cited]
    assert cited
    assert all(f"[{c.number}]" in answer.text for c in cited)
    assert cited[0].hit.passage.doc_id == "Bralgate-4"
    assert [c.number for c in answer.citations] == [1, 2, 3]
    assert set(answer.seconds) == {"search", "read"}


def test_the_lm_alone_sees_and_cites_nothing(store, reader):
    for answerer in (Answerer(None, reader), Answerer(Retriever.open(store), reader)):
        prepared = answerer.prepare("Which town makes blue glass?", passages=0)
        assert prepared.hits == prepared.packed == ()
        assert WITH_PASSAGES not in prepared.prompt
    answer = Answerer(None, reader).ask("Which town makes blue glass?", sampling=Sampling(8))
    assert answer.citations == ()
    assert "[" not in answer.text


def test_only_passages_that_fit_are_numbered(store, reader):
    answerer = Answerer(Retriever.open(store), reader)
    whole = answerer.prepare("Where is Arvenholm?", passages=10, budget=4000)
    part = answerer.prepare("Where is Arvenholm?", passages=10, budget=120)
    assert len(whole.hits) == 10
    assert 0 < len(part.hits) < 10
    assert part.hits == whole.hits[: len(part.hits)]


def test_an_answer_without_some_shards_names_them(store, reader, monkeypatch):
    answerer = Answerer(Retriever.open(store), reader)
    whole = answerer.retriever.search(["blue glass"], 3)
    lacking = [replace(ranking, missing=(1, 2)) for ranking in whole]
    assert answerer.ask("Which town makes blue glass?", sampling=Sampling(2)).missing == ()
    monkeypatch.setattr(answerer.retriever, "search", lambda *_, **__: lacking)
    assert answerer.prepare("Which town makes blue glass?").missing == (1, 2)
    assert answerer.ask("Which town makes blue glass?", sampling=Sampling(2)).missing == (1, 2)


def test_a_stream_is_the_answer_in_pieces(store, reader):
    answerer = Answerer(Retriever.open(store), reader)
    question, sampling = "How is the mayor of Bralgate chosen?", Sampling(40)
    prepared = answerer.prepare(question)
    streamed = "".join(answerer.stream(prepared, sampling)).strip()
    assert streamed == answerer.ask(question, sampling=sampling).text
    assert any(c.cited for c in answerer.citations(prepared, streamed))


def test_what_a_missing_shard_holds_is_not_said_to_be_nothing():
    whole = ranking_to_json(Ranking((), True), "none")
    assert whole == {"hits": [], "exhausted": True, "shortfall": "none", "missing": []}
    assert ranking_to_json(Ranking((), True, (1,)), "lost") == whole | {
        "exhausted": False,
        "shortfall": "lost",
        "missing": [1],
    }


def test_a_setting_as_json_has_the_recall_of_the_card(store):
    retriever = Retriever.open(store)
    tried = setting_to_json(retriever, retriever.setting(5), 5, DENSE, View(0.5))
    assert tried == {"nprobe": 0, "depth": 0, "recall": 1.0}
    assert setting_to_json(retriever, retriever.setting(5), 5, Method("bm25"), View()) is None


def test_a_hit_as_json_names_its_passage_for_good(store):
    retriever = Retriever.open(store)
    hit = retriever.search(["blue glass"], 1)[0].hits[0]
    shown = hit_to_json(hit)
    assert (shown["generation"], shown["row"]) == (1, hit.row)
    assert retriever.store.passage(shown["row"]).doc_id == shown["doc_id"]
    assert shown["metadata"]["title"] == "Dunmarrow"
