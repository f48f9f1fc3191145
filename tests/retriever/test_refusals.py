import numpy as np
import pytest

from base.errors import RalmError
from datastore.view import Condition, View
from retriever.ranking.card import Card, Rung, write_card
from retriever.ranking.results import Method
from retriever.refusals import Asked, require_text
from tests.vectors import make_store, random_vectors


@pytest.fixture
def paths(tmp_path):
    """A store of four lists with a card, and one without lists, card and words."""
    found = []
    for name, key in (("lists", "IVF4,SQ8"), ("flat", "Flat")):
        store = make_store(tmp_path / name, np.arange(50), random_vectors(0, 50), key)
        found.append(tmp_path / name)
        if key != "Flat":
            card = Card(store.manifest.index_hash, 50, 9, (Rung(4, 20, 0.9, 0.8, 0, 1.0),))
            write_card(store.layout.card(key, 0), card)
    return found


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"k": 0}, "k must be at least 1, not 0"),
        ({"nprobe": 5}, "between 1 and the 4 lists"),
        ({"depth": -1}, "must not be negative"),
        ({"recall": 1.5}, r"must be in \(0, 1\], not 1.5"),
        ({"recall": 0.95}, "its best is 0.900"),
        ({"recall": 0.85, "k": 50}, "its best is 0.800"),
        ({"recall": 0.5, "nprobe": 2}, "give either recall, or those two"),
        ({"view": View(domains=("none",))}, "No passage has the domain 'none'"),
        ({"view": View(where=(Condition("age", ">", "3"),))}, "has the metadata column 'age'"),
        ({"method": Method("bm25")}, "has no BM25 index"),
    ],
)
def test_what_manifest_and_card_refuse_needs_nothing_loaded(paths, asked, message):
    with pytest.raises(RalmError, match=message):
        Asked(**{"k": 3, "view": View(), **asked}).check(paths[:1])


def test_what_a_store_can_answer_is_let_through(paths):
    Asked(3, View(), recall=0.9).check(paths[:1])
    Asked(3, View(), nprobe=4, depth=0, method=Method()).check(paths[:1])
    # Of several stores those without lists take no notice of them.
    Asked(3, View(), nprobe=4).check(paths)


@pytest.mark.parametrize("key", ["IVF4,Flat", "PCA8,IVF4,SQ8"])
def test_how_many_lists_a_factory_string_makes_is_left_to_the_loaded_index(tmp_path, paths, key):
    make_store(tmp_path / "made", np.arange(200), random_vectors(0, 200), key)
    Asked(3, View(), nprobe=2).check([tmp_path / "made"])
    Asked(3, View(), nprobe=2).check([paths[1], tmp_path / "made"])


def test_without_lists_or_a_card_what_needs_them_is_refused(paths):
    with pytest.raises(RalmError, match="Flat has no lists to probe"):
        Asked(3, View(), nprobe=2).check(paths[1:])
    with pytest.raises(RalmError, match="no index card to choose a recall by"):
        Asked(3, View(), recall=0.9).check(paths)
    with pytest.raises(RalmError, match="None of these stores' indexes has lists"):
        Asked(3, View(), nprobe=1).check([paths[1], paths[1]])


@pytest.mark.parametrize(("queries", "which"), [([""], "The query"), (["x", " \n"], "Query 2")])
def test_a_query_without_text_is_refused(queries, which):
    with pytest.raises(RalmError, match=f"^{which} is empty"):
        require_text(queries)
    require_text(["x"])
