import pytest

from base.errors import RalmError
from datastore.conditions import Condition
from datastore.members import known_views
from datastore.view import View
from tests.vectors import make_store, random_vectors

VECTORS = random_vectors(1, 20)
TITLED, YEAR = (Condition.parse(text) for text in ("title!=x", "year>2000"))


@pytest.fixture
def stores(tmp_path):
    """Of the domain a with years, of b with years, and of a with titles: see `tests.vectors.passage`."""
    numbers = ([3, 6], [1, 4], [15])
    return [make_store(tmp_path / str(n), of, VECTORS) for n, of in enumerate(numbers)]


def test_each_answers_of_a_view_what_it_has(stores):
    views = [View(), View(domains=("b", "a"), where=(YEAR,)), View(0.5, 3, where=(TITLED,))]
    a, b = (View(domains=(domain,), where=(YEAR,)) for domain in "ab")
    assert known_views(stores, views) == [[View(), a, None], [View(), b, None], [View(), None, views[2]]]


def test_what_no_store_has_is_refused_and_so_is_what_no_single_one_has(stores):
    with pytest.raises(RalmError, match="No passage has the domain 'c': there are 'a', 'b'"):
        known_views(stores, [View(domains=("a", "c"))])
    with pytest.raises(RalmError, match=r"column 'yaer': there are .*; did you mean year\?"):
        known_views(stores, [View(where=(Condition("yaer", "=", "1"),))])
    with pytest.raises(RalmError, match=r"No one of these stores has such a domain .*: 'b', 'title'"):
        known_views(stores, [View(domains=("b",), where=(TITLED,))])


def test_an_empty_store_answers_nothing_and_refuses_nothing_that_others_have(stores, tmp_path):
    empty = make_store(tmp_path / "empty", [], VECTORS)
    assert known_views([empty, stores[0]], [View(domains=("a",))]) == [[None], [View(domains=("a",))]]
    assert known_views([empty], [View()]) == [[None]]
