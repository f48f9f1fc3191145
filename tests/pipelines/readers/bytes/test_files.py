import bz2
import gzip
import json
import lzma
import random
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from base.errors import RalmError
from pipelines.config import BuildConfig, SourceConfig
from pipelines.corpus.sources import resolve
from pipelines.jobs.estimate import estimate
from pipelines.readers.bytes import files
from pipelines.readers.bytes.lines import count_newlines
from pipelines.readers.records import Intake, Unreadable
from tests.conftest import build_store, tree
from tests.corpus import documents
from tests.pipelines.readers.reading import END, HEAD, page, record


def corpus_of(*paths, **options):
    listed = tuple(SourceConfig(path=str(path)) for path in paths)
    return resolve(BuildConfig.model_validate({"sources": listed} | options))


def records_of(corpus):
    """Every record of a corpus' splits, numbered as a build numbers them."""
    found = []
    for split in corpus.splits:
        for g in split.segments:
            intake = Intake(SourceConfig(path=g.path), corpus.domains[split.source], 1 << 20)
            first = count_newlines(g.path, 0, g.begin) if g.kind == "jsonl" else g.first_record
            found += list(replace(g, first_record=first).records(intake))
    return found


ARCHIVE = [
    record("warcinfo", b"software: x", 0, "application/warc-fields"),
    *(record(body=f"text {n} of an archive about the towns".encode(), number=n) for n in range(1, 5)),
]
# Of streams of several pages each, as Wikipedia's are.
DUMP = [HEAD, *(b"".join(page(10 * g + n, f"Article {n} " * 40) for n in range(4)) for g in range(6)), END]


