import gzip
import json

import orjson
import pytest

from base.errors import RalmError
from datastore.files.markers import Marker
from datastore.store import Datastore
from datastore.verify import verify
from pipelines.config import BuildConfig, SourceConfig, checked_config
from pipelines.corpus.ingestion import summed
from pipelines.corpus.sources import resolve
from pipelines.indexing.towers import Towers
from pipelines.jobs.ingest import named, settings, unnamed
from pipelines.jobs.status import status
from retriever.encoding.checkpoint import Checkpoint
from retriever.encoding.usage import DEFAULT_ENCODER
from tests.conftest import add_to, build_store, tree
from tests.corpus import documents, write_lines


def test_every_document_is_indexed_or_accounted_for(tmp_path):
    """Law 4, against counts and ids that this test makes itself."""
    good = documents()
    lines = [json.dumps(d).encode() for d in good]
    duplicate_text = json.dumps({"id": "copy", "text": good[3]["text"], "domain": "travel"}).encode()
    duplicate_id = json.dumps(good[5] | {"text": "another text under an identity that is taken"}).encode()
    lines[10:10] = [b"", b"{broken", b'{"text": "\xff\xfe"}', b'{"id": 3}', b"   "]
    lines += [duplicate_text, duplicate_id, json.dumps({"text": "tiny"}).encode()]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))
    (tmp_path / "empty.jsonl").write_bytes(b"")
    packed = [
        json.dumps({"id": f"z{n}", "text": f"a packed document with number {n} in it"}) for n in range(50)
    ]
    whole = gzip.compress("\n".join(packed).encode())
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[:-20])
    manifest = build_store(
        tmp_path / "store",
        tmp_path / "a.jsonl",
        tmp_path / "empty.jsonl",
        tmp_path / "cut.jsonl.gz",
        split_bytes=2000,
    )
    store = Datastore.open(tmp_path / "store")
    found = {p.doc_id for p in store}
    from_cut = {i for i in found if i.startswith("z")}
    assert found - from_cut == {d["id"] for d in good}
    assert from_cut == {f"z{n}" for n in range(len(from_cut))}
    counts = manifest.counts
    assert counts["blank"] == 2
    assert counts["unreadable"] == 4  # Three bad records and the end of the cut file.
    assert counts["removed.duplicate_text"] == counts["removed.duplicate_id"] == counts["removed.length"] == 1
    assert counts["documents"] == len(good) + 3 + len(from_cut)
    assert verify(tmp_path / "store") == []
    listed = [
        orjson.loads(line)
        for path in sorted((tmp_path / "store" / "removed" / "unreadable").iterdir())
        for line in path.read_bytes().splitlines()
    ]
    (dropped,) = (tmp_path / "store" / "removed" / "duplicate_text").iterdir()
    line = orjson.loads(dropped.read_bytes())
    assert line["id"] == "copy"
    assert line["kept"] == {"domain": good[3]["domain"], "id": good[3]["id"]}
    where = {(line["file"], line["record"]) for line in listed}
    assert where >= {("a.jsonl", 12), ("a.jsonl", 13), ("a.jsonl", 14)}
    assert any(line["file"] == "cut.jsonl.gz" for line in listed)


def test_a_text_whose_first_copy_is_dropped_is_kept(tmp_path):
    """The second document is dropped for its id, so the third, of its text, is not a duplicate."""
    records = [
        {"id": "1", "text": "the first text, which is long enough"},
        {"id": "1", "text": "the second text, which is long enough"},
        {"id": "2", "text": "the second text, which is long enough"},
    ]
    build_store(tmp_path / "s", write_lines(tmp_path / "a.jsonl", records))
    assert {p.text for p in Datastore.open(tmp_path / "s")} == {r["text"] for r in records[:2]}


def test_the_place_of_a_corpus_changes_no_byte(tmp_path, corpus, store):
    moved = tmp_path / "elsewhere" / corpus.name
    moved.parent.mkdir()
    moved.write_bytes(corpus.read_bytes())
    build_store(tmp_path / "s", moved, split_bytes=4096, passages_per_shard=8)
    assert tree(tmp_path / "s") == tree(store)


