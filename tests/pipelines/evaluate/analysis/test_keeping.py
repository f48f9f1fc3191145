from dataclasses import replace

import numpy as np

from pipelines.evaluate.analysis.keeping import Share, changes, used
from pipelines.evaluate.analysis.panels import panels
from pipelines.evaluate.tables import Tables
from tests.pipelines.evaluate.simulated import Simulated


def filtered(tables: Tables) -> Tables:
    """The same study with a second half that has a filter, by which nothing is right any more."""
    results = [one for one in tables.results if one.metric == "reader exact match" and one.cell.fraction]
    cells = {one.cell.id: replace(one.cell, where="year>1500") for one in results}
    values = [
        replace(one, cell=cells[one.cell].id, values=np.zeros_like(one.values))
        for one in tables.questions
        if one.cell in cells
    ]
    return tables.merged([replace(one, cell=cells[one.cell.id]) for one in results], values)


def test_spots_that_differ_in_one_filter_are_compared_at_the_largest_share():
    study = Simulated(fractions=(0.1, 1.0), questions=30, retrieval=False)
    (panel,) = panels(filtered(study.tables()))
    (found,) = changes(panel)
    assert (found.axis, found.what) == ("where", "year>1500")
    assert panel.spots[found.with_it].cell.fraction == 1
    assert panel.spots[found.without].cell == replace(panel.spots[found.with_it].cell, where="")
    assert panel.gain(found.with_it, found.without).high < 0


def test_a_study_without_filters_has_no_changes():
    (panel,) = panels(Simulated(fractions=(0.1, 1.0), questions=30, retrieval=False).tables())
    assert not list(changes(panel))


def test_a_passage_counts_for_an_answer_if_it_is_right_and_so_is_the_answer():
    passages = [("a", "books", True), ("a", "news", False), ("b", "books", True), ("b", "news", True)]
    assert used(passages, {"a"}) == [Share("books", 2, 2, 1), Share("news", 2, 1, 0)]
