import json
import sys
from io import StringIO
from pathlib import Path

import pytest

from base.errors import RalmError
from serve.admission.journal import Journal


def test_lines_are_added_to_what_is_there(tmp_path):
    path, lost = tmp_path / "log.jsonl", []
    for number in range(2):
        Journal(path, lambda: lost.append(1)).write({"n": number, "text": "a\nb\u2028"})
    lines = path.read_bytes().splitlines()
    assert [json.loads(line)["n"] for line in lines] == [0, 1]
    assert not lost


def test_a_full_disk_loses_lines_and_nothing_else():
    lost = []
    journal = Journal(Path("/dev/full"), lambda: lost.append(1))
    for _ in range(3):
        journal.write({"path": "/search"})
    assert len(lost) == 3


def test_standard_error_is_the_log_unless_told(capsys, monkeypatch):
    lost = []
    journal = Journal(None, lambda: lost.append(1))
    journal.write({"a": 1})
    assert capsys.readouterr().err == '{"a":1}\n'
    closed = StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    journal.write({"a": 1})
    assert lost == [1]


def test_a_log_may_be_moved_away(tmp_path):
    journal = Journal(tmp_path / "log", lambda: None)
    journal.write({"a": 1})
    (tmp_path / "log").rename(tmp_path / "log.1")
    journal.write({"a": 2})
    assert (tmp_path / "log").read_text() == '{"a":2}\n'


def test_a_log_that_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(RalmError, match=r"The log .* cannot be written"):
        Journal(tmp_path / "no folder" / "log", lambda: None)
