from dataclasses import replace

import numpy as np

from pipelines.evaluate.report.sections.keeping import keeping


def test_a_filter_is_compared_with_its_absence(searched):
    rows = [one for one in searched.tables.results if one.cell.k == 5]
    cells = {one.cell.id: replace(one.cell, filter="overlap") for one in rows}
    values = [
        replace(one, cell=cells[one.cell].id, values=np.zeros_like(one.values))
        for one in searched.tables.questions
        if one.cell in cells
    ]
    tables = searched.tables.merged([replace(one, cell=cells[one.cell.id]) for one in rows], values)
    (table,) = keeping(replace(searched, tables=tables)).tables
    assert table.caption == "trivia, success: what filters change, n = 150"
    ((axis, value, _, _, with_it, difference),) = table.rows
    assert (axis, value) == ("filter", "overlap")
    assert with_it.startswith("0.0 [0.0, ")
    assert difference.startswith("−")
