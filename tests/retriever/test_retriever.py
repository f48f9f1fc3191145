import numpy as np
import pytest

from base.errors import RalmError
from datastore.conditions import Condition
from datastore.view import View
from retriever.local import LocalRetriever
from retriever.ranking.card import Card, Rung
from retriever.ranking.setting import Setting, SeveralSettings
from retriever.refinement import Refinement
from retriever.request import DENSE, Effort, Method, Search
from retriever.several import SeveralRetriever
from tests.vectors import dense, make_retriever, make_store, random_vectors

QUERY = np.ones((1, 8), np.float32)


@pytest.fixture
def several(tmp_path):
    """Two stores without words, of which the first has four lists and a card."""
    lists = make_store(tmp_path / "lists", np.arange(50), random_vectors(0, 50), "IVF4,SQ8")
    flat = make_store(tmp_path / "flat", np.arange(20), random_vectors(0, 20))
    card = Card(
        lists.manifest.index_hash, 50, 9, (Rung(2, 10, 0.8, 0.8, 0, 1.0), Rung(4, 20, 0.96, 0.9, 0, 2))
    )
    return SeveralRetriever({"a": make_retriever(lists, QUERY, card=card), "b": make_retriever(flat, QUERY)})


@pytest.mark.parametrize("refinement", [Refinement(), Refinement(near_duplicates=0.8)])
def test_a_text_in_the_place_of_a_list_is_refused(several, refinement):
    for asked in ("0", ["0"]):
        answers = None if asked == "0" else "Anna"
        with pytest.raises(RalmError, match="is a list of texts"):
            several.search(asked, Search(1, refinement=refinement), answers)
    with pytest.raises(RalmError, match="is a list of texts"):
        several.answerable("0", [View()], Search(1))


def test_a_settled_search_has_its_method_named_and_its_setting_chosen(several, store):
    alone = several.members["a"]
    assert alone.settled(Search(3)) == Search(3, effort=Setting(4, 20), method=DENSE)
    assert alone.settled(Search(3, effort=Effort(recall=0.7))).effort == Setting(2, 10)
    assert alone.settled(Search(3, effort=Effort(nprobe=3, depth=0))).effort == Setting(3, 0)
    settled = several.settled(Search(3, method=Method(fusion="rrf")))
    assert settled.method == Method("dense", "rrf")
    assert settled.effort == SeveralSettings(4, 20, (Setting(4, 20), Setting(0, 0)))
    assert several.settled(settled) == settled
    with_words = LocalRetriever.open(store)
    assert with_words.settled(Search()).method == Method("hybrid")
    # By words alone nothing is chosen, and no index is loaded for it.
    assert with_words.settled(Search(method=Method("bm25"))) == Search(method=Method("bm25"))


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (Search(method=Method("bm25")), "has no BM25 index"),
        (Search(effort=Effort(recall=0.9)), "no index card to choose a recall by"),
        (Search(effort=Effort(nprobe=5)), "between 1 and the 4 lists"),
        (Search(view=View(domains=("none",))), "has the domain 'none'"),
    ],
)
def test_what_cannot_be_answered_is_refused_settled_or_searched(several, search, message):
    for ask in (several.settled, lambda one: several.search(["0"], one)):
        with pytest.raises(RalmError, match=message):
            ask(search)


def test_several_are_named_by_all_their_hashes(several):
    one, other = (retriever.hash for retriever in several.members.values())
    assert (
        len({one, other, several.hash, SeveralRetriever(dict(reversed(several.members.items()))).hash}) == 4
    )
    assert SeveralRetriever({"a": several.members["a"]}).hash == one
    assert several.rows == 70


def test_of_several_the_least_recall_is_known_if_each_is(several):
    assert several.measured(several.settled(dense(5))) is None  # The second store has no card.
    one = several.members["a"]
    assert one.measured(one.settled(dense(5))) == 0.96
    several.stores["b"].card = Card("", 20, 9, (Rung(0, 0, 1.0, 1.0, 0, 1.0),))
    assert several.measured(several.settled(dense(5))) == 0.96
    assert several.measured(Search(method=Method("bm25"))) is None


def test_one_store_leaves_nothing_out(several):
    view = View(where=(Condition("title", "=", "x"),))
    assert several.members["a"].left_out(view) == several.left_out(view) == ()
