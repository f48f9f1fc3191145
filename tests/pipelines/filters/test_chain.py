import pytest

from datastore.errors import RalmError
from datastore.schema import Document
from datastore.takedown import Takedown, Takedowns
from pipelines.config import checked_config
from pipelines.filters.c4 import BoilerplateLines
from pipelines.filters.chain import Chain, Removed
from pipelines.filters.length import Length


def test_what_is_taken_down_is_removed_whatever_it_says():
    chain = Chain((), Takedowns(frozenset({Takedown("d", "b")})))
    assert chain.judge(Document("b", "d", "a text")) == Removed("taken_down", "it is taken down")
    assert chain.judge(Document("b", "other", "a text")).document == Document("b", "other", "a text")


def test_each_filter_sees_what_the_one_before_left():
    chain = Chain((BoilerplateLines(), Length(min_chars=10)))
    removed = chain.judge(Document("a", "d", "We use cookies\nshort"))
    assert removed == Removed("length", "too_short: 5 characters, at least 10")


def test_filters_are_named_or_spelled_out():
    config = checked_config(
        {
            "sources": [{"path": "a", "filters": []}],
            "filters": ["c4", {"name": "gopher_quality", "min_words": 5}],
        }
    )
    assert [rule.name for rule in config.filters] == ["c4", "gopher_quality"]
    assert config.filters[1].min_words == 5
    assert config.sources[0].filters == ()


@pytest.mark.parametrize(
    ("filters", "what"),
    [(["gopher"], "gopher_quality"), ([{"name": "c4", "min_lines": 3}], "min_lines"), (["quality"], "model")],
)
def test_a_filter_that_is_none_is_answered_with_those_there_are(filters, what):
    with pytest.raises(RalmError, match=what):
        checked_config({"sources": [{"path": "a"}], "filters": filters})
