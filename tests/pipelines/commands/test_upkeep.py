import json
import re
import sys
from io import StringIO

import pytest

from datastore.files.layout import Layout
from datastore.generations.generation import current
from tests.conftest import tree
from tests.corpus import documents, questions, write_lines


class Terminal(StringIO):
    """What a person types."""

    def isatty(self) -> bool:
        return True


def test_the_command_says_what_it_did_and_what_it_would(ralm, own_store):
    code, out, _ = ralm("delete", own_store, "--where", "year=1412", "--domain", "travel", "--dry-run")
    assert code == 0
    assert "2 documents with 2 passages would be taken down (2 of travel); nothing is changed" in out
    assert current(Layout(own_store)).generation == 1
    code, out, _ = ralm("delete", own_store, "--where", "year=1412", "--domain", "travel", "--yes")
    assert code == 0
    assert "2 documents with 2 passages are to be taken down (2 of travel)." in out
    assert "Taken down: 2 documents, 2 passages" in out
    assert "Generation 2" in out
    code, out, _ = ralm("status", own_store)
    assert "Taken down and still on disk: 2 passages" in out
    code, out, _ = ralm("compact", own_store, "--executor", "local")
    assert code == 0
    assert "38 passages" in out
    code, out, _ = ralm("add", own_store, own_store / "takedowns" / "000002.jsonl", "--executor", "local")
    assert code == 0
    assert "Nothing is new" in out
    code, out, _ = ralm("discard", own_store)
    assert "has no unfinished job" in out


def test_one_is_not_called_several(ralm, own_store):
    (one, *_) = documents()
    _, out, _ = ralm("delete", own_store, "--ids", one["id"], "--dry-run")
    assert "1 document with 1 passage would be taken down" in out
    assert "Taken down: 1 document, 1 passage. " in ralm("delete", own_store, "--ids", one["id"], "--yes")[1]
    assert "Taken down and still on disk: 1 passage " in ralm("status", own_store)[1]


def test_nothing_is_taken_down_unasked(ralm, own_store):
    before = tree(own_store)
    (one, *_) = documents()
    code, out, err = ralm("delete", own_store, "--ids", one["id"])
    assert (code, len(err.splitlines())) == (2, 1)
    assert one["id"] in out
    assert "to be asked whether to take them down, so nothing is done: give --yes" in err
    assert tree(own_store) == before


@pytest.mark.parametrize(("said", "goes"), [("y", True), ("n", False), ("", False)])
def test_a_person_is_asked_and_sees_what_goes(ralm, own_store, monkeypatch, said, goes):
    monkeypatch.setattr(sys, "stdin", Terminal(f"{said}\n"))
    (one, *_) = documents()
    code, out, err = ralm("delete", own_store, "--ids", one["id"])
    assert code == (0 if goes else 1)
    assert one["id"] in out
    assert one["title"] in out
    assert "Take them down? There is no way back. [y/N]" in err + out
    assert current(Layout(own_store)).passages == (39 if goes else 40)


def test_a_job_that_has_done_work_is_not_given_up_unasked(ralm, own_store, monkeypatch):
    begun = own_store / "stages" / "0001-add"
    (begun / "read").mkdir(parents=True)
    (begun / "build.json").write_text("{}")
    (begun / "read" / "00000.json").write_text("{}")
    code, out, err = ralm("discard", own_store)
    assert (code, len(err.splitlines())) == (2, 1)
    assert "`ralm add` is not finished: 1 task of it" in out
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    assert ralm("discard", own_store)[0] == 1
    assert begun.exists()
    assert ralm("discard", own_store, "--yes")[0] == 0
    assert not begun.exists()


def test_a_damaged_store_fails_verification(own_store, ralm):
    path = own_store / "vectors" / "00000.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    code, out, _ = ralm("verify", own_store)
    assert code == 1
    assert "00000.npy is corrupted" in out


def test_a_card_is_measured_again_with_questions(ralm, own_store, tmp_path):
    file = tmp_path / "questions.jsonl"
    file.write_text("\n".join(json.dumps(question) for question in questions()))
    code, out, _ = ralm("card", own_store, "--questions", file)
    assert code == 0
    assert f"{len(questions())} queries" in out
    assert "recall@10" in out
    assert ralm("search", own_store, "blue glass", "--recall", "1")[0] == 0


def test_an_addition_says_what_it_brought(ralm, own_store, tmp_path):
    more = write_lines(tmp_path / "more.jsonl", [{"id": "x", "text": "a document that is quite new"}])
    code, out, _ = ralm("add", own_store, more, "--domain", "own", "--executor", "local")
    assert code == 0
    assert re.search(r"passages added\W+1\b", out)
    assert re.search(r"generation\W+2\b", out)
    assert current(Layout(own_store)).domains["own"] == 1


def test_an_unfinished_job_is_given_up_by_name(ralm, own_store):
    begun = own_store / "stages" / "0001-add" / "build.json"
    begun.parent.mkdir()
    begun.write_text("{}")
    code, out, _ = ralm("discard", own_store)
    assert code == 0
    assert "Gave up 0001-add" in out
    assert not begun.parent.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["add", "{store}", "{tmp}/none", "--executor", "spark"],
        ["add", "{store}", "{tmp}/none", "--executor", "local"],
        ["delete", "{store}", "--ids", "none"],
        ["delete", "{store}"],
        ["compact", "{store}", "--executor", "spark"],
        *([command, "{tmp}/none"] for command in ("compact", "discard", "status", "verify", "card")),
    ],
)
def test_what_cannot_be_done_changes_nothing(tmp_path, own_store, ralm, arguments):
    before = tree(own_store)
    code, out, err = ralm(*(a.format(tmp=tmp_path, store=own_store) for a in arguments))
    assert code == 2
    assert len(err.splitlines()) == 1
    assert "Traceback" not in out + err
    assert tree(own_store) == before
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["status", "{tmp}/none"], "no datastore"),
        (["verify", "{tmp}"], "is no datastore: name the folder of one"),
        (["card", "{store}", "--questions", "{tmp}/none"], "no question file"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(refusal, arguments, sentence):
    assert sentence in refusal(*arguments)
