import numpy as np
import pytest

from base.errors import RalmError
from datastore.conditions import Condition
from datastore.view import View
from retriever.ranking.card import Card, Rung, write_card
from retriever.refusals import refuse_unopened, require_answers, require_list, require_text
from retriever.request import DENSE, Effort, Method, Search
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
        ({"effort": Effort(nprobe=5)}, "between 1 and the 4 lists"),
        ({"effort": Effort(nprobe=0)}, "between 1 and the 4 lists"),
        ({"effort": Effort(recall=0.95)}, "its best is 0.900"),
        ({"effort": Effort(recall=0.85), "k": 50}, "its best is 0.800"),
        ({"view": View(domains=("none",))}, "No passage has the domain 'none'"),
        ({"view": View(where=(Condition("age", ">", "3"),))}, "has the metadata column 'age'"),
        ({"method": Method("bm25")}, "has no BM25 index"),
    ],
)
def test_what_manifest_and_card_refuse_needs_nothing_loaded(paths, asked, message):
    with pytest.raises(RalmError, match=message):
        refuse_unopened(Search(**asked), paths[:1])


def test_what_a_store_can_answer_is_let_through(paths):
    refuse_unopened(Search(3, effort=Effort(recall=0.9)), paths[:1])
    refuse_unopened(Search(3, effort=Effort(nprobe=4, depth=0), method=DENSE), paths[:1])
    # Of several stores those without lists take no notice of them.
    refuse_unopened(Search(3, effort=Effort(nprobe=4)), paths)


@pytest.mark.parametrize("key", ["IVF4,Flat", "PCA8,IVF4,SQ8"])
def test_how_many_lists_a_factory_string_makes_is_left_to_the_loaded_index(tmp_path, paths, key):
    make_store(tmp_path / "made", np.arange(200), random_vectors(0, 200), key)
    refuse_unopened(Search(3, effort=Effort(nprobe=2)), [tmp_path / "made"])
    refuse_unopened(Search(3, effort=Effort(nprobe=2)), [paths[1], tmp_path / "made"])


def test_without_lists_or_a_card_what_needs_them_is_refused(paths):
    with pytest.raises(RalmError, match="Flat has no lists to probe"):
        refuse_unopened(Search(3, effort=Effort(nprobe=2)), paths[1:])
    with pytest.raises(RalmError, match="no index card to choose a recall by"):
        refuse_unopened(Search(3, effort=Effort(recall=0.9)), paths)
    with pytest.raises(RalmError, match="None of these stores' indexes has lists"):
        refuse_unopened(Search(3, effort=Effort(nprobe=1)), [paths[1], paths[1]])


@pytest.mark.parametrize(("queries", "which"), [([""], "The query"), (["x", " \n"], "Query 2")])
def test_a_query_without_text_is_refused(queries, which):
    with pytest.raises(RalmError, match=f"^{which} is empty"):
        require_text(queries)
    require_text(["x"])


def test_a_text_is_no_list_of_texts():
    """It would be searched letter by letter."""
    for require in (require_list, require_text):
        with pytest.raises(
            RalmError, match=r"list of texts, not a text: write search\(\['bridge'\], \.\.\.\)"
        ):
            require("bridge")
        with pytest.raises(RalmError, match="list of texts: 3 is none"):
            require(["bridge", 3])
    require_list([])


@pytest.mark.parametrize(
    ("answers", "mend"),
    [
        ("Anna", r"not 'Anna': write answers=\[\['Anna'\]\]"),
        (["Anna", "Ben"], r"not 'Anna': write answers=\[\['Anna'\]\]"),
        ([["Anna"]], "give 2 of these lists, not 1"),
    ],
)
def test_answers_are_a_list_of_texts_for_each_query(answers, mend):
    with pytest.raises(RalmError, match=mend):
        require_answers(answers, 2)
    for right in (None, [], [["Anna"], []]):
        require_answers(right, 2)
