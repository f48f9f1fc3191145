import math
import shutil
from collections import Counter

import bm25s
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import RalmError
from datastore.conditions import Condition
from datastore.store import Datastore
from datastore.verify import verify
from datastore.view import View
from retriever.local import LocalRetriever
from retriever.opened import Opening
from retriever.ranking.lexical import (
    K1,
    PARTS,
    B,
    LexicalIndex,
    index_shard,
    join_shards,
    query_words,
    token_hash,
    tokenize,
    total_length,
)
from retriever.refusals import refuse_unopened
from retriever.request import DENSE, Method, Search
from tests.conftest import build_store, delete
from tests.corpus import documents, questions
from tests.vectors import dense

TEXTS = [d["text"] for d in documents()]


def words(text):
    ids, vocabulary = tokenize([text])
    named = {n: w for w, n in vocabulary.items()}
    return [named[n] for n in ids[0] if named[n]]


def bm25(query, texts):
    """The formula, as Lucene has it, word by word."""
    counts = [Counter(words(text)) for text in texts]
    mean = sum(sum(c.values()) for c in counts) / len(texts)
    scores = np.zeros(len(texts))
    for word in words(query):
        df = sum(word in c for c in counts)
        idf = math.log(1 + (len(texts) - df + 0.5) / (df + 0.5))
        for at, c in enumerate(counts):
            length = sum(c.values())
            scores[at] += idf * c[word] / (K1 * (1 - B + B * length / mean) + c[word])
    return scores


@given(st.text() | st.text("aI-'_ \u0130\u017fthe.ing\n\u4e2d7", max_size=40) | st.sampled_from(TEXTS))
def test_words_of_a_query_are_those_that_passages_are_indexed_by(query):
    assert query_words(query) == words(query)
    assert not any(query_words(" ".join(bm25s.stopwords.STOPWORDS_EN)))


@pytest.fixture(scope="module")
def lexical(store):
    opened = Datastore.open(store)
    return LexicalIndex.load(store, opened)


def test_scores_over_shards_are_those_of_the_formula_over_all(store, lexical):
    texts = [passage.text for passage in Datastore.open(store)]
    assert len(Datastore.open(store).manifest.shards) > 3
    for query in ["blue glass from the salt flats", "library library of Bralgate", "unheard of", "the"]:
        assert lexical.scores(query) == pytest.approx(bm25(query, texts), abs=1e-5)


def test_scores_are_those_of_bm25s_over_the_whole_corpus(store, lexical):
    texts = [passage.text for passage in Datastore.open(store)]
    peer = bm25s.BM25(k1=K1, b=B, method="lucene")
    ids, vocabulary = tokenize(texts)
    peer.index((ids, vocabulary), show_progress=False)
    query = words("the mayor of Corrowick makes smoked trout")
    assert lexical.scores("the mayor of Corrowick makes smoked trout") == pytest.approx(
        peer.get_scores(query), abs=1e-5
    )


@given(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=8), st.floats(5, 60))
def test_the_same_shard_gives_the_same_bytes(texts, mean):
    one, other = index_shard(texts, mean), index_shard(texts, mean)
    assert all((one[part] == other[part]).all() for part in PARTS)
    assert (np.diff(one["tokens"].astype(object)) > 0).all()
    assert len(one["indices"]) == sum(len(set(words(text))) for text in texts)
    assert total_length(texts) == sum(len(words(text)) for text in texts)


def test_a_shard_without_a_word_is_indexed_too(tmp_path, corpus):
    found = index_shard(["!!!", "the of"], 10.0)
    assert len(found["indices"]) == 0
    assert token_hash("glass") not in found["tokens"]


def test_hits_hold_a_word_of_the_query_and_lie_in_the_view(store, lexical):
    view = View(domains=("travel",), where=(Condition("title", "!=", "Dunmarrow"),))
    everything, some, none = lexical.rank(["blue glass"], [View(), view, View(domains=("travel",))], 100)
    opened = Datastore.open(store)
    for rows in (everything.rows[0], some.rows[0], none.rows[0]):
        for row in rows[rows >= 0].tolist():
            assert {"blue", "glass"} & set(words(opened.passage(row).text))
    assert (some.rows[0] >= 0).sum() == 0
    assert (none.rows[0] >= 0).sum() > 0
    assert (everything.scores[0][:3] > 0).all()


