import numpy as np
import pytest

from base.errors import RalmError
from datastore.view import View
from pipelines.evaluate.intervals import difference
from pipelines.evaluate.methods import RetrievalStudy, run
from pipelines.questions import read_questions
from retriever.local import LocalRetriever
from retriever.request import Method, Search
from tests.conftest import build_store
from tests.corpus import documents, questions, write_lines


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    lines = [*questions(), {"question": "Who makes blue glass in Dunmarrow?", "answers": ["people"]}]
    return write_lines(tmp_path_factory.mktemp("questions") / "q.jsonl", lines)


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    """A store whose index is a compressed one, which finds less than an exact search."""
    folder = tmp_path_factory.mktemp("stores")
    build_store(folder / "s", write_lines(folder / "c.jsonl", documents()), index_key="IVF4,SQ4")
    return folder / "s"


def test_each_way_is_scored_by_what_a_search_finds(lists, asked):
    found = run(RetrievalStudy(lists, asked))
    assert [way.name for way in found.ways] == ["hybrid", "dense", "exact", "bm25"]
    retriever = LocalRetriever.open(lists)
    some = read_questions(asked).questions[:8]
    for way in found.ways:
        if way.name == "exact":
            continue
        rankings = retriever.search([one.text for one in some], Search(20, method=Method(way.name)))
        first = [
            next(iter(ranking.hits)).passage.doc_id in one.gold_docs
            for one, ranking in zip(some, rankings, strict=True)
        ]
        assert way.values["success@1"].tolist() == first
        assert len(way.values["containment@5"]) == 9
    assert found.basis["manifest"] == retriever.hash


def test_exact_search_is_that_of_the_vectors_in_the_view(lists, asked):
    view = View(0.6, 3)
    study = RetrievalStudy(lists, asked, ("exact",), ("containment",), view)
    (way,) = run(study).ways
    retriever = LocalRetriever.open(lists)
    rows = np.flatnonzero(retriever.store.mask(view))
    vectors = np.concatenate([*retriever.store.shard_vectors()])[rows].astype(np.float32)
    for at, one in enumerate(read_questions(asked).questions):
        scores = vectors @ retriever.encoder.encode_queries([one.text])[0]
        texts = [retriever.store.passage(int(rows[row])).text.lower() for row in np.argsort(-scores)[:5]]
        assert way.values["containment@5"][at] == any(one.answers[0].lower() in text for text in texts)


def test_ways_are_compared_on_the_same_questions(lists, asked):
    found = run(RetrievalStudy(lists, asked, ("bm25", "dense"), ("MRR",)))
    bm25, dense = (way.values["MRR@10"] for way in found.ways)
    change = found.differences(found.ways[1])["MRR@10"]
    assert change == difference(dense, bm25, found.clusters["MRR@10"])
    assert found.differences(found.ways[0])["MRR@10"].change == "none"
    as_json = found.to_json()["ways"]["dense"]
    assert as_json["difference to bm25"]["MRR@10"]["change"] == change.change
    assert list(as_json["figures"]) == ["MRR@10"]


def test_an_exact_index_has_no_exact_search_beside_it(store, asked):
    found = run(RetrievalStudy(store, asked, metrics=("success",)))
    assert [way.name for way in found.ways] == ["hybrid", "dense", "bm25"]
    assert found.notes == ("The index is exact: dense is the exact search.",)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"ways": ("denes",)},
            "no way of searching 'denes': valid are hybrid, .*; did you mean dense",
        ),
        ({"metrics": ("nDGC",)}, "no metric 'nDGC': valid are success, recall, MRR, nDCG, containment"),
    ],
)
def test_unknown_names_are_refused_with_the_valid_ones(store, asked, given, sentence):
    with pytest.raises(RalmError, match=sentence):
        RetrievalStudy(store, asked, **given)


def test_questions_without_what_a_metric_needs_are_refused_before_the_search(store, tmp_path):
    told = write_lines(tmp_path / "q.jsonl", [{"question": "Who?", "answers": ["people"]}])
    with pytest.raises(RalmError, match=r"No question of q.jsonl has `gold_docs`, by which"):
        run(RetrievalStudy(store, told, metrics=("nDCG",)))
