import json

import pytest


def test_ask_with_and_without_retrieval(store, ralm):
    code, out, _ = ralm("ask", store, "How is the mayor of Bralgate chosen?", "--json")
    assert code == 0
    found = json.loads(out)
    assert "by lot" in found["answer"]
    assert any(c["cited"] and f"[{c['number']}]" in found["answer"] for c in found["citations"])
    assert found["reader"]["bytes"] > 1e8
    code, out, _ = ralm("ask", store, "How is the mayor of Bralgate chosen?", "--no-retrieval")
    assert code == 0
    assert "by lot" not in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["ask", "{store}", " ", "--no-retrieval"], "The query is empty"),
        (["ask", "{store}", "x", "-k", "0"], "at least 1, not 0: --no-retrieval asks the LM alone"),
        (["ask", "{store}", "x", "--reader", "SmolLM2-135M-Instuct"], "did you mean SmolLM2-135M-Instruct?"),
        (["ask", "{store}", "x", "--quantization", "nf-4"], "did you mean nf4?"),
        (["ask", "{store}", "x", "--reader", "no/such"], "no reader 'no/such'"),
        (["ask", "{store}", "x", "--quantization", "int2"], "valid are none, int8"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(refusal, arguments, sentence):
    assert sentence in refusal(*arguments)
