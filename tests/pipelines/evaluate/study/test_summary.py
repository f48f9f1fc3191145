"""The terminal tells the figures that the report tells, and warns of few questions and small shares."""

from dataclasses import replace

import pytest

from pipelines.evaluate.analysis.panels import panels
from pipelines.evaluate.study.summary import blocks, few, figures, small
from pipelines.evaluate.tables import Tables
from tests.pipelines.evaluate.simulated import Simulated


@pytest.fixture(scope="module")
def tables() -> Tables:
    return Simulated(fractions=(0.01, 1.0), questions=40).tables()


def test_figures_are_those_of_the_report(tables):
    told = {(one.metric, one.cell): one.score for one in figures(tables)}
    for panel in panels(tables):
        for at, spot in enumerate(panel.spots):
            assert told[panel.metric, spot.cell] == panel.score(at)


def test_a_reader_has_a_table_whose_first_row_is_the_lm_alone(tables):
    of_reader = [one for one in blocks(tables) if "reader exact match" in one.headings]
    assert [row[0] for row in of_reader[0].rows] == ["LM alone", "0.01", "1"]


def test_few_questions_are_told(tables):
    assert few(tables) is None
    told = few(Simulated(fractions=(0.1, 1.0), questions=8).tables())
    assert told == "few questions: 8 of trivia; below 30 intervals look surer than they are"


def test_shares_that_hold_less_than_is_looked_at_are_told(tables):
    assert small(tables) is None
    bare = [
        replace(one, basis=replace(one.basis, passages=1)) if one.cell.fraction == 0.01 else one
        for one in tables.results
    ]
    told = small(replace(tables, results=tuple(bare)))
    assert told == "small shares: 1 passage at 0.01, where 5 are looked at"
