from dataclasses import replace

from pipelines.evaluate.report.about import About
from pipelines.evaluate.report.sections.compute import compute


def test_for_each_count_of_questions_it_says_what_is_as_good_as_the_best_reader_alone(study):
    section = compute(study)
    assert len(section.figures) == 6
    claims = [claim for claim in section.claims if claim.startswith("trivia")]
    assert [claim.split(" questions")[0].split(", ")[-1] for claim in claims] == ["1 k", "1 M", "1 G"]
    # A small reader with passages is as good, and trained with a fraction of the operations.
    assert all("takes 0.01" in claim and "the difference of the metric is" in claim for claim in claims)


def test_prompts_that_were_counted_are_taken_as_they_are(study):
    counted = [
        replace(one, basis=replace(one.basis, prompt_tokens=1e9, answer_tokens=0.0))
        if one.cell.fraction
        else one
        for one in study.tables.results
    ]
    dear = replace(study, tables=study.tables.merged(counted, []), about=replace(study.about, queries=(1e9,)))
    claims = [claim for claim in compute(dear).claims if claim.startswith("trivia")]
    assert not any("takes 0.01" in claim for claim in claims)


def test_without_training_or_encoder_it_says_why(study):
    assert "training_tokens" in compute(replace(study, about=About())).absent
    assert (
        "encoder_parameters"
        in compute(replace(study, about=replace(study.about, encoder_parameters=None))).absent
    )
