import pytest

from pipelines.readers.bytes.endings import compression, suffixes_of


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.jsonl.gz", "gzip"),
        ("a.JSONL.ZST", "zstd"),
        ("a.jsonl.bz2", "bzip2"),
        ("a.json.xz", "xz"),
        ("a.jsonl", None),
    ],
)
def test_compression_is_told_by_the_name(name, codec):
    assert compression(name) == codec


@pytest.mark.parametrize(
    ("path", "suffixes"),
    [
        ("folder.d/a.JSONL.GZ", [".jsonl", ".gz"]),
        ("s3://bucket/a.jsonl?endpoint_override=minio.example:9000", [".jsonl"]),
        ("README", []),
    ],
)
def test_endings_are_those_of_the_last_part(path, suffixes):
    assert suffixes_of(path) == suffixes
