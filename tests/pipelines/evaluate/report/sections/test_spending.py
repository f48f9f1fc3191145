from pipelines.evaluate.report.sections.spending import _parts, spending


def test_at_each_round_budget_there_is_a_sentence_with_shares_and_bits(study):
    section = spending(study)
    first = next(claim for claim in section.claims if claim.startswith("trivia"))
    assert "at 100 MB, spend 9" in first
    assert "% on weights at 4.8 bits a parameter and " in first
    assert "over the LM alone at no more bytes +" in first
    assert any("by the law of bytes and tokens, of 4.22 GB" in claim for claim in section.claims)


def test_the_front_stands_before_all_ways(study):
    on, every = [table for table in spending(study).tables if table.caption.startswith("trivia")]
    assert not on.folded
    assert every.folded
    assert len(every.rows) == 30
    assert set(on.rows) < set(every.rows)
    assert every.rows[0][:3] == ("lm-135M, nf4, LM alone", "81 MB", "100%")


def test_without_bytes_of_a_reader_it_says_why(searched):
    assert "No reader's bytes" in spending(searched).absent


def test_two_shares_of_which_neither_is_nothing_are_not_told_as_nothing():
    assert [_parts(weights) for weights in (1.0, 0.9996, 0.5, 0.0)] == [
        ("100%", "0%"),
        ("99.96%", "0.04%"),
        ("50%", "50%"),
        ("0%", "100%"),
    ]
