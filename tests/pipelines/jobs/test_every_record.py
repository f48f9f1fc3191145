"""Law 4 over whole builds: what is read is indexed, or counted with a reason, to the last record."""

import gzip
import json

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datastore.store import Datastore
from datastore.verify import verify
from tests.conftest import build_store
from tests.pipelines.readers.office import book, pdf, word

TEXT = "a sentence that is long enough to be kept, number {}"
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
nested = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
records = st.fixed_dictionaries(
    {},
    optional={
        "id": st.integers(0, 4) | nested,
        "text": st.integers(0, 5).map(TEXT.format) | nested,
        "contents": st.text(max_size=60),
        "domain": st.sampled_from(["a", "b", ""]) | nested,
        "metadata": nested,
        "extra": nested,
    },
)
lines = st.one_of(
    records.map(lambda record: json.dumps(record).encode()),
    st.sampled_from(
        [b"", b"   ", b"{broken", b'"a string"', b"[1, 2]", b'{"text": "\xff\xfe"}', b"\x00\x00"]
    ),
    # At a file's beginning a bracket alone makes it an array over several lines.
    st.binary(max_size=30)
    .map(lambda data: data.replace(b"\n", b""))
    .filter(lambda data: data[-1:] not in b"[{,:"),
)


def check(root, manifest, read):
    """The counts add up to what was written, and reports and passages are as many as counted."""
    counts = manifest.counts
    removed = sum(n for name, n in counts.items() if name.startswith("removed."))
    assert counts["records"] == counts["documents"] + counts["unreadable"]
    assert counts["documents"] == counts["indexed"] + removed
    assert counts["records"] + counts["blank"] == read
    reports = (root / "removed" / "unreadable").glob("*.jsonl")
    assert sum(len(path.read_bytes().splitlines()) for path in reports) == counts["unreadable"]
    store = Datastore.open(root)
    assert len({(p.domain, p.doc_id) for p in store}) == counts["indexed"]
    assert verify(root) == []


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(lines, max_size=30), st.integers(40, 400), st.booleans())
def test_any_lines_are_accounted_for(tmp_path_factory, written, split_bytes, last):
    """Whatever stands in a line, wherever the file is cut, with or without an end of the last line."""
    folder = tmp_path_factory.mktemp("lines")
    written = [*written, json.dumps({"id": "good", "text": TEXT.format("good")}).encode()]
    (folder / "a.jsonl").write_bytes(b"\n".join(written) + b"\n" * last)
    manifest = build_store(folder / "s", folder / "a.jsonl", split_bytes=split_bytes, lexical=False)
    check(folder / "s", manifest, len(written))


