import json

import pytest

from tests.corpus import CITIES, questions, write_lines
from tests.lm.models import tiny_model


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """lm-eval describes the machine each time, which takes seconds."""
    monkeypatch.setattr("torch.utils.collect_env.get_pretty_env_info", lambda: "a machine")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("models") / "m", context=1000)


def command(store, tiny, *more):
    fast = ("--quantization", "none", "--method", "bm25", "-k", 1)
    return ("eval", "questions", store, "--reader", tiny, *fast, *more)


def test_open_questions_from_the_command_line(tmp_path, store, tiny, ralm):
    asked = write_lines(tmp_path / "q.jsonl", questions()[:3])
    code, out, _ = ralm(*command(store, tiny, "--questions", asked, "-o", tmp_path / "lines.jsonl"))
    assert code == 0
    for heading in ("q.jsonl", "What passages change", "With passages less alone", "bits per answer"):
        assert heading in out
    assert "3 questions in 3 clusters; right by reader containment" in out
    lines = [json.loads(line) for line in (tmp_path / "lines.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["q0", "q1", "q2"]


def test_choices_are_asked_by_lm_eval(tmp_path, store, tiny, ralm):
    lines = [
        {
            "question": f"What is made in {city}?",
            "choices": ["iron", craft],
            "answer_index": 1,
            "answers": [craft],
        }
        for city, _, _, craft, _ in CITIES[:3]
    ]
    asked = write_lines(tmp_path / "q.jsonl", lines)
    code, out, _ = ralm(*command(store, tiny, "--questions", asked, "--num-fewshot", 1, "--json"))
    found = json.loads(out)
    assert (code, found["known_by"], found["questions"]) == (0, "accuracy", 3)
    assert "accuracy by bytes" in found["groups"]["all"]["figures"]
    code, out, _ = ralm(*command(store, tiny, "--questions", asked, "--openly", "--limit", 1, "--json"))
    assert (code, json.loads(out)["known_by"]) == (0, "reader containment")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "--questions F, or a task, --task NAME"),
        (["--questions", "{tmp}/q", "--task", "nq"], "not both"),
        (["--questions", "{tmp}/none"], "no question file"),
        (["--questions", "{tmp}/none", "-k", "0"], "must be at least 1, not 0"),
        (["--questions", "{tmp}/none", "--reader", "SmolLM2-135M-Raeder"], "did you mean"),
        (["--task", "ralm_qaa"], "did you mean ralm_qa"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(refusal, arguments, sentence):
    assert sentence in refusal("eval", "questions", "{store}", *arguments)


def test_questions_without_answers_are_refused_before_anything_is_loaded(tmp_path, refusal):
    write_lines(tmp_path / "q.jsonl", [{"question": "Who?", "gold_docs": ["d"]}])
    said = refusal("eval", "questions", "{store}", "--questions", "{tmp}/q.jsonl")
    assert "No question of q.jsonl has `answers`, nor `choices` with `answer_index`" in said
