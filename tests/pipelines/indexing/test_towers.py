import shutil

import numpy as np
import pytest

from base.errors import RalmError
from datastore.files.json import read_json
from datastore.files.layout import Layout
from datastore.generations.generation import current
from datastore.store import Datastore
from pipelines.config import BuildConfig, SourceConfig
from pipelines.execution.executor import LocalExecutor
from pipelines.execution.progress import Silent
from pipelines.indexing.towers import Towers
from pipelines.jobs.add import Addition
from retriever.encoding.encoder import Encoder
from retriever.local import LocalRetriever
from retriever.opened import Opening
from retriever.several import SeveralRetriever
from tests.conftest import build_store, delete, tree
from tests.corpus import documents, questions, write_lines
from tests.encoders import bert, with_modules
from tests.vectors import chosen, dense

QUESTIONS = [question["question"] for question in questions()]
USED = {"pooling": "cls", "similarity": "dot", "dtype": "float32", "passages_per_shard": 8}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two plain encoders, of passages and of queries, whose vectors have lengths of about 20, as DRAGON's."""
    root = tmp_path_factory.mktemp("dragon")
    return bert(root / "passages", 1, scale=4), bert(root / "queries", 2, scale=4)


def named(folders):
    return {"encoder": str(folders[0]), "query_encoder": str(folders[1])} | USED


@pytest.fixture(scope="module", params=["Flat", "IVF2,SQ8", "IVF2,PQ8x4fs"])
def dragon(request, folders, tmp_path_factory, corpus):
    root = tmp_path_factory.mktemp("dragon-store") / request.param.replace(",", "-")
    build_store(root, corpus, index_key=request.param, **named(folders))
    return root


def test_queries_of_one_tower_find_passages_of_the_other_by_inner_product(dragon, folders):
    """Against brute force, through every family of index with all lists probed and all candidates scored."""
    retriever = LocalRetriever.open(dragon)
    store = Datastore.open(dragon)
    vectors = store.vectors(range(store.rows)).astype(np.float32)
    queries = retriever.encoder.encode_queries(QUESTIONS)
    by_queries = Encoder(Towers.of(store.manifest.encoder).queries, "float32").encode_queries(QUESTIONS)
    by_passages = Encoder(Towers.of(store.manifest.encoder).passages, "float32").encode_queries(QUESTIONS)
    near = (
        (queries * by_queries).sum(1) / np.linalg.norm(queries, axis=1) / np.linalg.norm(by_queries, axis=1)
    )
    assert near.min() > 0.99
    assert not np.allclose(by_queries, by_passages, atol=1)
    nprobe = 2 if retriever.index.nlist else None
    setting = chosen(retriever, 9, nprobe=nprobe, depth=store.rows)
    exact = queries @ vectors.T
    for ranking, scores in zip(retriever.search(QUESTIONS, dense(9, setting=setting)), exact, strict=True):
        assert [hit.row for hit in ranking.hits] == np.argsort(-scores, kind="stable")[:9].tolist()
        assert [hit.score for hit in ranking.hits] == pytest.approx(np.sort(scores)[::-1][:9], rel=1e-3)
    # Their lengths count: by cosines others would be first.
    lengths = np.linalg.norm(vectors, axis=1)
    assert lengths.max() > 1.1 * lengths.min()
    assert ((exact / lengths).argsort(1)[:, -9:] != exact.argsort(1)[:, -9:]).any()


def test_both_cards_stand_in_the_manifest_and_both_weights_in_the_fingerprint(dragon, folders):
    card = current(Layout(dragon)).encoder
    assert (card.name, card.query.name) == tuple(map(str, folders))
    assert card.weights_sha256 != card.query.weights_sha256
    assert (card.pooling, card.query.pooling, card.normalized, card.query.normalized) == (*["cls"] * 2, 0, 0)
    begun = read_json(Layout(dragon).build_file)
    assert begun["query_encoder_sha256"] == card.query.weights_sha256
    assert begun["usage"]["pooling"] == begun["query_usage"]["pooling"] == "cls"


