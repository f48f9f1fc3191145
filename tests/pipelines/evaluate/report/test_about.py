import pytest

from base.errors import RalmError
from pipelines.evaluate.report.about import About


def test_without_a_file_there_is_a_title_and_nothing_else(tmp_path):
    found = About.read(tmp_path)
    assert (found.title, found.command, found.text, found.encoder_parameters) == (
        "Scaling study",
        "",
        "",
        None,
    )


def test_words_and_numbers_of_a_file(tmp_path):
    text = """
title: Growth
protocol: {search: all lists, sizes: [1, 2], store: {name: s, rows: 5}}
notes: [one]
machine: two cores
date: 2026-11-30
training_tokens: {small: 2.0e+12}
encoder_parameters: 22000000
queries: [1000]
factors: {carbon: 20, water_on_site: 0}
"""
    (tmp_path / "study.yaml").write_text(text)
    found = About.read(tmp_path)
    assert found.title == "Growth"
    assert found.protocol == {
        "search": "all lists",
        "sizes": "1, 2",
        "store": "name s, rows 5",
        "machine": "two cores",
        "date": "2026-11-30",
    }
    assert (found.notes, found.queries, found.training_tokens) == (("one",), (1000.0,), {"small": 2e12})
    assert (found.factors.carbon, found.factors.water_on_site, found.factors.carbon.source) == (
        20,
        0,
        "study.yaml",
    )
    assert found.factors.pue > 1
    assert found.text == text


@pytest.mark.parametrize(
    "text",
    [
        "- a list",
        "queries: many",
        "factors: {wind: 1}",
        "factors: {pue: x}",
        "training_tokens: 5",
        "{",
        "title: Größe",
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(tmp_path, text):
    (tmp_path / "study.yaml").write_text(text, encoding="latin-1")
    with pytest.raises(
        RalmError, match=r"study\.yaml cannot be read as a study \(.+\): correct it, or remove it\."
    ):
        About.read(tmp_path)
