import pytest

from base.errors import RalmError
from datastore.view import View
from retriever.ranking.setting import Setting, SeveralSettings
from retriever.refinement import Refinement
from retriever.request import DENSE, Effort, Method, Search


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": "sparse"}, "Unknown method 'sparse': valid are dense, bm25, hybrid"),
        ({"name": ""}, "Unknown method '': valid are dense, bm25, hybrid"),
        ({"fusion": "sum"}, "Unknown fusion 'sum': valid are rrf, weighted"),
        ({"weight": 1.1}, "between 0 and 1, not 1.1"),
        ({"weight": -0.1}, "between 0 and 1, not -0.1"),
    ],
)
def test_a_method_that_is_none_says_which_there_are(wrong, message):
    with pytest.raises(RalmError, match=message):
        Method(**wrong)
    assert Method("dense") == DENSE


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"depth": -1}, "must not be negative: -1"),
        ({"recall": 3}, r"must be in \(0, 1\], not 3"),
        ({"recall": 0}, r"must be in \(0, 1\], not 0"),
        ({"recall": 1.5}, r"must be in \(0, 1\], not 1.5"),
        ({"recall": 0.9, "nprobe": 2}, "give either recall, or those two"),
        ({"recall": 0.9, "depth": 0}, "give either recall, or those two"),
    ],
)
def test_an_effort_that_no_index_can_take_is_refused_as_it_is_made(wrong, message):
    with pytest.raises(RalmError, match=message):
        Effort(**wrong)


@pytest.mark.parametrize("k", [0, -3])
def test_k_must_be_positive(k):
    with pytest.raises(RalmError, match=f"k must be at least 1, not {k}"):
        Search(k)


@pytest.mark.parametrize(
    ("part", "value", "mend"),
    [
        ("method", "dense", r"The method of a search cannot be 'dense': write method=Method\(\"dense\"\)"),
        ("method", "bm25", r"method=Method\(\"bm25\"\)"),
        ("method", ["x"], r"method=Method\(\"dense\"\)"),
        ("view", 0.1, r"cannot be 0\.1: write view=View\(fraction=0\.1\)"),
        ("effort", 0.9, r"write effort=Effort\(recall=0\.95\)"),
        ("refinement", 0.8, r"write refinement=Refinement\(near_duplicates=0\.8\)"),
    ],
)
def test_a_part_of_another_type_says_how_it_is_written(part, value, mend):
    with pytest.raises(RalmError, match=mend):
        Search(**{part: value})


def test_a_search_is_a_value():
    assert Search() == Search(5, View(), Effort(), Method(), Refinement())
    assert len({Search(3), Search(3, View(0.5)), Search(3)}) == 2


def test_a_setting_is_that_of_each_store_unless_each_has_its_own():
    one, other = Setting(4, 50), Setting(8, 20)
    assert one.of_each(2) == (one, one)
    assert SeveralSettings(8, 50, (one, other)).of_each(2) == (one, other)
