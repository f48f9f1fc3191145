import pytest


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["serve", "{store}", "--partial"], "give --searchers too"),
        (["serve", "{store}", "--port", "99999"], "choose --port"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(refusal, arguments, sentence):
    assert sentence in refusal(*arguments)
