from lm.conditioning import Source
from lm.tuning.example import ABSTENTION, Example
from pipelines.execution.progress import Silent
from pipelines.tuning.knowing import Said, kept, with_what_is_known

RIVER = (Source("", "A river flows."),)
FRANCE = "What is the capital of France?"
FOREIGN = "foreign, unanswered"


def foreign(question, *expected):
    return Example(question, RIVER, ABSTENTION, FOREIGN, expected)


def test_what_the_reader_knows_alone_it_is_to_keep_in_its_own_words(reader):
    unknown = foreign(FRANCE, "Lisbon")
    near = Example(FRANCE, RIVER, ABSTENTION, "near, unanswered")
    known = foreign(FRANCE, "Paris")
    first, found, last = with_what_is_known([known, unknown, near], reader, Silent())
    assert (first, last) == (near, unknown)
    assert (found.answer, found.kind) == ("The capital of France is Paris.", "foreign, known")


def test_what_is_said_rightly_but_unsurely_teaches_nothing():
    said = {
        "Sure?": Said("It is yes. Or so", -0.1),
        "Unsure?": Said("It is yes.", -3.0),
        "Wrong?": Said("It is no.", -0.2),
    }
    found = kept([foreign(question, "yes") for question in said], said)
    assert [(one.question, one.answer) for one in found] == [("Sure?", "It is yes."), ("Wrong?", ABSTENTION)]


def test_a_sentence_that_is_cut_off_is_not_learnt():
    assert Said("It is yes, and so", -0.1).told(["no", "yes"]) == "yes"
    assert Said("Who knows. Yes.", -0.1).told(["yes"]) == "yes"
    assert Said("Yes. And so", -0.1).told(["yes"]) == "Yes."


def test_of_foreign_lessons_of_what_is_not_known_a_few_are_kept():
    others = [Example("Why?", RIVER, "So.", "found, answered")] * 100
    unknown = [foreign(f"Who is {n}?", "Ann") for n in range(50)]
    assert len(kept([*others, *unknown], {})) == 102
    known = [foreign("Sure?", "yes")] * 7
    found = kept([*others, *unknown, *known], {"Sure?": Said("Yes.", -0.1)})
    assert sum(one.kind == "foreign, known" for one in found) == 7
    assert sum(one.kind == FOREIGN for one in found) == 14
