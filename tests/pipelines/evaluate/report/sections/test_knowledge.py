from dataclasses import replace

import numpy as np

from pipelines.evaluate.report.sections.knowledge import knowledge


def test_shares_of_gained_kept_lost_and_never_add_up(study):
    (table,) = knowledge(study).tables
    assert table.columns[1:5] == ("gained", "kept", "lost", "never")
    assert len(table.rows) == 6
    for row in table.rows:
        assert abs(sum(float(cell.split()[0]) for cell in row[1:5]) - 100) < 0.3
    (claim,) = knowledge(study).claims
    assert "of questions are gained" in claim


def test_what_is_made_of_passages_that_hold_the_answer_stands_apart(study):
    held = [
        replace(one, held=one.values > 0)
        for one in study.tables.questions
        if one.metric == "reader exact match"
    ]
    tables = study.tables.merged([], held)
    table = knowledge(replace(study, tables=tables)).tables[-1]
    assert "by whether the passages held the answer" in table.caption
    assert {(row[2].split()[0], row[4].split()[0]) for row in table.rows} == {("100.0", "0.0")}
    assert all(int(row[1]) + int(row[3]) == 150 for row in table.rows)
    assert np.all([one.held is not None for one in held])


def test_without_answers_alone_it_says_why(searched):
    assert knowledge(searched).absent == "No reader answered questions both alone and with passages."
