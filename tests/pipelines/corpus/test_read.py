import gzip

import numpy as np
import orjson

from datastore.files.layout import Layout
from datastore.schema import identity_hash, text_hash
from pipelines.config import BuildConfig, SourceConfig
from pipelines.corpus.documents import load_hashes, read_documents
from pipelines.corpus.read import ReadStage, ScanStage, number_records
from pipelines.corpus.sources import resolve
from pipelines.execution.executor import LocalExecutor
from pipelines.execution.job import Job
from pipelines.execution.progress import Silent
from pipelines.execution.stage import perform
from tests.corpus import documents, write_lines


def stage_over(tmp_path, records, **settings):
    path = write_lines(tmp_path / "a.jsonl", records)
    config = BuildConfig.model_validate({"sources": (SourceConfig(path=str(path)),)} | settings)
    return ReadStage(Layout(tmp_path / "store"), config, resolve(config))


def test_documents_and_hashes_of_a_split_stand_side_by_side(tmp_path):
    stage = stage_over(tmp_path, documents())
    marker = stage.run(0)
    found = list(read_documents(stage.layout, 0))
    assert [d.id for d in found] == [d["id"] for d in documents()]
    assert load_hashes(stage.layout, 0).tolist() == [
        [*identity_hash(d.domain, d.id), *text_hash(d.text)] for d in found
    ]
    assert marker.counts == {
        "records": 40,
        "documents": 40,
        "kept": 40,
        "blank": 0,
        "unreadable": 0,
        "dropped_lines": 0,
    }


def test_what_is_not_kept_is_counted_under_its_name(tmp_path):
    stage = stage_over(tmp_path, [{"text": "short"}, {"no": 1}, {"text": "long enough to be kept"}])
    counts = stage.run(0).counts
    assert counts == {
        "records": 3,
        "blank": 0,
        "unreadable": 1,
        "documents": 2,
        "kept": 1,
        "dropped_lines": 0,
        "removed.length": 1,
    }


def test_records_that_are_no_documents_are_counted_by_kind(tmp_path):
    """Law 4: whatever an archive holds, the counts add up."""
    head = "WARC/1.0\r\nWARC-Type: {}\r\nContent-Type: text/plain\r\nContent-Length: 25\r\n\r\n{}\r\n\r\n"
    records = [
        ("warcinfo", "x" * 25),
        ("conversion", "a text that is long enough"[:25]),
        ("request", "x" * 25),
    ]
    records += [("request", "x" * 25), ("conversion", "x" * 10), ("conversion", "another text that is long")]
    path = tmp_path / "a.wet.gz"
    path.write_bytes(b"".join(gzip.compress(head.format(*one).encode()) for one in records))
    config = BuildConfig(sources=(SourceConfig(path=str(path)),))
    counts = ReadStage(Layout(tmp_path / "store"), config, resolve(config)).run(0).counts
    assert counts == {
        "records": 6,
        "blank": 0,
        "unreadable": 1,
        "documents": 2,
        "kept": 2,
        "dropped_lines": 0,
        "skipped.warcinfo": 1,
        "skipped.request": 2,
    }


def test_a_sources_share_of_documents_is_kept_and_the_rest_counted(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", documents())
    config = BuildConfig(sources=(SourceConfig(path=str(path), share=0.5, licence="CC0"),))
    stage = ReadStage(Layout(tmp_path / "store"), config, resolve(config))
    counts = stage.run(0).counts
    assert counts["documents"] == 40 == counts["kept"] + counts["removed.sampled_out"]
    assert 8 < counts["kept"] < 32
    found = list(read_documents(stage.layout, 0))
    assert {d.metadata["licence"] for d in found} == {"CC0"}


def test_records_are_numbered_through_a_cut_file(tmp_path):
    records = [{"text": f"document number {n} of many"} for n in range(200)]
    stage = stage_over(tmp_path, records, split_bytes=500)
    scan = ScanStage(stage.layout, tuple(s for s in stage.corpus.splits if s.partial))
    scanned = Job(stage.layout, LocalExecutor(), Silent()).perform(scan)
    corpus = number_records(stage.corpus, scanned)
    numbered = ReadStage(stage.layout, stage.config, corpus)
    ids = []
    for number in range(len(corpus.splits)):
        perform(numbered, number)
        ids += [d.id for d in read_documents(stage.layout, number)]
    assert len(corpus.splits) > 10
    assert ids == [f"a.jsonl:{n + 1}" for n in range(200)]


def test_a_limit_takes_the_first_documents_over_all_splits(tmp_path):
    records = [{"text": f"document number {n} of many"} for n in range(100)]
    stage = stage_over(tmp_path, records, split_bytes=500, limit=42)
    for number in range(len(stage.corpus.splits)):
        perform(stage, number)
    counts = [stage.layout.done("read", n).counts for n in range(len(stage.corpus.splits))]
    assert sum(c["documents"] for c in counts) == 42
    assert counts[-1]["records"] == 0


def test_an_empty_split_is_an_empty_file(tmp_path):
    stage = stage_over(tmp_path, [])
    stage.run(0)
    assert list(read_documents(stage.layout, 0)) == []
    assert load_hashes(stage.layout, 0).shape == (0, 4)
    assert load_hashes(stage.layout, 0).dtype == np.uint64


def test_documents_of_damaged_data_are_kept_counted_and_listed(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    lines = [orjson.dumps(one) + b"\n" for one in documents()]
    members = [bytearray(gzip.compress(b"".join(lines[n : n + 10]))) for n in range(0, 40, 10)]
    members[2][-6] ^= 1
    path.write_bytes(b"".join(members))
    config = BuildConfig(sources=(SourceConfig(path=str(path)),))
    stage = ReadStage(Layout(tmp_path / "store"), config, resolve(config))
    marker = stage.run(0)
    assert marker.counts["documents"] == marker.counts["kept"] == 40
    assert marker.counts["doubtful"] == 10
    assert not any(name.startswith("removed.") for name in marker.counts)
    (line,) = (stage.layout.root / "removed/doubtful/00000.jsonl").read_bytes().splitlines()
    found = orjson.loads(line)
    assert "checksum is wrong" in found.pop("reason")
    assert found == {"file": "a.jsonl.gz", "first": 21, "last": 30, "documents": 10}
