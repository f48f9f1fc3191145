import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.foreign import Refused
from pipelines.readers.documents.extracted import NoDocumentError
from pipelines.readers.documents.pdf import _joined, extract
from tests.pipelines.readers.office import pdf

LIMIT = 1 << 20
PROSE = [
    "The old stone bridge over the river was built in the spring of 1787",
    "by masons of the neighbouring valley, who were paid in grain. It has",
    "three arches.",
    "A second bridge was planned and never built, for the money was spent",
    "on the first.",
]
BRIDGE = (
    "The old stone bridge over the river was built in the spring of 1787 by masons of the neighbouring "
    "valley, who were paid in grain. It has three arches."
)
SECOND = "A second bridge was planned and never built, for the money was spent on the first."


def test_lines_become_paragraphs_and_sentences_are_whole():
    found = extract(pdf(["On bridges", *PROSE]), LIMIT)
    assert found.text.splitlines() == ["On bridges", BRIDGE, SECOND]
    assert found.metadata == {"pages": 1}


def test_a_sentence_goes_on_over_a_page_without_its_number_and_running_title():
    parts = (PROSE[:1], PROSE[1:4], PROSE[4:])
    pages = [[f"{n}. Of bridges", *lines, f"- {n} -"] for n, lines in enumerate(parts, 1)]
    assert extract(pdf(*pages), LIMIT).text.splitlines() == ["1. Of bridges", BRIDGE, SECOND]


def test_lists_stay_lists():
    lines = [
        "What is needed for a bridge, as every mason of the valley knows by heart:",
        "• stone",
        "• grain",
    ]
    assert extract(pdf(lines), LIMIT).text.splitlines() == lines


def test_lines_without_spaces_are_joined_without_one():
    lines = ["石の橋は千七百八十七年の春に谷の石工たちによって", "川の上に架けられた。", "Stone", "bridge"]
    assert list(_joined(lines)) == [
        "石の橋は千七百八十七年の春に谷の石工たちによって川の上に架けられた。",
        "Stone bridge",
    ]


def test_metadata_is_what_the_file_says_of_itself():
    info = r"/Title (On \(old\) bridges) /Author (A. Mason) /CreationDate (D:20190601120000+02'00')"
    found = extract(pdf(PROSE, None, info=info), LIMIT)
    assert found.metadata == {
        "title": "On (old) bridges",
        "author": "A. Mason",
        "date": "2019-06-01",
        "pages": 2,
    }


def test_an_encrypted_file_is_read_if_it_asks_for_no_password():
    assert extract(pdf(PROSE, password=""), LIMIT).text.splitlines()[0] == BRIDGE
    with pytest.raises(NoDocumentError, match="the PDF is encrypted: remove its password"):
        extract(pdf(PROSE, password="secret"), LIMIT)


def test_a_scanned_file_says_what_it_lacks():
    with pytest.raises(NoDocumentError, match=r"no text is found on its 2 pages.*\(OCR\)"):
        extract(pdf(None, None), LIMIT)


@pytest.mark.parametrize("data", [b"", b"%PDF-1.4\n", b"not a PDF at all", pdf(PROSE)[:100]])
def test_what_is_no_pdf_says_so(data):
    with pytest.raises(NoDocumentError, match="the PDF cannot be read"):
        extract(data, LIMIT)


def test_a_page_that_cannot_be_read_costs_itself():
    data = pdf(PROSE, ["Lost."], ["Kept."]).replace(b"/Contents 9 0 R", b"/Broken   0 0 R", 1)
    found = extract(data.replace(b"8 0 R 10 0 R]", b"4 0 R 10 0 R]"), LIMIT)
    assert found.text.splitlines()[0] == BRIDGE
    assert found.text.endswith("Kept.")
    ((number, reason),) = found.lost
    assert (number, reason.startswith("page 2 cannot be read")) == (2, True)


def test_a_text_that_is_too_long_is_refused():
    with pytest.raises(NoDocumentError, match="its text has more than the 2,000 bytes"):
        extract(pdf(*[PROSE] * 20), 2000)


@settings(max_examples=60)
@given(st.integers(0, 1200), st.binary(min_size=1, max_size=30), st.booleans())
def test_damage_anywhere_gives_a_text_or_a_reason(at, damage, cut):
    data = pdf(PROSE, PROSE)
    broken = data[:at] if cut else data[:at] + damage + data[at + len(damage) :]
    with contextlib.suppress(NoDocumentError, Refused):
        assert extract(broken, LIMIT).text
