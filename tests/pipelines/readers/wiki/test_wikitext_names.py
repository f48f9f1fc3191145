import pytest

from pipelines.readers.wiki.wikitext_names import BREAKING_TAGS, UNSEEN, UNSEEN_TAGS, is_unseen


@pytest.mark.parametrize(
    ("target", "unseen"),
    [
        ("File:A.jpg", True),
        (" category :Rivers", True),
        ("Datei:A.jpg", True),
        ("de:Stadt", True),
        ("zh-min-nan:X", True),
        ("simple:Town", True),
        (":Category:Rivers", False),
        ("Talk:A", False),
        ("2001: A Space Odyssey", False),
        ("river", False),
        ("", False),
    ],
)
def test_links_to_files_categories_and_other_languages_are_not_shown(target, unseen):
    assert is_unseen(target, UNSEEN | {"datei"}) == unseen


def test_names_are_in_small_letters_and_a_tag_that_is_not_shown_breaks_no_line():
    assert all(name == name.lower() for name in UNSEEN | UNSEEN_TAGS | BREAKING_TAGS)
    assert not UNSEEN_TAGS & BREAKING_TAGS
