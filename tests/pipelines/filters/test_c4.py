import pytest
from datatrove.data import Document as TroveDocument
from datatrove.pipeline.filters import c4_filters
from hypothesis import given

from datastore.schema import Document
from pipelines.filters.c4 import C4, BoilerplateLines, sentences
from pipelines.filters.rule import Rejected
from pipelines.filters.text import Text
from tests.pipelines.filters.texts import pages, real

PARTS = {"lorem_ipsum": "lorem_ipsum", "curly_bracket": "curly_bracket", "too_few_sentences": "sentences"}
GOOD = "\n".join(f"This is sentence number {n} of a sound page." for n in range(6))


@pytest.fixture(scope="module", autouse=True)
def same_sentences():
    """datatrove's rules over our count of sentences: its own tokenizer is downloaded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(c4_filters, "split_into_sentences", lambda line, _: [line] * sentences(line))
        yield


def judged(rule, body):
    return rule.judge(Text(Document("a", "d", body)))


def check(body):
    document = TroveDocument(text=body, id="a")
    theirs, ours = c4_filters.C4QualityFilter().filter(document), judged(C4(), body)
    if theirs is True:
        assert ours.body == document.text
    else:
        assert ours.part == PARTS[theirs[1]]


@given(pages())
def test_verdicts_and_what_is_left_agree_with_datatrove(body):
    check(body)


def test_real_documents_have_the_verdicts_of_datatrove():
    for body in (*real(), GOOD):
        check(body)


@pytest.mark.parametrize(
    "line",
    [
        "A heading without an end",
        "Too short.",
        "We use cookies to know you better.",
        "Please turn on JavaScript to go on.",
        "It goes on like this ...",
        "w" * 1001 + " is a long word.",
    ],
)
def test_a_line_that_is_no_sentence_is_dropped_and_counted(line):
    left = judged(C4(), f"{GOOD}\n{line}")
    assert left.body == GOOD
    assert left.dropped == 1
    check(f"{GOOD}\n{line}")


def test_citation_marks_are_taken_out():
    assert judged(C4(), f"{GOOD}\nThis is known.[3]").body == f"{GOOD}\nThis is known."


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("Lorem ipsum dolor sit amet.", "lorem_ipsum"),
        ("Call f() { like this }.", "curly_bracket"),
    ],
)
def test_code_and_filler_remove_the_page(line, part):
    assert judged(C4(), f"{GOOD}\n{line}").part == part
    check(f"{GOOD}\n{line}")


def test_sentences_are_counted_within_a_line():
    assert sentences('He said: "No." Then he left! Why? (Nobody knows.)') == 4
    assert sentences("version 3.11 of it") == 1


def test_boilerplate_lines_go_and_all_others_stay():
    body = "A heading\n\n  code {\nWe use cookies here\nThe end"
    assert judged(BoilerplateLines(), body).body == "A heading\n\n  code {\nThe end"
    text = Text(Document("a", "d", "Nothing of the kind"))
    assert BoilerplateLines().judge(text) is text
    assert isinstance(judged(BoilerplateLines(), "Privacy policy"), Rejected)
