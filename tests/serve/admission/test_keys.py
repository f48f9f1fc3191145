import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import RalmError
from serve.admission.keys import Key, Keys, add_key, read_keys, require_names


def test_a_key_that_was_made_is_found_and_no_other(tmp_path):
    path = tmp_path / "keys.jsonl"
    first, second = add_key(path, "ann"), add_key(path, "ben", 60)
    assert path.stat().st_mode & 0o777 == 0o600
    assert first not in path.read_text()
    keys = Keys(read_keys(path))
    found = keys.find(second)
    assert found is not None
    assert (found.name, found.per_minute) == ("ben", 60)
    assert keys.find(first).name == "ann"
    for wrong in ("", first[:-1], first + "x", first.upper(), "ü\ud800"):
        assert keys.find(wrong) is None


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1), st.text())
def test_only_the_same_text_is_the_same_key(key, other):
    assert (Keys([Key.of(key, "one")]).find(other) is not None) == (key == other)


@pytest.mark.parametrize("key", ["", "two words", "schlüssel", "line\nend", "\ud800"])
def test_what_no_header_holds_is_no_key(key):
    with pytest.raises(RalmError, match="printable ASCII"):
        Key.of(key, "one")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("name: ann", "line 2 is no JSON"),
        ('{"name": "ann"}', "line 2: sha256 is missing"),
        ('{"name": "ann", "sha256": "12"}', "line 2: sha256 must be 64 hexadecimal digits"),
        (json.dumps({"name": "ann", "sha256": "0" * 64, "rate": 1}), "rate is no field of a key"),
        (json.dumps({"name": "ann", "sha256": "0" * 64, "per_minute": 0}), "per_minute must be at least 1"),
        (json.dumps({"name": "ann", "sha256": "0" * 64, "per_minute": "9"}), "must be a whole number"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, sentence):
    path = tmp_path / "keys.jsonl"
    path.write_text(f"\n{line}\n")
    with pytest.raises(RalmError, match=sentence):
        read_keys(path)


def test_a_name_is_one_keys_alone(tmp_path):
    path = tmp_path / "keys.jsonl"
    add_key(path, "ann")
    before = path.read_bytes()
    with pytest.raises(RalmError, match="Two keys are called 'ann'"):
        add_key(path, "ann")
    assert path.read_bytes() == before
    require_names(read_keys(path))


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(RalmError, match=r"none\.jsonl cannot be read"):
        read_keys(tmp_path / "none.jsonl")
    with pytest.raises(RalmError, match="cannot be written"):
        add_key(tmp_path / "no folder" / "keys.jsonl", "ann")


def test_a_key_begins_a_line_of_its_own(tmp_path):
    path = tmp_path / "keys.jsonl"
    add_key(path, "ann")
    path.write_text(path.read_text().rstrip())
    add_key(path, "ben")
    assert [one.name for one in read_keys(path)] == ["ann", "ben"]


@pytest.mark.parametrize("name", ["", "x" * 101])
def test_a_name_that_could_not_be_read_again_spoils_no_file(tmp_path, name):
    path = tmp_path / "keys.jsonl"
    add_key(path, "ann")
    with pytest.raises(RalmError, match="The new key"):
        add_key(path, name)
    assert [one.name for one in read_keys(path)] == ["ann"]
