import json

import pytest

from base.errors import RalmError
from datastore.verify import verify
from pipelines.config import EvaluationTexts
from pipelines.contamination.table import LINES_LEFT_OUT, make_table, question_files, sought_by
from pipelines.execution.progress import Silent
from pipelines.show.builds import built
from tests.conftest import build_store
from tests.corpus import write_lines


def test_a_text_has_n_grams_of_its_own_length_or_none_if_it_is_too_short(tmp_path):
    record = {"id": "q", "question": "What is the old town by the river known for?", "answers": []}
    record["answers"] = ["glass", "a b c d e f g h i j k l m n o", "glass"]
    file = str(write_lines(tmp_path / "q.jsonl", [record]))
    rows = make_table(EvaluationTexts(files=(file,))).to_pylist()
    # An answer that is given twice is looked for once.
    assert [(r["part"], r["words"], len(r["grams"])) for r in rows] == [
        ("question", 10, 1),
        ("answer", 0, 0),
        ("answer", 13, 3),
    ]
    assert all(len(row["heads"]) == len(row["grams"]) for row in rows)
    assert {row["file"] for row in rows} == {"q.jsonl"}


def test_files_are_known_by_name_and_content_not_by_where_they_lie(tmp_path):
    record = {"question": "Which town is it that has a bridge of glass?"}
    named = [
        question_files(EvaluationTexts(files=(str(write_lines(tmp_path / folder / "q.jsonl", records)),)))
        for folder, records in (("one", [record]), ("two", [record]), ("three", [record, record]))
    ]
    assert named[0] == named[1] != named[2]
    assert [*named[2]] == ["q.jsonl"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"There is no question file .*q\.jsonl: name one"),
        ("", r"q\.jsonl holds no question"),
        ('{"text": "a document"}\n', r"q\.jsonl, line 1: not a JSON object with a \"question\""),
        ("\x00\x01 no JSON", r"q\.jsonl, line 1: not a JSON object"),
    ],
)
def test_a_file_that_is_no_question_file_is_a_sentence(tmp_path, corpus, content, message):
    path = tmp_path / "q.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RalmError, match=message):
        build_store(tmp_path / "s", corpus, decontaminate=[str(path)])
    assert not (tmp_path / "s").exists()
    with pytest.raises(RalmError, match="no question file"):
        question_files(EvaluationTexts(files=(str(tmp_path),)))


def test_lines_that_are_no_questions_cost_themselves_alone_and_the_build_says_so(tmp_path, corpus, capsys):
    question = "Which town is it that has a bridge of glass by the old river?"
    lines = [
        json.dumps({"id": "a", "question": question}),
        "{",
        "",
        "[]",
        json.dumps({"id": "b", "question": question}),
    ]
    bad = tmp_path / "q.jsonl"
    bad.write_text("\n".join(lines))
    good = write_lines(tmp_path / "good.jsonl", [json.loads(lines[0]), json.loads(lines[-1])])
    tables = [make_table(EvaluationTexts(files=(str(file),))) for file in (bad, good)]
    # A table of questions alone says nothing new: its bytes are those of before.
    assert [LINES_LEFT_OUT.encode() in table.schema.metadata for table in tables] == [True, False]
    grams = [table.column("grams").to_pylist() for table in tables]
    assert grams[0] == grams[1]
    said = "Of q.jsonl 2 lines could not be read as questions (2, 4): what stands in them is not looked for"
    assert [one.warning for one in sought_by(tables[1])] == [None]

    told = Told()
    manifest = build_store(tmp_path / "s", corpus, progress=told, decontaminate=[str(bad)])
    assert any(one.startswith(said) for one in told.said)
    built(tmp_path / "s", manifest)
    assert said in " ".join(capsys.readouterr().out.split())
    assert verify(tmp_path / "s") == []


class Told(Silent):
    """Keeps what is said of a build."""

    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)