def test_both_together_find_what_each_finds(store):
    retriever = LocalRetriever.open(store)
    asked = questions()
    texts = [q["question"] for q in asked]
    for method in (Method("bm25"), Method("hybrid"), Method("hybrid", "weighted", 0.7)):
        rankings = retriever.search(texts, Search(10, method=method))
        gold = [
            any(h.passage.doc_id in q["gold_docs"] for h in r.hits)
            for q, r in zip(asked, rankings, strict=True)
        ]
        assert sum(gold) >= len(asked) - 1


def test_a_store_without_a_word_index_says_so(tmp_path, corpus):
    manifest = build_store(tmp_path / "s", corpus, lexical=False, limit=5)
    assert all(shard.lexical is None for shard in manifest.shards)
    with pytest.raises(RalmError, match="has no BM25 index: build it with `lexical: true`"):
        LocalRetriever.open(tmp_path / "s").search(["x"], Search(1, method=Method("bm25")))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sparse",), "valid are dense, bm25, hybrid"),
        (("hybrid", "sum"), "valid are rrf, weighted"),
        (("hybrid", "rrf", 2.0), "between 0 and 1"),
    ],
)
def test_an_unknown_method_lists_the_valid_ones(arguments, message):
    with pytest.raises(RalmError, match=message):
        Method(*arguments)


def test_a_search_by_words_loads_neither_encoder_nor_index_and_finds_the_same(store):
    whole, words_only = LocalRetriever.open(store), LocalRetriever.open(store, Opening(words_only=True))
    names = [question["question"] for question in questions()]
    found = words_only.search(names, Search(5, method=Method("bm25")))
    assert not {"encoder", "index"} & {*vars(words_only.opened)}
    assert found == whole.search(names, Search(5, method=Method("bm25")))
    # Asked otherwise, it loads them.
    assert words_only.search(names, dense(5)) == whole.search(names, dense(5))


def test_a_store_that_has_lost_its_word_index_is_searched_without_and_says_so(own_store, caplog):
    question = questions()[0]["question"]
    expected = LocalRetriever.open(own_store).search([question], dense(5))
    shutil.rmtree(own_store / "lexical")
    retriever = LocalRetriever.open(own_store)
    assert "Searched without words" in caplog.text
    assert "00000.tokens.npy is missing" in caplog.text
    assert retriever.settled(Search(5)).method == DENSE
    assert retriever.search([question], dense(5)) == expected
    for method in (Method("bm25"), Method("hybrid")):
        with pytest.raises(RalmError, match=r"tokens\.npy is missing, so .* restore it"):
            retriever.search([question], Search(5, method=method))
        with pytest.raises(RalmError, match="cannot be searched by words"):
            refuse_unopened(Search(5, method=method), [own_store])
    assert any("tokens.npy is missing" in problem for problem in verify(own_store))


def test_what_is_taken_down_counts_in_no_frequency(tmp_path, corpus):
    root = tmp_path / "s"
    build_store(root, corpus, passages_per_shard=8)
    gone = [d["id"] for d in documents()[::3]]
    delete(root, *gone)
    before = LocalRetriever.open(root)
    queries = [q["question"] for q in questions()] + ["blue glass", "library of Bralgate"]
    kept = [passage.text for passage in before.store]
    frequencies = before.session().lexical.frequencies(queries)
    for query, counted in zip(queries, frequencies, strict=True):
        assert counted == {token_hash(w): sum(w in words(text) for text in kept) for w in words(query)}
    assert before.session().lexical.passages == len(kept)


@given(
    shards=st.lists(
        st.lists(st.tuples(st.sampled_from([*TEXTS, "!!!"]), st.booleans()), min_size=1, max_size=6),
        min_size=1,
        max_size=4,
    )
)
def test_the_index_of_rows_that_stay_is_that_of_their_texts(shards):
    mean = 12.5
    parts = [
        (index_shard([text for text, _ in shard], mean), np.array([stays for _, stays in shard]))
        for shard in shards
    ]
    joined = join_shards(parts)
    made = index_shard([text for shard in shards for text, stays in shard if stays] or ["!!!"], mean)
    for part in ("tokens", "indptr", "indices"):
        assert (joined[part] == made[part]).all()
        assert joined[part].dtype == made[part].dtype
    assert joined["weights"] == pytest.approx(made["weights"], abs=1e-6)
