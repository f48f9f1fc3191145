import gzip

import pytest

from base.errors import RalmError
from pipelines.tasks.question_files import scores, with_answers, with_choices


def test_a_file_is_two_data_sets_and_may_be_compressed(question_file, tmp_path):
    packed = tmp_path / "q.jsonl.gz"
    packed.write_bytes(gzip.compress(question_file.read_bytes()))
    for path in (question_file, packed):
        answers, choices = with_answers(str(path))["test"], with_choices(str(path), version=1)["test"]
        assert [one["id"] for one in answers] == ["a0", "a1"]
        assert [one["answer_index"] for one in choices] == [0, 1]
        assert choices[1]["choices"][1] == "woven sailcloth"


def test_a_file_without_such_questions_is_refused(tmp_path):
    file = tmp_path / "q.jsonl"
    file.write_text('{"question": "Who?", "answers": ["Ann"], "choices": ["a"], "answer_index": 4}\n')
    assert len(with_answers(str(file))["test"]) == 1
    with pytest.raises(RalmError, match=r"No question of .* has `choices` and `answer_index`"):
        with_choices(str(file))
    with pytest.raises(RalmError, match="name it, --questions"):
        with_answers()


def test_answers_are_scored_as_studies_score_them():
    doc = {"answers": ["blue glass", "glass"]}
    assert scores(doc, ["The blue glass."]) == {"exact_match": 1.0, "containment": 1.0, "f1": 1.0}
    found = scores(doc, ["It is red glass of the town"])
    assert (found["exact_match"], found["containment"], round(found["f1"], 2)) == (0.0, 1.0, 0.29)
