import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datastore.schema import Document
from datastore.verify import verify
from pipelines.config import BuildConfig, SourceConfig
from pipelines.corpus.sources import resolve
from pipelines.readers.json.json_file import spreads
from pipelines.readers.records import Unreadable
from tests.conftest import build_store
from tests.pipelines.readers.flips import COMPRESS, SAMPLES, Framed, check, sizes_cut
from tests.pipelines.readers.reading import read, read_doubting

RECORDS = [
    {"id": str(n), "text": f"The bridge of {n} arches stands over the river.", "n": n} for n in range(5)
]


def kinds(*paths):
    corpus = resolve(BuildConfig(sources=tuple(SourceConfig(path=str(path)) for path in paths)))
    return [segment.kind for split in corpus.splits for segment in split.segments]


@pytest.mark.parametrize(
    ("head", "spread"),
    [
        (b'[{"a": 1},', True), (b"[\n  {", True), (b'\xef\xbb\xbf \n[{"a": 1}]', True), 
        (b'[{"a": 1}]\n', True),
        (b'{\n  "a": 1', True), (b'{"a": {\n "b": 1}}', True), (b'{"a": 1,\n "b": 2}', True),
        (b'{"a": [\n{"b": 1}]}', True), (b'{"a":\n{"b": 1}}', True),
        (b'{"a": 1}\n{"a": 2}\n', False), (b'{"a": 1}', False), (b"", False), (b"\n\n", False), (b"x", False),
        (b'{"a": 1,\n{"a": 2}\n', False), (b'{"a": "cut of\n{"a": 2}\n', False), (b'{\n{"a": 2}\n', False),
        (b'[1, 2]\n{"a": 2}\n', False),
        # What is looked at ends within a long line, wherever that may be.
        (b'{"a": 1,', False), (b'{"a":', False), (b'{"a": {', False), (b'{"a": [', False),
    ],
)  # fmt: skip
def test_the_beginning_tells_whether_records_are_lines(head, spread):
    assert spreads(head) == spread


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.jsonl", "a.ndjson"])
@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_of_records_is_read_and_not_cut(tmp_path, name, indent):
    path = tmp_path / name
    data = json.dumps(RECORDS, indent=indent).encode()
    path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    assert kinds(path) == ["json"]
    config = BuildConfig(sources=(SourceConfig(path=str(path)),), split_bytes=50)
    assert len(resolve(config).splits) == 1
    found = read(path, kind="json")
    assert found == [Document(r["id"], "a", r["text"], {"n": r["n"]}) for r in RECORDS]


def test_lines_stay_lines(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\n".join(json.dumps(r).encode() for r in RECORDS))
    (tmp_path / "b.jsonl").write_bytes(b'{"text": "a"}')
    assert kinds(tmp_path) == ["jsonl", "jsonl"]


def test_records_have_numbers_and_bad_ones_cost_themselves(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(
        '[{"text": "one"}, {"text": 2}, 5, {"text": "x" "y"}, {"text": "'
        + "z" * 5000
        + '"}, {"text": "six"}]'
    )
    found = read(path, kind="json", limit=4096)
    assert [r.id for r in found if isinstance(r, Document)] == ["a.json:1", "a.json:6"]
    bad = [(r.record, r.reason) for r in found if isinstance(r, Unreadable)]
    assert [number for number, _ in bad] == [2, 3, 4, 5]
    for (_, reason), expected in zip(
        bad, ["holds int", "not a JSON object", "invalid JSON", "max_record_bytes"], strict=True
    ):
        assert expected in reason


def test_digits_are_kept_in_an_array_too(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[{"text": "one", "id": 123456789012345678901234567890, "n": 99999999999999999999}]')
    (found,) = read(path, kind="json")
    assert (found.id, found.metadata) == ("123456789012345678901234567890", {"n": 99999999999999999999})


def test_an_object_around_a_list_of_records_is_refused_with_the_mend(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"version": 1, "data": RECORDS}, indent=1))
    (found,) = read(path, kind="json")
    assert "its field 'data' holds a list of objects: make that list the file" in found.reason


@pytest.mark.parametrize("cut", [0.3, 0.8])
def test_damage_is_listed_behind_what_came_before_it(tmp_path, cut):
    path = tmp_path / "a.json.gz"
    records = [{"text": f"{n} {n**50}"} for n in range(2000)]
    data = gzip.compress(json.dumps(records, indent=1).encode())
    path.write_bytes(data[: int(cut * len(data))])
    *before, last = read(path, kind="json")
    texts = [r.text for r in before if isinstance(r, Document)]
    assert len(texts) > 100
    assert texts == [r["text"] for r in records[: len(texts)]]
    assert isinstance(last, Unreadable)
    assert "breaks off or is damaged" in last.reason


def test_a_build_reads_an_array_as_it_reads_lines(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(RECORDS, indent=2))
    (tmp_path / "one.json").write_text(
        json.dumps({"id": "one", "text": "A pretty record of one bridge."}, indent=2)
    )
    manifest = build_store(tmp_path / "s", tmp_path / "a.json", tmp_path / "one.json", lexical=False)
    assert manifest.counts["indexed"] == 6
    assert manifest.counts["records"] == 6
    assert verify(tmp_path / "s") == []


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(COMPRESS)), st.integers(0, 2**40))
def test_a_byte_order_mark_moves_no_place_of_what_is_doubtful(tmp_path_factory, suffix, bit):
    records = [b"\xef\xbb\xbf" + SAMPLES["json"][0], *SAMPLES["json"][1:]]
    data, touched = Framed(records, sizes_cut(records)["some"], suffix).flipped(bit)
    path = tmp_path_factory.mktemp("flips") / f"a.json.{suffix}"
    path.write_bytes(data)
    check(*read_doubting(path, "json"), set(range(min(touched), 40)), 40)