def damaged(frame):
    """A compressed frame with other bytes in its middle."""
    half = len(frame) // 2
    return frame[:half] + bytes(255 - one for one in frame[half : half + 4]) + frame[half + 4 :]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A corpus of every kind, with names that sort and spell awkwardly."""
    root = tmp_path_factory.mktemp("objects") / "corpus"
    (root / "a").mkdir(parents=True)
    (root / ".git").mkdir()
    lines = b"".join(json.dumps(one).encode() + b"\n" for one in documents())
    (root / "towns.jsonl").write_bytes(lines)
    (root / "a" / "more 100%?.jsonl.gz").write_bytes(
        gzip.compress(b'{"text": "compressed by gzip, one"}\n' * 3)
    )
    (root / "a" / "café#1.jsonl.zst").write_bytes(
        pa.compress(b'{"text": "compressed by zstd, one"}\n', "zstd", asbytes=True)
    )
    (root / "a.md").write_text("A note about the towns, long enough to be kept.")
    (root / "a-b.html").write_text(
        "<html><body><p>A page about towns, long enough to be kept.</p></body></html>"
    )
    table = pa.table({"text": [f"row {n} of a table about the towns" for n in range(40)]})
    pq.write_table(table, root / "a" / "rows.parquet", row_group_size=10)
    (root / "a" / "crawl.warc.gz").write_bytes(b"".join(map(gzip.compress, ARCHIVE)))
    members = [gzip.compress(one) for one in ARCHIVE]
    (root / "a" / "damaged.warc.gz").write_bytes(b"".join([*members[:2], damaged(members[2]), *members[3:]]))
    (root / "a" / "plain.warc").write_bytes(b"".join(ARCHIVE))
    (root / "a" / "lines.jsonl.xz").write_bytes(lzma.compress(b'{"text": "compressed by xz, one"}\n' * 3))
    (root / "wiki.xml").write_bytes(b"".join(DUMP))
    streams = [bz2.compress(one) for one in DUMP]
    (root / "wiki-damaged.xml.bz2").write_bytes(b"".join([*streams[:3], damaged(streams[3]), *streams[4:]]))
    (root / "wiki-pages.xml.bz2").write_bytes(b"".join(streams))
    (root / ".git" / "x.txt").write_text("hidden")
    (root / "picture.png").write_bytes(b"x")
    return root


@pytest.fixture(scope="module")
def prefix(objects, folder):
    """The same corpus in a bucket."""
    bucket = objects.bucket()
    objects.put_folder(bucket, "deep/corpus", folder)
    objects.put(bucket, "deep/corpus/empty/", b"")
    return f"s3://{bucket}/deep/corpus"


def test_a_prefix_is_cut_named_and_fingerprinted_as_the_folder_that_it_holds(folder, prefix):
    options = {"split_bytes": 1000}
    mine, theirs = corpus_of(folder, **options), corpus_of(prefix, **options)
    assert mine.fingerprint() == theirs.fingerprint()
    assert mine.sources == theirs.sources
    assert mine.ignored == theirs.ignored == ("corpus/picture.png",)
    assert [s.bytes for s in mine.splits] == [s.bytes for s in theirs.splits]


def test_the_records_are_those_of_local_files(folder, prefix):
    mine = records_of(corpus_of(folder, split_bytes=1000))
    # Of the damaged ones a record is lost and a stream of four pages, and each says so.
    assert len(mine) == 40 + 3 + 1 + 1 + 1 + 40 + 3 + 3 * 5 + 2 * 24 + 20 + 1
    assert sum(isinstance(one, Unreadable) for one in mine) == 2
    assert records_of(corpus_of(prefix + "/", split_bytes=1000)) == mine


def test_damage_is_read_again_byte_by_byte_but_not_by_requests_for_a_byte(monkeypatch, prefix):
    asked = []
    read = files._Object.readinto
    monkeypatch.setattr(files._Object, "readinto", lambda *args: asked.append(1) or read(*args))
    for path in (f"{prefix}/a/damaged.warc.gz", f"{prefix}/wiki-damaged.xml.bz2"):
        assert any(isinstance(one, Unreadable) for one in records_of(corpus_of(path)))
    assert len(asked) < 30


def test_a_build_from_a_bucket_gives_the_bytes_of_one_from_a_disk(tmp_path, folder, prefix):
    build_store(tmp_path / "disk", folder, split_bytes=4096, limit=12)
    build_store(tmp_path / "bucket", prefix, split_bytes=4096, limit=12)
    assert tree(tmp_path / "bucket") == tree(tmp_path / "disk")


def test_a_build_from_a_bucket_can_be_foreseen(prefix):
    config = BuildConfig(sources=(SourceConfig(path=prefix),))
    assert estimate(config, 1).corpus.documents > 86


def test_one_object_is_a_source(prefix):
    corpus = corpus_of(f"{prefix}/towns.jsonl", split_bytes=1000)
    assert corpus.sources[0].name == "towns.jsonl"
    assert len(corpus.splits) > 2


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.lists(
        st.sampled_from([b"\n", b'{"text": "one"}', b'{"text": "\xc3\xa9"}', b"x", b"\r\n"]), max_size=9
    ),
    split=st.integers(1, 32),
)
def test_any_ranges_of_an_object_give_the_records_of_the_whole(objects, range_bucket, data, split):
    """Law 4, through requests for ranges."""
    objects.put(range_bucket, "a.jsonl", b"\n".join(data))
    path = f"s3://{range_bucket}/a.jsonl"
    assert records_of(corpus_of(path, split_bytes=split)) == records_of(corpus_of(path))


@pytest.fixture(scope="module")
def range_bucket(objects):
    return objects.bucket()


def test_an_edit_that_keeps_the_size_changes_the_fingerprint(objects):
    bucket = objects.bucket()
    objects.put(bucket, "a.jsonl", b'{"text": "one"}\n')
    before = corpus_of(f"s3://{bucket}/a.jsonl").fingerprint()
    objects.put(bucket, "a.jsonl", b'{"text": "two"}\n')
    assert corpus_of(f"s3://{bucket}/a.jsonl").fingerprint() != before


def test_the_server_may_be_named_by_the_address_and_enters_no_name(monkeypatch, objects, prefix):
    before = corpus_of(prefix)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    named = f"{prefix}?endpoint_override=127.0.0.1:{objects.port}&scheme=http"
    corpus = corpus_of(named)
    assert corpus.fingerprint() == before.fingerprint()
    assert corpus.sources == before.sources
    assert records_of(corpus) == records_of(before)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("s3://", "names no bucket: write s3://BUCKET/PREFIX"),
        ("s3://key:secret@bucket/x", "may not hold a secret: leave out what is before the @"),
        ("s3://bucket/x?colour=red", "cannot be read .*colour"),
    ],
)
def test_an_address_that_is_none_is_a_sentence(objects, path, sentence):
    with pytest.raises(RalmError, match=sentence) as error:
        corpus_of(path)
    assert "secret@" not in str(error.value)


def test_what_is_not_there_is_a_sentence(objects):
    bucket = objects.bucket()
    for path in (
        f"s3://{bucket}/none",
        f"s3://{bucket}/none.jsonl",
        "s3://no-such-bucket/x",
        "s3://no-such-bucket",
    ):
        with pytest.raises(RalmError, match=r"no file that ralm reads|check the bucket"):
            corpus_of(path)
    objects.put(bucket, "a.xyz", b"x")
    with pytest.raises(RalmError, match=r"a\.xyz is of a kind ralm does not read"):
        corpus_of(f"s3://{bucket}/a.xyz")


@pytest.fixture
def far(monkeypatch, objects, proxy):
    """Puts an object where it is read through the proxy, without trying again for seconds: its path."""
    import pyarrow.fs

    once = pyarrow.fs.AwsStandardS3RetryStrategy(max_attempts=1)
    server = f"http://127.0.0.1:{proxy.port}"
    filesystem = pyarrow.fs.S3FileSystem(endpoint_override=server, retry_strategy=once)
    monkeypatch.setattr(files, "_filesystem", lambda uri: filesystem)
    bucket = objects.bucket()

    def put(key, data):
        objects.put(bucket, key, data)
        return f"s3://{bucket}/{key}"

    return put


LINES = b"".join(json.dumps({"text": f"{n} and so on, " * 100}).encode() + b"\n" for n in range(500))


def rows():
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"text": [f"{n} {n * 7919 % 10007} " * 50 for n in range(2000)]}), sink)
    return sink.getvalue().to_pybytes()


def noise(size):
    """Text that does not compress to much less."""
    return random.Random(size).randbytes(size).hex()


MEMBERS = [gzip.compress(record(body=noise(2000).encode(), number=n)) for n in range(100)]
STREAMS = [bz2.compress(one) for one in (HEAD, *(page(n, noise(2000)) for n in range(100)), END)]
CONTENTS = {
    "a.jsonl": LINES,
    "a.jsonl.gz": gzip.compress(LINES, 0),
    "a.jsonl.xz": lzma.compress(LINES + json.dumps({"text": noise(100_000)}).encode()),
    "a.parquet": rows(),
    "a.txt": LINES,
    "a.warc": b"".join(map(gzip.decompress, MEMBERS)),
    "a.warc.gz": b"".join(MEMBERS),
    "a.xml": b"".join(map(bz2.decompress, STREAMS)),
    "a.xml.bz2": b"".join(STREAMS),
}
RECORDS = {"a.parquet": 2000, "a.txt": 1, "a.jsonl.xz": 501, "a.warc": 100, "a.warc.gz": 100}
RECORDS |= {"a.xml": 100, "a.xml.bz2": 100}


@pytest.mark.parametrize("key", CONTENTS)
def test_a_connection_that_breaks_stops_the_task_and_is_no_damage(far, proxy, key):
    corpus = corpus_of(far(key, CONTENTS[key]))
    (segment,) = corpus.splits[0].segments
    proxy.down = len(CONTENTS[key]) // 2
    for read in (lambda: records_of(corpus), lambda: count_newlines(segment.path, 0, 10**9)):
        with pytest.raises(RalmError, match=f"{key} cannot be read .*run the same command again"):
            read()
    assert proxy.cuts
    proxy.down = None
    assert len(records_of(corpus)) == RECORDS.get(key, 500)


@pytest.mark.parametrize("key", ["a.jsonl.gz", "a.jsonl.xz", "a.warc.gz", "a.xml.bz2"])
def test_a_damaged_object_is_read_as_the_file_is(far, tmp_path, key):
    data = bytearray(CONTENTS[key])
    data[len(data) // 2] ^= 1
    path, file = far(key, bytes(data)), tmp_path / key
    file.write_bytes(data)
    found = []
    for one in (path, str(file)):
        (segment,) = corpus_of(one).splits[0].segments
        intake = Intake(SourceConfig(path=one), "a", 1 << 26)
        found.append((list(segment.records(intake)), intake.doubtful))
    assert found[0] == found[1]
    assert found[0][1] or any(isinstance(one, Unreadable) for one in found[0][0])


def test_a_server_that_is_not_there_is_a_sentence(far, proxy):
    path = far("a.jsonl", LINES)
    proxy.close()
    with pytest.raises(RalmError, match=r"check the bucket, the credentials .* and the network"):
        corpus_of(path)


def test_a_build_whose_source_breaks_off_marks_nothing_and_goes_on(tmp_path, far, proxy):
    path = far("towns.jsonl", LINES)
    (tmp_path / "towns.jsonl").write_bytes(LINES)
    whole = build_store(tmp_path / "whole", tmp_path / "towns.jsonl", limit=3)
    proxy.down = len(LINES) // 2  # More than the settings are made of: it breaks off in the first task.
    with pytest.raises(RalmError, match=r"towns\.jsonl.* cannot be read"):
        build_store(tmp_path / "store", path, limit=3)
    assert (tmp_path / "store" / "stages" / "build.json").exists()
    assert not list((tmp_path / "store" / "stages").glob("*/*.json"))
    proxy.down = None
    assert build_store(tmp_path / "store", path, limit=3).hash == whole.hash


def test_an_object_that_was_replaced_by_a_shorter_one_is_no_end_of_the_file(objects):
    bucket = objects.bucket()
    objects.put(bucket, "a.jsonl", b"x" * 1000)
    opened = files.open_short(f"s3://{bucket}/a.jsonl")
    objects.put(bucket, "a.jsonl", b"x" * 10)
    with pytest.raises(RalmError, match=r"a\.jsonl cannot be read .*shorter"):
        opened.read()


@given(st.binary(max_size=20).map(lambda data: data + bytes(files._UNLIKELY)))
@settings(max_examples=5, deadline=None)
def test_bytes_that_no_text_ends_with_are_read_too(objects, range_bucket, data):
    objects.put(range_bucket, "x", data)
    with files.open_short(f"s3://{range_bucket}/x") as opened:
        assert [opened.read(1) for _ in data] == [bytes([one]) for one in data]
        assert opened.read() == b""
        opened.seek(0)
        assert opened.read() == data
