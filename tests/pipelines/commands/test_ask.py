import json

import pytest

from tests.corpus import write_lines


def test_ask_with_and_without_retrieval(store, ralm):
    code, out, _ = ralm("ask", store, "How is the mayor of Bralgate chosen?", "--json", "--support")
    assert code == 0
    found = json.loads(out)
    assert "8 years" in found["answer"]
    assert any(c["cited"] and f"[{c['number']}]" in found["answer"] for c in found["citations"])
    assert all(one["gain"] is not None for c in found["citations"] for one in c["support"])
    assert found["seconds"]["support"] > 0
    assert found["reader"]["bytes"] > 1e8
    code, out, _ = ralm("ask", store, "How is the mayor of Bralgate chosen?", "--no-retrieval")
    assert code == 0
    assert "8 years" not in out


def test_ask_answers_only_what_passages_support(store, ralm):
    for question, silent in (("How is the mayor of Bralgate chosen?", False), ("Who wrote Carmen?", True)):
        code, out, _ = ralm("ask", store, question, "--json", "--only-supported")
        assert code == 0
        found = json.loads(out)
        assert found["abstained"] == silent == (found["answer"] == "I do not know.")
        assert any(one["cited"] for one in found["citations"]) != silent


def test_ask_says_how_passages_are_put_to_the_reader(store, ralm, tmp_path):
    asked = ["ask", store, "How is the mayor of Bralgate chosen?", "-k", 4, "--budget", 45]
    code, out, _ = ralm(*asked, "--json")
    assert code == 0
    found = json.loads(out)
    assert 0 < len(found["citations"]) < 4
    assert found["trimmed"] > 0
    asked[-1] = 30
    shots = write_lines(tmp_path / "shots.jsonl", [{"question": "Who?", "answers": ["Ann.", "Anne."]}])
    few = ["--prompt", "few-shot", "--shots", shots]
    code, out, _ = ralm(*asked, "--conditioning", "replug", "--neighbours", 1, *few)
    assert code == 0
    assert "Passages cut or left out, as they had no room (--budget): " in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["ask", "{store}", "x", "--conditioning", "replugg"], "did you mean replug?"),
        (
            ["ask", "{store}", "x", "--prompt", "few-shot", "--shots", "{tmp}/none"],
            "There is no question file",
        ),
        (["ask", "{store}", "x", "--budget", "0"], "budget of a conditioning must be at least 1, not 0"),
        (["ask", "{store}", "x", "--replug-temperature", "0"], "must be above 0, not 0"),
        (["ask", "{store}", "x", "--prompt", "text"], "Unknown prompt 'text': valid are chat, few-shot"),
        (["ask", "{store}", " ", "--no-retrieval"], "The query is empty"),
        (["ask", "{store}", "x", "-k", "0"], "at least 1, not 0: --no-retrieval asks the LM alone"),
        (["ask", "{store}", "x", "--reader", "SmolLM2-135M-Instuct"], "did you mean SmolLM2-135M-Instruct?"),
        (["ask", "{store}", "x", "--quantization", "nf-4"], "did you mean nf4?"),
        (["ask", "{store}", "x", "--reader", "no/such"], "no reader 'no/such'"),
        (["ask", "{store}", "x", "--reader", "no/such"], "with HF_HUB_OFFLINE=0 the hub is asked"),
        (["ask", "{store}", "x", "--no-retrieval", "--support"], "there is no support to measure"),
        (["ask", "{store}", "x", "--conditioning", "none", "--support"], "leave --support out"),
        (["ask", "{store}", "x", "--no-retrieval", "--only-supported"], "leave --only-supported out"),
        (["ask", "{store}", "x", "--quantization", "int2"], "valid are none, int8"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(refusal, arguments, sentence):
    assert sentence in refusal(*arguments)
