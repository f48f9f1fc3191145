import pytest

from base.names import did_you_mean, nearest


@pytest.mark.parametrize(
    ("name", "there", "found"),
    [
        ("hybird", ("dense", "bm25", "hybrid"), "hybrid"),
        ("HYBRID", ("dense", "bm25", "hybrid"), "hybrid"),
        ("yaer", ("year", "licence"), "year"),
        ("licence", (), None),
        ("sparse", ("dense", "bm25"), None),
    ],
)
def test_a_name_that_is_nearly_right_gets_the_nearest(name, there, found):
    assert nearest(name, there) == found
    assert did_you_mean(name, there) == (f"; did you mean {found}?" if found else ".")
