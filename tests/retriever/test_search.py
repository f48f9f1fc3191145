import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer

from datastore.errors import RalmError
from datastore.layout import FileInfo, Layout
from datastore.manifest import (
    EncoderCard,
    FileEntry,
    IndexEntry,
    Manifest,
    ShardEntry,
)
from datastore.schema import Passage, passages_to_batch
from datastore.store import Datastore
from datastore.view import View
from pipelines.build.chunk import write_batch
from retriever.checkpoint import Checkpoint
from retriever.index import SearchIndex, encode, to_bytes, train
from retriever.search import Retriever
from retriever.sizing import IndexKey
from tests.corpus import questions

DIMENSION = 8


class GivenVectors:
    """An encoder for queries whose vectors are known: the law is about searching, not about text."""

    def __init__(self, vectors):
        self.vectors = vectors

    def encode_queries(self, queries):
        return self.vectors[[int(query) for query in queries]]


def make_retriever(root, rows, vectors, key, trained, queries, per_shard=7):
    """A store of the passages numbered `rows`, as a build with this quantizer would lay it out."""
    layout, shards = Layout(root), []
    for number, at in enumerate(range(0, len(rows), per_shard)):
        mine = rows[at : at + per_shard]
        batch = passages_to_batch(Passage(f"text {r}", "d", f"doc{r}", 0, 0) for r in mine)
        files = [
            layout.write(layout.passages(number), lambda h, b=batch: write_batch(h, b)),
            layout.write(layout.vectors(number), lambda h, m=mine: np.save(h, vectors[m])),
        ]
        if key.nlist:
            codes = encode(trained, vectors[mine])
            files.append(layout.write(layout.codes(key.text, number), lambda h, c=codes: np.save(h, c)))
        entries = [FileEntry.of(info) for info in files] + [None]
        shards.append(
            ShardEntry(
                first_row=at, rows=len(mine), passages=entries[0], vectors=entries[1], codes=entries[2]
            )
        )
    info = layout.write(layout.trained(key.text), lambda h: h.write(to_bytes(trained)))
    manifest = make_manifest(shards, key, info)
    store = Datastore(layout, manifest)
    return Retriever(store, GivenVectors(queries), SearchIndex.load(root, manifest))


def make_manifest(shards, key: IndexKey, trained: FileInfo) -> Manifest:
    card = EncoderCard(
        name="given",
        weights_sha256="",
        dimension=DIMENSION,
        max_tokens=8,
        dtype="float32",
        prompts={},
        normalized=True,
    )
    return Manifest(
        generation=1,
        sources=(),
        config={},
        encoder=card,
        index=IndexEntry(key=key.text, nprobe=key.nprobe, trained=FileEntry.of(trained)),
        shards=tuple(shards),
        counts={},
        removed=(),
    )


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(1, 60),
    fraction=st.floats(0.02, 1.0),
    k=st.integers(1, 12),
    key=st.sampled_from(["Flat", "IVF4,SQ8"]),
)
def test_a_view_equals_a_build(tmp_path_factory, seed, count, fraction, k, key):
    """Law 2: searching a view is searching a store built from its passages, same quantizer."""
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((count, DIMENSION)).astype(np.float16)
    queries = random.standard_normal((5, DIMENSION)).astype(np.float32)
    parsed = IndexKey.parse(key)
    trained = train(parsed, random.standard_normal((64, DIMENSION)).astype(np.float32))
    names = [str(q) for q in range(5)]
    root = tmp_path_factory.mktemp("view")
    whole = make_retriever(root / "whole", np.arange(count), vectors, parsed, trained, queries)
    view = View(fraction, seed)
    kept = np.flatnonzero(view.keep(whole.store.keys(range(count))))
    rankings = whole.search(names, k, view)
    if not len(kept):
        assert all(r.exhausted and not r.hits for r in rankings)
        return
    part = make_retriever(root / "part", kept, vectors, parsed, trained, queries)
    for mine, built in zip(rankings, part.search(names, k), strict=True):
        assert [h.score for h in mine.hits] == [h.score for h in built.hits]
        assert sorted(h.passage.doc_id for h in mine.hits) == sorted(h.passage.doc_id for h in built.hits)
        assert mine.exhausted == built.exhausted == (len(mine.hits) < k)


def test_one_search_answers_for_all_views(store):
    retriever = Retriever.open(store)
    views = [View(0.05, 1), View(0.3, 1), View(0.3, 2), View()]
    texts = [q["question"] for q in questions()]
    together = retriever.search_many(texts, views, 5, depth=6)
    for view, rankings in zip(views, together, strict=True):
        assert rankings == retriever.search(texts, 5, view)


def test_an_exhaustive_float32_search_finds_the_same(store):
    """The whole path against sentence-transformers, float32 and numpy: gold document in the first 10."""
    retriever = Retriever.open(store)
    passages = list(retriever.store)
    peer = SentenceTransformer(str(Checkpoint.find("all-MiniLM-L6-v2").folder), device="cpu")
    asked = questions()
    exact = (
        peer.encode_query([q["question"] for q in asked]) @ peer.encode_document([p.text for p in passages]).T
    )
    hits = retriever.search([q["question"] for q in asked], 10)
    ours = [any(h.passage.doc_id in q["gold_docs"] for h in r.hits) for q, r in zip(asked, hits, strict=True)]
    best = np.argsort(-exact, axis=1)[:, :10]
    theirs = [
        any(passages[row].doc_id in q["gold_docs"] for row in rows)
        for q, rows in zip(asked, best, strict=True)
    ]
    assert sum(ours) >= sum(theirs)
    assert sum(ours) >= 7


def test_hits_come_best_first_with_their_passages(store):
    (ranking,) = Retriever.open(store).search(["Who makes blue glass?"], 4)
    scores = [hit.score for hit in ranking.hits]
    assert scores == sorted(scores, reverse=True)
    assert ranking.hits[0].passage.doc_id.startswith("Dunmarrow")
    assert not ranking.exhausted


def test_more_than_there_is_is_said_to_be_all(store):
    retriever = Retriever.open(store)
    (ranking,) = retriever.search(["town"], 10_000)
    assert len(ranking.hits) == retriever.store.rows
    assert ranking.exhausted


def test_no_query_no_answer(store):
    assert Retriever.open(store).search([], 3) == []


def test_k_must_be_positive(store):
    with pytest.raises(RalmError, match="k must be at least 1"):
        Retriever.open(store).search(["x"], 0)


def test_another_encoder_than_the_stores_is_refused(store, tmp_path):
    folder = tmp_path / "other"
    shutil.copytree(Checkpoint.find("all-MiniLM-L6-v2").folder, folder)
    same = Retriever.open(store, encoder=str(folder))
    assert same.search(["blue glass"], 1) == Retriever.open(store).search(["blue glass"], 1)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(RalmError, match=r"was built with the encoder all-MiniLM-L6-v2, not .*other"):
        Retriever.open(store, encoder=str(folder))
