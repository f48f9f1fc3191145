import pytest

from base.errors import RalmError
from datastore.files.json import read_json, write_json


def test_equal_json_is_equal_bytes(tmp_path):
    write_json(tmp_path / "a", {"x": 1, "y": 2})
    write_json(tmp_path / "b", {"y": 2, "x": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_broken_json_is_named(tmp_path):
    (tmp_path / "m.json").write_text("{")
    with pytest.raises(RalmError, match=r"m\.json is not valid JSON"):
        read_json(tmp_path / "m.json")
