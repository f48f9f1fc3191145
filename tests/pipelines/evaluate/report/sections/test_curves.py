from pipelines.evaluate.report.sections.curves import curves


def test_every_line_stands_with_what_the_whole_brings(study):
    section = curves(study)
    assert {table.caption for table in section.tables} == {
        "texts, bits per byte, n = 20; better the lower",
        "trivia, reader exact match, % of questions, n = 150",
        "trivia, success, % of questions, n = 150",
    }
    answers = next(table for table in section.tables if "exact match" in table.caption)
    assert [row[0] for row in answers.rows][:2] == ["lm-135M, nf4", "lm-135M, none"]
    assert all(row[-1].startswith("+") for row in answers.rows)
    found = next(table for table in section.tables if "success" in table.caption)
    assert [row[0] for row in found.rows] == ["k = 1", "k = 5"]
    assert {row[1] for row in found.rows} == {"–"}


def test_claims_are_of_the_line_that_ends_best_and_have_intervals(study):
    claims = curves(study).claims
    assert len(claims) == 3
    assert all("[" in claim and "tokens" in claim for claim in claims)
    bits = next(claim for claim in claims if "bits" in claim)
    assert "(lm-1700M" in bits
    assert "−" in bits


def test_few_questions_are_named(study):
    (note,) = curves(study).notes
    assert note.endswith("surer than they are: texts, bits per byte.")


def test_figures_say_what_they_show(study):
    for figure in curves(study).figures:
        assert figure.alt.startswith(figure.caption)
        assert "from 100 k tokens to 100 M tokens" in figure.alt
