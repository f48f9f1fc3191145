import pytest

from base.errors import RalmError
from lm.conditioning import Source
from lm.tuning.example import Example, read_examples, write_examples

TOWN, RIVER = Source("Town", "It lies low."), Source("", "It flows.")
EXAMPLES = [
    Example("Where does it lie?", (TOWN, RIVER), "low", "found, answered"),
    Example("What flows?", (RIVER,), "it", "placed, answered"),
]


def test_what_is_written_is_read_and_shared_passages_stand_once(tmp_path):
    path = tmp_path / "examples.jsonl"
    write_examples(path, EXAMPLES)
    assert read_examples(path) == EXAMPLES
    assert path.read_text().count("It flows.") == 1


def test_the_prompt_is_the_servers():
    prompt = EXAMPLES[0].prompt(lambda text: len(text.split()))
    assert prompt.passages == 2
    assert (
        prompt.conversation[-1].content
        == "[2] It flows.\n\n[1] Town: It lies low.\n\nQuestion: Where does it lie?"
    )


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"question": "x", "passages": [7], "answer": "", "kind": ""}', "{}"]
)
def test_a_line_that_is_no_example_is_named(tmp_path, line):
    path = tmp_path / "examples.jsonl"
    write_examples(path, EXAMPLES)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(RalmError, match=r"line 5 is no example"):
        read_examples(path)


def test_an_empty_file_and_none_are_a_sentence(tmp_path):
    with pytest.raises(RalmError, match="cannot be read"):
        read_examples(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(RalmError, match="holds no example"):
        read_examples(tmp_path / "empty.jsonl")