def awkward(folder, sparse):
    """A folder of everything that goes wrong, and how many records and blank lines it holds."""
    good = [{"id": f"g{n}", "text": TEXT.format(n), "nested": {"deep": [1, {"er": None}]}} for n in range(40)]
    (folder / "a.jsonl").write_bytes(b"\n".join(map(orjson.dumps, [*good, good[3], good[4]])))
    read = 42
    pq.write_table(
        pa.Table.from_pylist([{"id": n, "text": TEXT.format(f"row {n}")} for n in range(20)]),
        folder / "b.parquet",
    )
    pq.write_table(pa.table({"id": [1.5, 2.5], "text": [["a"], ["b"]]}), folder / "wrong types.parquet")
    read += 20 + 2
    whole = (folder / "b.parquet").read_bytes()
    (folder / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    (folder / "damaged.parquet").write_bytes(whole[:60] + b"\xff" * 60 + whole[120:])
    (folder / "empty.parquet").write_bytes(b"")
    (folder / "cut.jsonl.gz").write_bytes(gzip.compress(b"\n".join(map(orjson.dumps, good)))[:-30])
    with open(folder / "sparse.jsonl", "wb") as handle:
        handle.truncate(sparse)  # One line of zeros.
    read += 1
    (folder / "loop").symlink_to(folder)
    (folder / "itself.jsonl").symlink_to(folder / "itself.jsonl")
    (folder / "gone.jsonl").symlink_to(folder / "nothing")
    (folder / "pictures.png").write_bytes(b"\x89PNG")
    (folder / "latin.txt").write_bytes("caf\xe9 au lait, and more of it".encode("latin-1"))
    (folder / "note.md").write_text(TEXT.format("note"))
    (folder / "table.csv").write_text(
        f'id,text\nc1,"{TEXT.format("c1")}"\nc2,"open\nc3,"{TEXT.format("c3")}"\n'
    )
    (folder / "no text.csv").write_text("title,body\nA,B\n")
    (folder / "page.pdf").write_bytes(pdf([TEXT.format("pdf")]))
    (folder / "locked.pdf").write_bytes(pdf([TEXT.format("pdf")], password="secret"))
    (folder / "word.docx").write_bytes(word(lambda document: document.add_paragraph(TEXT.format("docx"))))
    (folder / "book.epub").write_bytes(book(f"<p>{TEXT.format('epub')}</p>"))
    (folder / "cut.epub").write_bytes(book("<p>x</p>")[:300])
    return read + 2 + 3 + 1 + 5


def build_awkward(root, folder, sparse):
    folder.mkdir()
    read = awkward(folder, sparse)
    manifest = build_store(root, folder, split_bytes=1 << 22, passages_per_shard=16)
    counts = manifest.counts
    # Of the damaged files, what came before the damage and a line about it, however much that is.
    reported = [
        orjson.loads(line)
        for path in (root / "removed" / "unreadable").glob("*.jsonl")
        for line in path.read_bytes().splitlines()
    ]
    damaged = {line["file"].rpartition("/")[2] for line in reported}
    assert damaged >= {
        "cut.parquet",
        "empty.parquet",
        "cut.jsonl.gz",
        "sparse.jsonl",
        "latin.txt",
        "wrong types.parquet",
        "table.csv",
        "no text.csv",
        "locked.pdf",
        "cut.epub",
    }
    ids = {p.doc_id for p in Datastore.open(root)}
    from_damaged = counts["records"] - read
    assert from_damaged >= 4
    assert {f"g{n}" for n in range(40)} <= ids
    assert {"c1", "c3", *(f"corpus/{name}" for name in ("page.pdf", "word.docx", "book.epub"))} <= ids
    check(root, manifest, counts["records"] + counts["blank"])
    assert counts["removed.duplicate_id"] >= 2
    assert counts["ignored_files"] == 1


def test_a_folder_of_everything_that_goes_wrong(tmp_path):
    build_awkward(tmp_path / "s", tmp_path / "corpus", 1 << 27)


@pytest.mark.long
def test_a_sparse_file_of_ten_gigabytes_is_one_bad_record(tmp_path):
    build_awkward(tmp_path / "s", tmp_path / "corpus", 10 << 30)


def test_fields_that_are_left_out_are_counted_said_and_listed(tmp_path, ralm):
    """A page's HTML is no metadata: a passage would carry it as often as the document has passages."""
    sentence = "The old stone bridge was built in 1787. "
    records = [
        {"id": "huge", "text": sentence * 2000, "html": "<p>" * 1_700_000, "year": 1787},
        {"id": "two", "text": sentence * 2 + "It stands.", "a": "x" * 9000, "b": "y" * 9001, "n": 10**20},
    ]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(json.dumps(r).encode() for r in records) + b"\n")
    times = pa.array([2**60, 0], pa.timestamp("us"))
    rows = pa.table({"id": ["r", "s"], "text": [sentence + "First.", sentence + "Second."], "when": times})
    pq.write_table(rows, tmp_path / "b.parquet")
    root = tmp_path / "s"
    code, out, _ = ralm(
        "build", tmp_path / "a.jsonl", tmp_path / "b.parquet", "-o", root, "--executor", "local"
    )
    assert code == 0
    assert "fields left out: too large" in out
    assert "fields left out: unreadable" in out
    assert "fields left out: too large: 2" in ralm("status", root)[1]
    assert verify(root) == []
    store = Datastore.open(root)
    assert store.manifest.counts["indexed"] == 4
    assert {k: n for k, n in store.manifest.counts.items() if k.startswith("left_out.")} == {
        "left_out.too_large": 2,
        "left_out.unreadable": 1,
    }
    kept = {p.doc_id: dict(p.metadata) for p in store}
    assert kept == {
        "huge": {"year": 1787},
        "two": {"a": "x" * 9000, "n": 10**20},
        "r": {},
        "s": {"when": "1970-01-01T00:00:00"},
    }
    listed = [
        json.loads(line)
        for path in sorted((root / "removed").glob("metadata_*/*.jsonl"))
        for line in path.read_bytes().splitlines()
    ]
    assert [(one["id"], one["field"]) for one in listed] == [("huge", "html"), ("two", "b"), ("r", "when")]
    assert sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) < 5_000_000
