import pytest

from datastore.schema import Document
from pipelines.filters.length import Length
from pipelines.filters.text import Text


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("  abc  ", "too_short: 3 characters, at least 4"),
        ("abcd", None),
        (" abcdef ", None),
        ("abcdefg", "too_long: 7 characters, at most 6"),
    ],
)
def test_white_space_at_the_ends_does_not_count(body, reason):
    text = Text(Document("a", "d", body))
    verdict = Length(min_chars=4, max_chars=6).judge(text)
    assert verdict is text if reason is None else str(verdict) == reason
