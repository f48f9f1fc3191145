from datastore.schema import Document
from pipelines.build.filter import MinimumLength, filters
from pipelines.config import BuildConfig, SourceConfig


def test_short_documents_are_removed_with_their_length():
    rule = MinimumLength(5)
    assert rule.reason(Document("a", "d", "  abcd  ")) == "4 characters, at least 5"
    assert rule.reason(Document("a", "d", "abcde")) is None


def test_a_build_filters_by_its_configuration():
    config = BuildConfig(sources=(SourceConfig(path="a"),), min_chars=3)
    assert filters(config) == (MinimumLength(3),)
