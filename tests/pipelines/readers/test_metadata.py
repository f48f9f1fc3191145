import datetime
import json
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastore.schema import Document, dump_metadata
from pipelines.readers.metadata import Lost, bounded, metadata_of, scalar
from pipelines.readers.records import Unreadable
from tests.pipelines.readers.reading import lines, read, read_with

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=200), st.integers(), st.booleans()
)


@given(st.dictionaries(names, values, max_size=8), st.integers(64, 600))
def test_metadata_never_take_more_than_their_bound(metadata, limit):
    kept, left_out = bounded(metadata, limit)
    assert len(dump_metadata(kept).encode()) <= limit
    gone = {one.field for one in left_out}
    assert kept == {name: value for name, value in metadata.items() if name not in gone}
    # Nothing goes for nothing: with the smallest of what went it would be too much.
    if gone:
        sizes = {name: len(dump_metadata({name: metadata[name]}).encode()) for name in metadata}
        last = left_out[-1].field
        assert all(sizes[name] >= sizes[other] for name in gone for other in kept)
        spaces = sum(dump_metadata(one).startswith(" ") for one in (kept, {last: metadata[last]}))
        assert len(dump_metadata({**kept, last: metadata[last]}).encode()) + spaces > limit


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("x", "x"), (True, True), (3, 3), (0.5, 0.5), (float("nan"), None), (float("inf"), None),
        (None, None), ([1], None), ({"a": 1}, None), (b"x", None), (Decimal("NaN"), None),
        (Decimal("1.50"), 1.5),
        (Decimal("7"), 7), (datetime.date(2020, 1, 2), "2020-01-02"), (datetime.time(3, 4), "03:04:00"),
        (datetime.timedelta(days=1, microseconds=500000), 86400.5), (datetime.timedelta(hours=-1), -3600),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    ],
)  # fmt: skip
def test_scalars_are_kept(value, kept):
    assert (scalar(value), type(scalar(value))) == (kept, type(kept))


def test_a_field_that_cannot_be_read_is_told_unless_another_of_its_name_can():
    fields = {"a": Lost("gone"), "meta": {"a": 1, "b": Lost("gone too")}, "text": "T"}
    kept, left_out = metadata_of(fields, {"text"})
    assert kept == {"a": 1}
    assert [(one.field, one.reason) for one in left_out] == [("b", "gone too")]


def test_a_huge_field_is_left_out_and_the_text_beside_it_stays(tmp_path):
    record = {
        "id": "a",
        "text": "T" * 2_000_000,
        "html": "<p>" * 1_000_000,
        "title": "Bridge",
        "url": "http://x",
    }
    intake, (found,) = read_with(lines(tmp_path / "a.jsonl", record), limit=10**7, licence="CC0")
    assert found == Document(
        "a", "a", record["text"], {"title": "Bridge", "url": "http://x", "licence": "CC0"}
    )
    (left_out,) = intake.take_left_out()
    assert (left_out.field, left_out.why) == ("html", "too_large")
    assert "3,000,010 bytes and max_metadata_bytes allows a document 16,384" in left_out.reason
    assert intake.take_left_out() == []


@pytest.mark.parametrize("field", ["id", "domain"])
def test_a_huge_id_is_no_id(tmp_path, field):
    bad, good = read(
        lines(tmp_path / "a.jsonl", {"text": "T", field: "x" * 20_000}, {"text": "T", field: "x" * 16_384})
    )
    assert isinstance(bad, Unreadable)
    assert bad.reason == f"its {field} has 20,000 bytes and max_metadata_bytes allows 16,384"
    assert isinstance(good, Document)


def test_thousands_of_fields_are_bounded_too(tmp_path):
    record = {"text": "T"} | {f"field {n}": n for n in range(5000)}
    intake, (found,) = read_with(lines(tmp_path / "a.jsonl", record))
    assert len(json.dumps(found.metadata)) < 20_000
    assert len(found.metadata) + len(intake.take_left_out()) == 5000
