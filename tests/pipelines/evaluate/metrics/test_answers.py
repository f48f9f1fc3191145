import math

import pytest
import torch

from lm.prompts import Ensemble, Message, Prompt
from pipelines.evaluate.metrics import METRICS, READER
from pipelines.evaluate.metrics.answers import ACCURACY, BITS, behind, bits, bits_per_answer, likeliest
from pipelines.questions import Question
from tests.lm.models import tiny_model, tiny_reader

_ASKED = Prompt(text="Who built the old bridge?\nAnswer:")


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    return tiny_reader(tiny_model(tmp_path_factory.mktemp("models") / "m"))


def by_hand(reader, prompt: str, text: str) -> float:
    """Bits of a text behind a prompt, token by token from the model's own logits."""
    tokenizer, model = reader._tokenizer, reader._model
    before, whole = (tokenizer(one)["input_ids"] for one in (prompt, f"{prompt} {text}"))
    with torch.no_grad():
        logs = model(torch.tensor([whole])).logits[0].float().log_softmax(-1)
    return -sum(float(logs[at - 1, whole[at]]) for at in range(len(before), len(whole))) / math.log(2)


def test_bits_are_those_of_the_likeliest_alias_by_the_models_own_logits(reader):
    aliases = ("Ansel Mirn", "the flood", "Mirn")
    expected = min(by_hand(reader, _ASKED.text, one) for one in aliases)
    assert bits_per_answer(reader, [_ASKED], [aliases]) == pytest.approx([expected], rel=1e-4)
    # Of more aliases none can be less likely, and each counts once.
    assert bits_per_answer(reader, [_ASKED] * 2, [aliases[:1], aliases[:1] * 3])[0] >= expected


def test_values_keep_the_order_of_questions(reader):
    questions = [
        Question(str(at), "", (one,), frozenset()) for at, one in enumerate(("grey", "stone", "Paris"))
    ]
    prompts = [_ASKED, Prompt(text="The capital is"), _ASKED]
    each = [
        bits_per_answer(reader, [one], [question.answers])[0]
        for one, question in zip(prompts, questions, strict=True)
    ]
    assert BITS.values(reader, prompts, questions).tolist() == pytest.approx(each, rel=1e-4)


def test_the_likeliest_choice_is_the_one_of_fewest_bits(reader):
    choices = ("Ansel Mirn", "a", "the flood of the year")
    best = min(range(3), key=lambda at: by_hand(reader, _ASKED.text, choices[at]))
    assert likeliest(reader, [_ASKED], [choices]) == [best]
    questions = [Question("q", "", (), frozenset(), choices, chosen) for chosen in range(3)]
    assert ACCURACY.values(reader, [_ASKED] * 3, questions).tolist() == [float(at == best) for at in range(3)]


def test_a_text_goes_on_behind_plain_text_with_a_space():
    talk = Prompt((Message("user", "Who?"),))
    assert behind(_ASKED, "Mirn") == " Mirn"
    assert behind(Prompt(text="Answer: "), "Mirn") == behind(talk, "Mirn") == "Mirn"
    assert behind(Ensemble((_ASKED, _ASKED), (0.5, 0.5)), "Mirn") == " Mirn"


def test_a_nat_is_1_44_bits():
    assert bits(-math.log(2)) == 1


def test_metrics_have_names_of_their_own_and_say_what_they_need():
    assert [one.name for one in READER] == [
        *("reader exact match", "reader containment", "reader F1", "reader abstention")
    ]
    question = Question("q", "", ("a",), frozenset({"d"}), ("a", "b"), 0)
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.needs(question)
        assert metric.field in ("answers", "gold_docs", "choices")
        assert metric.better in ("higher", "lower", "")
        assert metric.unit
