import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import RalmError
from pipelines.questions import Question, read_questions
from tests.corpus import questions, write_lines


def test_questions_are_read_plain_and_packed(tmp_path):
    path = write_lines(tmp_path / "q.jsonl", questions())
    packed = tmp_path / "q.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    found = read_questions(path).questions
    assert found == read_questions(packed).questions
    assert found[0] == Question("q0", questions()[0]["question"], ("Tessaly",), frozenset({"Arvenholm-0"}))
    assert read_questions(path, 3).questions == found[:3]


WRONG = [
    ("{", "not a JSON object"),
    ("[]", "not a JSON object"),
    ("\x00\x01 no JSON", "not a JSON object"),
    ("[" * 100_000, "not a JSON object"),
    ('{"question": "\\ud800", "answers": ["y"]}', "not a JSON object"),
    ('{"answers": ["x"]}', 'not a JSON object with a "question"'),
    ('{"question": "x"}', "needs `answers` or `gold_docs`"),
    ('{"question": "x", "answers": "y"}', "lists of text"),
    ('{"question": 3, "answers": ["y"]}', "must be text"),
    ('{"question": " ", "answers": ["y"]}', "`question` is empty"),
]
GOOD = json.dumps({"question": "x", "answers": ["y"]})


@pytest.mark.parametrize(("line", "reason"), WRONG)
def test_a_wrong_line_costs_itself_alone_and_is_named(tmp_path, line, reason):
    path = tmp_path / "q.jsonl"
    path.write_text(f"{GOOD}\n\n{line}\n{GOOD}\n")
    file = read_questions(path)
    assert file.questions == (
        Question("1", "x", ("y",), frozenset()),
        Question("4", "x", ("y",), frozenset()),
    )
    assert file.warning.startswith("1 line is no question and is left out of q.jsonl (line 3: ")
    assert reason in file.warning


@pytest.mark.parametrize(("line", "reason"), WRONG)
def test_a_file_of_wrong_lines_alone_is_refused(tmp_path, line, reason):
    path = tmp_path / "q.jsonl"
    path.write_text(f"\n{line}\n{line}\n")
    with pytest.raises(RalmError, match=rf"q\.jsonl, line 2: .*{reason}.*None of its 2 lines can be used"):
        read_questions(path)


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.sampled_from([line for line, _ in WRONG]))
def test_every_line_is_a_question_or_counted(tmp_path_factory, good, wrong):
    path = tmp_path_factory.mktemp("q") / "q.jsonl"
    path.write_text("\n".join(GOOD if one else wrong for one in good))
    if not any(good):
        with pytest.raises(RalmError, match="line 1"):
            read_questions(path)
        return
    file = read_questions(path)
    assert len(file.questions) + file.left_out == len(good)
    assert [q.id for q in file.questions] == [str(n) for n, one in enumerate(good, 1) if one]
    bad = [n for n, one in enumerate(good, 1) if not one]
    assert [one.line for one in file.first] == bad[:10]
    assert (file.warning is None) == (not bad)


def test_a_line_that_no_memory_holds_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.questions._LONGEST", 100)
    path = tmp_path / "q.jsonl"
    path.write_text(f"{json.dumps({'question': 'x' * 100, 'answers': ['y']})}\n{GOOD}\n")
    file = read_questions(path)
    assert [one.id for one in file.questions] == ["2"]
    assert "line 1: longer than 100 bytes" in file.warning


def test_no_file_and_no_question_are_sentences(tmp_path):
    with pytest.raises(RalmError, match="There is no question file"):
        read_questions(tmp_path / "none")
    (tmp_path / "q.jsonl").write_text("\n")
    with pytest.raises(RalmError, match="holds no question"):
        read_questions(tmp_path / "q.jsonl")
    with pytest.raises(RalmError, match="limit of questions must be at least 1, not 0"):
        read_questions(tmp_path / "q.jsonl", 0)


def test_questions_that_are_not_to_be_scored_need_no_answer(tmp_path):
    path = write_lines(tmp_path / "q.jsonl", [{"question": "x", "choices": ["a", "b"]}])
    assert read_questions(path, scored=False).questions == (Question("1", "x", (), frozenset()),)


def test_a_byte_order_mark_is_no_part_of_a_question(tmp_path):
    path = tmp_path / "q.jsonl"
    lines = [b'{"question": "Who?", "answers": ["I"]}', b'{"question": "What?", "answers": ["x"]}']
    path.write_bytes(b"\xef\xbb\xbf" + b"\n".join(lines))
    assert [one.text for one in read_questions(path).questions] == ["Who?", "What?"]
