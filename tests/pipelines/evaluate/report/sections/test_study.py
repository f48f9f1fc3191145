from pipelines.evaluate.report.sections.study import heading, line_name, slug, spot_names


def test_what_is_asked_first_of_each_task_is_one_metric_of_a_kind(study):
    assert sorted(heading(panel) for panel in study.chief) == [
        *("texts, bits per byte", "trivia, reader exact match", "trivia, success")
    ]
    assert sorted(heading(panel) for panel in study.answered) == [
        "texts, bits per byte",
        "trivia, reader exact match",
    ]


def test_spots_are_called_by_what_tells_them_apart_and_by_their_share(study):
    panel = study.answered[-1]
    found = spot_names(panel.spots)
    assert len(set(found)) == len(found)
    assert {"lm-135M, nf4, LM alone", "lm-360M, none, 0.1 of the store"} <= set(found)
    line = next(iter(panel.lines))
    assert line_name(line, list(panel.lines)) == "lm-135M, nf4"


def test_names_of_files_are_plain_words():
    assert slug("Bits, per byte", "10 µm/x") == "bits-per-byte-10-µm-x"
