from datastore.schema import Document
from datastore.takedown import Takedown, Takedowns
from pipelines.build.filter import MinimumLength, TakenDown, filters
from pipelines.config import BuildConfig, SourceConfig


def test_short_documents_are_removed_with_their_length():
    rule = MinimumLength(5)
    assert rule.reason(Document("a", "d", "  abcd  ")) == "4 characters, at least 5"
    assert rule.reason(Document("a", "d", "abcde")) is None


def test_a_build_filters_by_its_configuration():
    config = BuildConfig(sources=(SourceConfig(path="a"),), min_chars=3)
    gone = Takedowns(frozenset({Takedown("d", "b")}))
    assert filters(config, gone) == (TakenDown(gone), MinimumLength(3))


def test_what_is_taken_down_is_removed_whatever_it_says():
    rule = TakenDown(Takedowns(frozenset({Takedown("d", "b")})))
    assert rule.reason(Document("b", "d", "a text")) == "it is taken down"
    assert rule.reason(Document("b", "another domain", "a text")) is None