@pytest.fixture
def own(tmp_path, folders, corpus):
    """A store of two towers, and their folders, that a test may change."""
    copies = [shutil.copytree(folder, tmp_path / folder.name) for folder in folders]
    build_store(tmp_path / "store", corpus, **named(copies))
    return tmp_path / "store", copies


def damage(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")


def test_a_tower_whose_weights_have_changed_is_refused(own, corpus, ralm, tmp_path):
    root, (passages, queries) = own
    before = tree(root)
    moved = shutil.copytree(queries, tmp_path / "moved")
    damage(queries)
    code, _, err = ralm("search", root, "blue glass")
    assert code == 2
    assert f"The encoder {queries} found in" in err
    assert "its weights differ" in err
    assert ralm("search", root, "blue glass", "--query-encoder", moved)[0] == 0
    with pytest.raises(
        RalmError, match=r"begun with other settings .*the weights of `query_encoder` have changed"
    ):
        build_store(root, corpus, **named((passages, queries)))
    more = SourceConfig(
        path=str(write_lines(tmp_path / "more.jsonl", [{"text": "Of a town unknown so far."}]))
    )
    with pytest.raises(RalmError, match="its weights differ"):
        Addition(Layout(root), (more,), LocalExecutor(), Silent()).run()
    assert tree(root) == before
    job = Addition(Layout(root), (more,), LocalExecutor(), Silent(), query_encoder=str(moved))
    assert job.run()[1]["passages"] == 1
    assert current(Layout(root)).encoder.query.name == str(queries)
    damage(passages)
    with pytest.raises(RalmError, match=f"The encoder {passages} found in"):
        job.run()


def test_a_search_needs_the_tower_for_queries_alone(own):
    root, (passages, _) = own
    shutil.rmtree(passages)
    assert LocalRetriever.open(root).search(["blue glass"], dense(3))[0].hits


def test_every_command_is_told_where_an_encoder_has_moved(own, ralm, tmp_path, monkeypatch):
    root, (_, queries) = own
    asked = write_lines(tmp_path / "q.jsonl", questions())
    ids = [document["id"] for document in documents()[:3]]
    delete(root, *ids)
    moved, before = queries.rename(tmp_path / "moved"), tree(root)
    commands = [
        ("card", root),
        ("eval", "scaling", root, "--questions", asked, "-o", tmp_path / "out", "--fractions", "1"),
        ("compact", root, "--executor", "local"),
    ]
    for command in commands:
        code, _, err = ralm(*command)
        assert (code, f"no encoder '{queries}'" in err) == (2, True)
        # Nothing is rewritten for a card that could not be measured.
        assert not list(root.glob("stages/*-compact/compact"))
    assert tree(root) == before
    for command in commands:
        code, _, err = ralm(*command, "--query-encoder", moved)
        assert (code, err.count("ralm:")) == (0, 0)
    assert current(Layout(root)).encoder.query.name == str(queries)
    told = []
    for command in ("stores", "serve"):
        monkeypatch.setattr(
            f"pipelines.commands.{command}.open_stores", lambda _, how, *__: told.append(how) or 1 / 0
        )
    for command in (("ask", root, "Who?"), ("serve", root, "--port", "0")):
        with pytest.raises(ZeroDivisionError):
            ralm(*command, "--query-encoder", moved, "--encoder", "there")
    assert [(how.encoder, how.query_encoder) for how in told] == [("there", str(moved))] * 2


def test_a_retriever_finds_a_moved_encoder_for_later_generations_too(own, tmp_path, monkeypatch):
    root, (_, queries) = own
    moved = queries.rename(tmp_path / "moved")
    retriever = LocalRetriever.open(root, Opening(query_encoder=str(moved)))
    first = retriever.search(["blue glass"], dense(1))[0].hits[0]
    delete(root, first.passage.doc_id)
    shared = retriever.refreshed()
    assert shared.encoder is retriever.encoder
    delete(root, shared.search(["blue glass"], dense(1))[0].hits[0].passage.doc_id)
    # As if the encoder had to be loaded again.
    monkeypatch.setattr(Encoder, "is_of", lambda *_: False)
    again = shared.refreshed()
    assert again.encoder is not retriever.encoder
    assert again.encoder.checkpoint.name == str(moved)
    assert again.search(["blue glass"], dense(1))[0].hits[0].passage.doc_id != first.passage.doc_id


def test_an_addition_embeds_as_the_build_did(own, folders, corpus, tmp_path):
    """The prompt, pooling and scale of the store, not those of today's defaults."""
    used = named(folders) | {"passage_prompt": "passage: ", "query_prompt": "query: "}
    added, whole = tmp_path / "added", tmp_path / "whole"
    lines = corpus.read_text().splitlines()
    parts = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for part, some in zip(parts, (lines[:30], lines[30:]), strict=True):
        part.write_text("\n".join(some))
    build_store(added, parts[0], **used)
    moved = shutil.copytree(folders[0], tmp_path / "elsewhere")
    source = (SourceConfig(path=str(parts[1])),)
    Addition(Layout(added), source, LocalExecutor(), Silent(), encoder=str(moved)).run()
    build_store(whole, *parts, **used)
    one, other = Datastore.open(added), Datastore.open(whole)
    assert one.rows == other.rows
    found = [{p.doc_id: s.vectors([row])[0].tobytes() for row, p in enumerate(s)} for s in (one, other)]
    # Batches differ, and with them last bits.
    for doc, vector in found[0].items():
        mine, theirs = (np.frombuffer(v, np.float16).astype(np.float32) for v in (vector, found[1][doc]))
        assert np.abs(mine - theirs).max() < 0.05
    assert one.manifest.encoder == other.manifest.encoder
    assert one.manifest.encoder.prompts["passage"] == "passage: "


def test_stores_are_searched_together_if_both_towers_are_the_same(own, folders, corpus, tmp_path):
    root, _ = own
    build_store(tmp_path / "same", corpus, **named(folders))
    build_store(tmp_path / "other", corpus, **(named(folders) | {"query_encoder": str(folders[0])}))
    opened = {name: LocalRetriever.open(path) for name, path in (("own", root), ("same", tmp_path / "same"))}
    assert len(SeveralRetriever(opened).search(["blue glass"], dense(3))[0].hits) == 3
    with pytest.raises(RalmError, match=f"other was built with .* with {folders[0]} for queries, the first"):
        SeveralRetriever(opened | {"other": LocalRetriever.open(tmp_path / "other")})


def config(**settings):
    return BuildConfig(sources=(SourceConfig(path="x"),), **settings)


def test_towers_of_different_sizes_are_refused_before_anything_is_read(folders):
    with pytest.raises(
        RalmError, match=r"gives vectors of 384 components, .* of 32: passages and queries need"
    ):
        Towers.find(config(encoder=str(folders[0]), query_encoder="all-MiniLM-L6-v2"))


def test_pooling_is_for_the_plain_one_of_two(folders, tmp_path):
    own = with_modules(shutil.copytree(folders[1], tmp_path / "own"), "cls")
    towers = Towers.find(config(encoder=str(folders[0]), query_encoder=str(own), pooling="cls"))
    assert (towers.passages.pooling, towers.queries.pooling) == ("cls", None)
    with pytest.raises(RalmError, match="has a pooling of its own"):
        _ = Towers.find(config(encoder=str(own), pooling="cls")).settings()


def test_a_build_says_how_its_encoders_are_used(tmp_path, folders, corpus, ralm):
    arguments = ["--encoder", folders[0], "--query-encoder", folders[1], "--pooling", "cls"]
    arguments += ["--similarity", "dot", "--query-prompt", "query: ", "--executor", "local"]
    code, out, _ = ralm("build", corpus, "-o", tmp_path / "s", *arguments)
    assert code == 0
    assert "queries: " in out
    assert "FLOP/s of each worker" in out
    assert "query prompt 'query: ', pooling cls, dot product" in out
    code, _, err = ralm("build", corpus, "-o", tmp_path / "t", "--pooling", "max", "--executor", "local")
    assert code == 2
    assert "pooling must be 'mean', 'cls' or 'last', not 'max'" in err
