import pytest

from base.errors import RalmError
from pipelines.config import SourceConfig
from pipelines.evaluate.perplexity.texts import read_texts
from tests.corpus import write_lines


def test_texts_are_read_as_a_build_reads_its_sources(tmp_path):
    write_lines(tmp_path / "b.jsonl", [{"text": "one"}, {"text": " "}, {"none": 1}, {"text": "two"}])
    (tmp_path / "a.txt").write_text("a whole file", encoding="utf-8")
    found, notes = read_texts([SourceConfig(path=str(tmp_path))])
    assert found == ["a whole file", "one", "two"]
    assert len(notes) == 1
    assert notes[0].startswith("1 record cannot be read and left out")
    assert read_texts([SourceConfig(path=str(tmp_path))], 2)[0] == ["a whole file", "one"]


def test_no_text_is_an_error(tmp_path):
    path = write_lines(tmp_path / "b.jsonl", [{"none": 1}])
    with pytest.raises(RalmError, match=r"no text to be scored in .*b\.jsonl: the record has no field"):
        read_texts([SourceConfig(path=str(path))])
    with pytest.raises(RalmError, match="at least 1, not 0"):
        read_texts([SourceConfig(path=str(path))], 0)
