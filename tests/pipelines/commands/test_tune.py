import json

from typer.testing import CliRunner

from pipelines.cli import app
from tests.corpus import questions, write_lines


def ralm(*args):
    return CliRunner().invoke(app, ["tune", *map(str, args)], catch_exceptions=True)


def test_lessons_are_prepared_and_counted(store, tmp_path):
    path = write_lines(tmp_path / "q.jsonl", questions())
    splits = tmp_path / "splits.json"
    splits.write_text(json.dumps({"held_out": ["q0"]}))
    ended = ralm(store, path, "-o", tmp_path / "out", "--held-out", splits, "--titles", 3, "--prepare")
    assert ended.exit_code == 0, ended.output
    assert "lessons" in ended.output
    assert "1 question held out" in ended.output
    assert (tmp_path / "out" / "lessons.jsonl").exists()


def test_what_is_missing_is_a_sentence(store, tmp_path):
    for args, said in (
        (["-o", tmp_path / "none"], "holds no lessons.jsonl"),
        ([store, "-o", tmp_path / "none"], "needs question files"),
        ([store, "-o", tmp_path / "none", "--reader", "http://localhost:1/v1"], "cannot be taught"),
    ):
        ended = ralm(*args)
        assert ended.exit_code != 0
        assert said in str(ended.exception)
    assert ralm(store, "-o", tmp_path / "none", "--titles", -1).exit_code == 2
