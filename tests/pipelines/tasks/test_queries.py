from types import SimpleNamespace

import pytest

from base.errors import RalmError
from pipelines.tasks.queries import Queries, parse


class Task:
    """What lm-eval makes of an instance: its text without target."""

    def __init__(self, text):
        self._text = text

    def doc_to_text(self, doc):
        return self._text(doc)


def query(task, doc, text=lambda doc: "", given=None):
    return Queries({task: Task(text)}, given).of(SimpleNamespace(task_name=task, doc=doc))


@pytest.mark.parametrize(
    ("task", "doc", "found"),
    [
        ("arc_easy", {"question": "What is glass?", "choices": {"text": ["a"]}}, "What is glass?"),
        ("openbookqa", {"id": "7", "question_stem": "Fog is found"}, "Fog is found"),
        ("piqa", {"goal": "To blow\n glass", "sol1": "a"}, "To blow glass"),
        ("hellaswag", {"query": "A man blows", "ctx": "A man", "endings": []}, "A man"),
        ("winogrande", {"sentence": "The _ broke.", "option1": "glass"}, "The broke."),
        ("bbh_sports", {"input": "Is it so?\nOptions:\n(A) yes"}, "Is it so?"),
        ("agieval_lsat_ar", {"query": "Q: Who? Answer Choices: (A) Ann"}, "Q: Who?"),
        ("social_iqa", {"context": "Ann fell.", "question": "Why?", "answerA": "x"}, "Ann fell. Why?"),
    ],
)
def test_the_bare_question_is_found_without_its_choices(task, doc, found):
    assert query(task, doc) == found


def test_a_task_without_a_question_is_asked_by_its_text_which_does_not_hold_the_target():
    doc = {"text": "Blue glass is made in Dunmarrow"}
    assert query("lambada", doc, lambda one: one["text"].rpartition(" ")[0]) == "Blue glass is made in"


def test_what_holds_no_text_is_looked_for_by_none():
    assert query("blimp", {"sentence_good": "a", "sentence_bad": "b"}) is None
    # Several inputs: lm-eval gives the number of the right one.
    assert query("wsc", {"text": "a"}, lambda _: 1) is None
    assert query("arc_easy", {"question": " \n"}) is None


def test_a_field_or_a_template_is_named_by_tasks():
    doc = {"question": "Who?", "subject": "Glass"}
    assert query("mmlu_art", doc, given={"mmlu_*": "subject"}) == "Glass"
    assert query("mmlu_art", doc, given={"mmlu_*": "{{subject}}: {{question}}"}) == "Glass: Who?"
    assert query("arc_easy", doc, given={"mmlu_*": "subject"}) == "Who?"
    with pytest.raises(RalmError, match=r"no field 'subjekt': valid are question, subject.*subject"):
        query("mmlu_art", doc, given={"mmlu_art": "subjekt"})


def test_pairs_of_the_command_line():
    assert parse(["a=b", "c={{x == 1}}"]) == {"a": "b", "c": "{{x == 1}}"}
    with pytest.raises(RalmError, match="write TASK=FIELD"):
        parse(["mmlu"])
