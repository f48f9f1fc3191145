"""What stands in front of strides: what a search of a view finds, less what rules drop; or controls."""

import pytest

from datastore.view import View
from pipelines.evaluate.perplexity.fronts import ALONE, Arm, Fronts
from pipelines.evaluate.perplexity.strides import NOTHING, Pace, Step
from retriever.local import LocalRetriever
from retriever.refinement import Decontamination
from retriever.request import Method, Search
from tests.corpus import documents


class Letters:
    """A reader whose tokens are characters."""

    def tokens(self, text):
        return tuple(map(ord, text))

    def text_of(self, ids):
        return "".join(map(chr, ids))


TEXT = "People in Dunmarrow make blue glass. " * 4


@pytest.fixture(scope="module")
def retriever(store):
    return LocalRetriever.open(store)


def fronts(retriever, rules=(), depth=None, method="bm25"):
    search = retriever.settled(Search(method=Method(method)))
    return Fronts(retriever, search, Letters(), Pace(4096, 40, 37), rules, depth)


def step(done=37):
    return Step(tuple(map(ord, TEXT)), done, done + 37)


def texts_of(front):
    return "".join(map(chr, front.ids))


def test_each_arm_has_what_a_search_of_its_view_finds(retriever):
    views = [View(), View(0.5, 3)]
    arms = [ALONE, *(Arm(2, view) for view in views)]
    alone, *found = fronts(retriever).before([step(), step(0)], [TEXT, TEXT], arms)
    assert alone == [NOTHING, NOTHING]
    for view, (front, first) in zip(views, found, strict=True):
        (ranking,) = retriever.search([TEXT[:37]], Search(2, view, method=Method("bm25")))
        assert front.passages == len(ranking.hits) == 2
        assert all(hit.passage.text in texts_of(front) for hit in ranking.hits)
        # Before the first stride there is nothing to search by.
        assert first == NOTHING


def test_rules_drop_what_holds_the_text_and_the_search_goes_deeper(retriever):
    held = next(one["text"] for one in documents() if one["id"] == "Dunmarrow-1")
    rule = Decontamination("overlap", 8)
    (found,) = fronts(retriever, (rule,)).before([step()], [TEXT + held], [Arm(1)])
    (free,) = fronts(retriever).before([step()], [TEXT + held], [Arm(1)])
    assert held in texts_of(free[0])
    assert held not in texts_of(found[0])
    assert found[0].passages == 1
    # Not beyond the depth that a protocol looks at.
    (none,) = fronts(retriever, (rule,), depth=1).before([step()], [TEXT + held], [Arm(1)])
    assert none == [NOTHING]


def test_an_oracle_looks_ahead_and_random_passages_are_the_same_again(retriever):
    ahead = "Smoked trout is sold in Corrowick by Lake Ansel."
    ids = tuple(map(ord, TEXT[:37] + ahead))
    one = Step(ids, 37, len(ids))
    arms = [Arm(1), Arm(1, by="oracle"), Arm(3, by="random")]
    found = fronts(retriever, method="bm25").before([one], [TEXT], arms)
    before, oracle, random = (texts_of(of_arm[0]) for of_arm in found)
    assert "Corrowick" in oracle
    assert "Corrowick" not in before
    assert found[2][0].passages == 3
    again = fronts(retriever).before([one], [TEXT], [Arm(3, by="random")])
    assert texts_of(again[0][0]) == random
    other = fronts(retriever).before([Step(ids, 36, len(ids))], [TEXT], [Arm(3, by="random")])
    assert texts_of(other[0][0]) != random
