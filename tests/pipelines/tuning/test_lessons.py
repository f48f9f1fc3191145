from random import Random

from hypothesis import given
from hypothesis import strategies as st

from datastore.schema import Passage
from lm.tuning.example import ABSTENTION
from pipelines.evaluate.metrics import contains
from pipelines.questions import Question
from pipelines.tuning.lessons import QuestionHits, balanced, lessons, sentence_with, title_lesson
from retriever.results import Hit

QUESTION = Question("q", "Who makes blue glass?", ("Dunmarrow",), frozenset({"a"}))


def hit(row, text, title="Towns", chunk=0):
    return Hit(row, 1.0, Passage(text, "history", f"d{row}", chunk, 0, {"title": title}))


TELLING = hit(0, "The people of Dunmarrow make blue glass. They sell it in autumn.")
OTHERS = [hit(n, f"The town of number {n} makes bells.") for n in range(1, 12)]


def asked(places):
    hits = list(OTHERS)
    for place in places:
        hits.insert(place, TELLING)
    return QuestionHits(QUESTION, tuple(hits))


FOREIGN = [
    QuestionHits(Question("f", "Why?", ("x",), frozenset()), (hit(40 + n, f"Rivers {n}."),)) for n in range(9)
]


def test_what_is_found_for_a_question_is_not_foreign_to_it():
    own = asked([])
    assert not any(one.expected for seed in range(50) for one in lessons(own, [own], Random(seed)))


@given(st.lists(st.integers(0, 11), max_size=2), st.integers())
def test_a_lesson_answers_exactly_where_its_passages_tell(places, seed):
    found = lessons(asked(places), FOREIGN, Random(seed))
    assert found
    for one in found:
        tells = any(contains(f"{source.title} {source.text}", QUESTION.answers) for source in one.sources)
        assert (one.answer == ABSTENTION) == (not tells)
        assert 1 <= len(one.sources) <= 5
        assert bool(one.expected) == one.kind.startswith("foreign")


def test_every_kind_comes_and_a_telling_passage_stands_anywhere():
    found = [one for seed in range(200) for one in lessons(asked([20]), FOREIGN, Random(seed))]
    kinds = {one.kind for one in found}
    assert kinds >= {"found, unanswered", "placed, answered", "near, unanswered", "foreign, unanswered"}
    assert "placed, in a sentence" in kinds
    ranks = {
        next(at for at, source in enumerate(one.sources) if "Dunmarrow" in source.text)
        for one in found
        if one.kind.startswith("placed")
    }
    assert {0, 1, 2} <= ranks


def test_passages_come_without_titles_and_as_sentences_too_and_questions_as_they_are_typed():
    found = [one for seed in range(200) for one in lessons(asked([0]), FOREIGN, Random(seed))]
    telling = {source for one in found for source in one.sources if "Dunmarrow" in source.text}
    text = TELLING.passage.text
    assert {(one.title, one.text) for one in telling} == {
        ("Towns", text),
        ("", text),
        ("", "The people of Dunmarrow make blue glass."),
    }
    assert {"Who makes blue glass?", "who makes blue glass"} <= {one.question for one in found}
    # What the reader is asked alone is the question as it stands.
    assert {one.question for one in found if one.expected} == {"Who makes blue glass?"}


def test_a_passage_of_a_gold_document_is_placed_before_one_that_holds_the_answer_in_passing():
    gold = Question("q", QUESTION.text, QUESTION.answers, frozenset({"d77"}))
    telling = hit(77, "Blue glass is made in Dunmarrow alone.")
    about = QuestionHits(gold, (TELLING, *OTHERS, telling))
    placed = [one for seed in range(60) for one in lessons(about, [], Random(seed)) if "placed" in one.kind]
    assert placed
    assert all(any("alone" in source.text for source in one.sources) for one in placed)


def test_a_title_may_tell():
    about = QuestionHits(QUESTION, (hit(1, "Its people make blue glass.", title="Dunmarrow"), *OTHERS))
    found = [one for seed in range(60) for one in lessons(about, [], Random(seed))]
    assert {one.answer for one in found if one.sources[0].title == "Dunmarrow"} == {"Dunmarrow"}


def test_a_question_without_answers_or_passages_teaches_nothing():
    assert lessons(QuestionHits(Question("q", "Why?", (), frozenset({"a"})), (TELLING,)), [], Random(0)) == []
    assert lessons(QuestionHits(QUESTION, ()), [], Random(0)) == []


def test_choices_are_listed_and_the_right_one_is_learnt():
    question = Question("q", "What rings?", (), frozenset(), ("a bell", "a fish"), 0)
    (one,) = lessons(QuestionHits(question, (TELLING,)), [], Random(0))
    assert one.question == "What rings?\nA. a bell\nB. a fish"
    assert one.answer == "a bell"


def test_no_choice_is_left_out_however_many_there_are():
    choices = tuple(f"thing {n}" for n in range(60))
    question = Question("q", "What rings?", (), frozenset(), choices, 55)
    (one,) = lessons(QuestionHits(question, (TELLING,)), [], Random(0))
    listed = one.question.splitlines()[1:]
    assert [line.partition(". ")[2] for line in listed] == [*choices]
    labels = [line.partition(". ")[0] for line in listed]
    assert (labels[:2], labels[25:28], labels[51:53]) == (["A", "B"], ["Z", "AA", "AB"], ["AZ", "BA"])
    assert one.answer == "thing 55"


def test_the_sentence_that_tells_is_whole_or_none():
    assert sentence_with(TELLING.passage.text, QUESTION) == "The people of Dunmarrow make blue glass."
    assert sentence_with("of Dunmarrow, where glass is made. More.", QUESTION) is None
    assert sentence_with("Nothing is told here.", QUESTION) is None


def test_a_title_is_asked_for_in_its_documents_first_sentence():
    own = hit(3, "Dunmarrow is a town on the salt flats. It is old.", title="Dunmarrow")
    about = QuestionHits(Question("d3", "What is Dunmarrow?", ("Dunmarrow",), frozenset()), (*OTHERS, own))
    one = title_lesson("Dunmarrow", about, Random(1))
    assert one.answer == "Dunmarrow is a town on the salt flats."
    assert title_lesson("Arvenholm", about, Random(1)) is None


@given(st.integers(0, 30), st.integers(0, 30))
def test_abstentions_are_a_share_at_most_and_answers_all_stay(answered, abstaining):
    telling = lessons(asked([0]), [], Random(0))[:1] * answered
    silent = [one for one in lessons(asked([]), [], Random(3)) if one.answer == ABSTENTION][:1] * abstaining
    foreign = [one for one in lessons(asked([]), FOREIGN, Random(0)) if one.expected]
    found = balanced([*telling, *silent, *foreign], 0.25, Random(0))
    assert found[-1:] == foreign
    found = found[:-1]
    assert sum(one.answer != ABSTENTION for one in found) == answered
    assert sum(one.answer == ABSTENTION for one in found) == min(abstaining, round(answered / 3))
