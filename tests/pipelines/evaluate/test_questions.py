import gzip
import json

import pytest

from datastore.errors import RalmError
from pipelines.evaluate.questions import Question, load_questions
from tests.corpus import questions, write_lines


def test_questions_are_read_plain_and_packed(tmp_path):
    path = write_lines(tmp_path / "q.jsonl", questions())
    packed = tmp_path / "q.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    found = load_questions(path)
    assert found == load_questions(packed)
    assert found[0] == Question("q0", questions()[0]["question"], ("Tessaly",), frozenset({"Arvenholm-0"}))
    assert load_questions(path, 3) == found[:3]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not a JSON object"),
        ("[]", "not a JSON object"),
        ('{"answers": ["x"]}', "not a JSON object with a"),
        ('{"question": "x"}', "needs `answers` or `gold_docs`"),
        ('{"question": "x", "answers": "y"}', "lists of text"),
        ('{"question": 3, "answers": ["y"]}', "must be text"),
        ('{"question": " ", "answers": ["y"]}', "`question` is empty"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, reason):
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps({"question": "x", "answers": ["y"]}) + "\n\n" + line + "\n")
    with pytest.raises(RalmError, match=r"q\.jsonl, line 3: .*" + reason):
        load_questions(path)


def test_no_file_and_no_question_are_sentences(tmp_path):
    with pytest.raises(RalmError, match="There is no question file"):
        load_questions(tmp_path / "none")
    (tmp_path / "q.jsonl").write_text("\n")
    with pytest.raises(RalmError, match="holds no question"):
        load_questions(tmp_path / "q.jsonl")
    with pytest.raises(RalmError, match="limit of questions must be at least 1, not 0"):
        load_questions(tmp_path / "q.jsonl", 0)


def test_questions_that_are_not_to_be_scored_need_no_answer(tmp_path):
    path = write_lines(tmp_path / "q.jsonl", [{"question": "x", "choices": ["a", "b"]}])
    assert load_questions(path, scored=False) == [Question("1", "x", (), frozenset())]


def test_a_byte_order_mark_is_no_part_of_a_question(tmp_path):
    path = tmp_path / "q.jsonl"
    lines = [b'{"question": "Who?", "answers": ["I"]}', b'{"question": "What?", "answers": ["x"]}']
    path.write_bytes(b"\xef\xbb\xbf" + b"\n".join(lines))
    assert [one.text for one in load_questions(path)] == ["Who?", "What?"]
