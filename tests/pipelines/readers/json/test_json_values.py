import io
import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.readers.json import json_values
from pipelines.readers.json.json_values import JsonValues

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=4), VALUES, max_size=4), min_size=1, max_size=5)
STYLES = {
    "array": lambda objects: json.dumps(objects),
    "pretty array": lambda objects: json.dumps(objects, indent=2, ensure_ascii=False),
    "a line each": lambda objects: "[\n" + ",\n".join(map(json.dumps, objects)) + "\n]\n",
    "comma first": lambda objects: "[ " + "\n, ".join(map(json.dumps, objects)) + "\n]",
    "concatenated": lambda objects: "".join(json.dumps(one, indent="\t") for one in objects),
    "pretty objects": lambda objects: "\n\n".join(json.dumps(one, indent=4) for one in objects),
    "lines": lambda objects: "\r\n".join(map(json.dumps, objects)),
}


def found(text, limit=1 << 20):
    return list(JsonValues(io.BufferedReader(io.BytesIO(text)), limit))


@pytest.fixture(autouse=True, params=[1, 7, 1 << 20])
def block(request, monkeypatch):
    monkeypatch.setattr(json_values, "_BLOCK", request.param)


@settings(deadline=None, max_examples=40)
@given(OBJECTS, st.sampled_from(sorted(STYLES)))
def test_values_are_found_however_they_are_printed(objects, style):
    text = STYLES[style](objects).encode()
    values = found(text)
    assert [json.loads(value.data) for value in values] == objects
    assert [text[value.begin : value.begin + value.length] for value in values] == [v.data for v in values]


@pytest.mark.parametrize("style", ["array", "pretty array", "a line each", "comma first", "pretty objects"])
@pytest.mark.parametrize(
    ("whole", "damaged"),
    [
        ('"text"', '"text'),
        ('"two"', "two"),
        ('"two"', '"two"}}'),
        ('"two"', '"two"]'),
        ('["x"', '["x'),
        ('["x"', '"x"'),
        ('["x"', '[["x"'),
        ('{"y"', '{{"y"'),
        ('{"y"', '"y"'),
        (": 2", ": 2 2"),
        (": 2", ': "2'),
    ],
)
def test_a_bad_value_costs_no_other(style, whole, damaged):
    objects = [{"id": n, "text": "two", "list": ["x", {"y": "z"}], "end": {"n": n}} for n in range(5)]
    text = STYLES[style](objects)
    pieces = text.split('"id": 2')
    head, tail = pieces
    text = head + '"id": 2' + tail.replace(whole.replace(": 2", ": 2"), damaged, 1)
    good = set()
    for value in found(text.encode()):
        try:
            good.add(json.loads(value.data or "")["id"])
        except (ValueError, TypeError, KeyError):
            continue
    assert good >= {0, 1, 3, 4}


def test_an_array_that_is_cut_off_says_so():
    text = json.dumps([{"a": 1}, {"a": 2}], indent=1).encode()
    one, two = found(text[:-8])
    assert one.data == text[3:15].strip() or json.loads(one.data) == {"a": 1}
    assert (two.data, two.reason) == (None, "the file breaks off in this record")
    *_, last = found(text[:-2])
    assert "ends within the array" in last.reason


def test_values_that_are_nested_and_not_closed_are_not_all_read_again(monkeypatch):
    monkeypatch.setattr(json_values, "_FREE", 100)
    *bad, last = found(b"[" + b'{"k":[1, ' * 400 + b'"x" "y", {"good": 1}]')
    assert last.data == b'{"good": 1}'
    # Each of the 400 would be tried up to where a string begins and none may.
    assert 1 <= len(bad) < 40
    assert all("where none may begin" in one.reason for one in bad)


def test_other_values_are_values():
    values = found(b'[1, "a, b", null, [2, {"x": 3}], {"y": 4}, true]')
    assert [json.loads(v.data) for v in values] == [1, "a, b", None, [2, {"x": 3}], {"y": 4}, True]
    assert [v.reason for v in found(b'{"a": 1}} {"b": 2}')] == [
        "",
        "a bracket is closed that is not open",
        "",
    ]


def test_a_value_that_is_too_long_costs_itself_and_little_memory(monkeypatch):
    monkeypatch.setattr(json_values, "_BLOCK", 1 << 16)
    long = b'{"a": [' + b'"' + b"x" * 10_000_000 + b'", 1' + b", 2" * 100_000 + b"]}"
    text = io.BufferedReader(io.BytesIO(b'[{"b": 1}, ' + long + b', {"c": 2}]'))
    tracemalloc.start()
    one, bad, two = JsonValues(text, 4096)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (one.data, bad.data, two.data) == (b'{"b": 1}', None, b'{"c": 2}')
    assert bad.reason == f"the record has {len(long):,} bytes and max_record_bytes allows 4,096"
    assert peak < 2e6