@pytest.mark.parametrize("content", ["", "\n\n", '{"text": "x"}\n', "broken\n"])
def test_a_corpus_without_passages_is_a_sentence_and_no_store(tmp_path, content):
    (tmp_path / "a.jsonl").write_text(content)
    # What is wrong with the first that could not be read stands in the sentence.
    unreadable = (
        "The first of the unreadable is record 1 of a.jsonl: invalid JSON" if "broken" in content else ""
    )
    with pytest.raises(RalmError, match=f"The corpus gives no passage.*{unreadable}"):
        build_store(tmp_path / "s", tmp_path / "a.jsonl")
    with pytest.raises(RalmError, match="holds no finished datastore"):
        Datastore.open(tmp_path / "s")


def settings_of(path, **changed):
    config = BuildConfig(sources=(SourceConfig(path=str(path)),), **changed)
    return settings(config, resolve(config), Towers(Checkpoint.find(DEFAULT_ENCODER)), "float32")


def test_settings_know_a_corpus_by_what_it_holds_not_by_where_it_lies(tmp_path):
    one, moved = (write_lines(tmp_path / f / "a.jsonl", documents()) for f in ("one", "moved"))
    other = write_lines(tmp_path / "other" / "a.jsonl", documents()[1:])
    assert settings_of(one) == settings_of(moved)
    assert str(tmp_path) not in json.dumps(settings_of(one))
    assert settings_of(one) != settings_of(other)
    assert settings_of(one) != settings_of(one, min_chars=3)


def test_counts_of_tasks_add_up_and_what_is_between_stages_is_left_out():
    markers = [
        Marker({"records": 3, "kept": 2, "domain.travel": 2}),
        Marker({"records": 4, "kept": 4, "domain.travel": 1, "domain.history": 3, "column.year": 4}),
    ]
    counts = summed(markers)
    assert (counts["records"], counts["unreadable"]) == (7, 0)
    assert "kept" not in counts
    assert list(counts) == sorted(counts)
    assert named(counts, "domain.") == {"travel": 3, "history": 3}
    assert unnamed(counts) == {n: c for n, c in counts.items() if "." not in n}
    assert summed([])["passages"] == 0


def test_documents_of_the_same_text_are_kept_if_that_is_asked_for_and_so_are_additions(tmp_path):
    records = documents()[:6]
    copies = [records[n] | {"id": f"copy-{n}", "domain": "mirror", "year": 2000 + n} for n in (1, 2)]
    again = [{"id": "added", "text": records[1]["text"], "domain": "mirror"}, records[4]]
    first = write_lines(tmp_path / "a.jsonl", [*records, *copies, records[3]])
    second = write_lines(tmp_path / "b.jsonl", again)
    kept = build_store(tmp_path / "kept", first, duplicate_text="keep", split_bytes=2000)
    assert "removed.duplicate_text" not in kept.counts
    assert (kept.counts["indexed"], kept.counts["removed.duplicate_id"]) == (8, 1)
    assert kept.config["duplicate_text"] == "keep"
    assert verify(tmp_path / "kept") == []
    assert not any(stage.name == "dedup-text" and stage.total for stage in status(tmp_path / "kept").stages)
    found = {p.doc_id: p for p in Datastore.open(tmp_path / "kept")}
    assert found["copy-1"].text == found[records[1]["id"]].text
    assert found["copy-1"].metadata["year"] == 2001
    manifest, counts = add_to(tmp_path / "kept", second)
    assert (counts["indexed"], counts["removed.duplicate_id"]) == (1, 1)
    assert manifest.counts["indexed"] == 9
    assert verify(tmp_path / "kept") == []
    # A build of both gives the same, and one that is told nothing drops them.
    both = build_store(tmp_path / "both", first, second, duplicate_text="keep", split_bytes=2000)
    assert both.counts["indexed"] == 9
    assert build_store(tmp_path / "dropped", first).counts["removed.duplicate_text"] == 2
    with pytest.raises(RalmError, match="cannot stand beside near_duplicates"):
        checked_config({"sources": [{"path": "a"}], "duplicate_text": "keep", "near_duplicates": {}})
