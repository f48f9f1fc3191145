import math

from pipelines.plan.figure import Figure


def test_a_figure_is_a_number_that_says_where_it_comes_from():
    figure = Figure(2.5, "MB a second", "measured", 1, 3)
    assert figure * 2 == 5
    assert (figure.unit, figure.source, figure.known) == ("MB a second", "measured", True)
    given = figure.given(3, "given")
    assert (given, given.source, given.unit, given.most) == (3, "given", "MB a second", 3)


def test_what_nobody_measured_is_not_known_and_never_allowed():
    assert not Figure(math.nan, "", "").known
    figure = Figure(1, "", "", 1, 3)
    assert [figure.allows(value) for value in (0.9, 1, 3, 3.1, math.nan)] == [False, True, True, False, False]
    assert not Figure(1, "", "").allows(math.inf)
