import pytest

from pipelines.config import SourceConfig, load_config
from pipelines.readers.formats import compression, format_of


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
    ("name", "expected"),
    [
        ("CC-MAIN-20240220211055-00000.warc.gz", "warc"),
        ("CC-MAIN-20240220211055-00000.warc.wet.gz", "warc"),
        ("enwiki-20240301-pages-articles-multistream1.xml-p1p41242.bz2", None),
        ("enwiki-latest-pages-articles.xml.bz2", "mediawiki"),
        ("c4-train.00000-of-01024.json.gz", "jsonl"),
        ("part.jsonl.xz", "jsonl"),
        ("train-00000.parquet", "parquet"),
        ("notes.txt.gz", None),
        ("table.parquet.gz", None),
        ("a.gz", None),
        ("README", None),
    ],
)
def test_the_format_is_told_by_the_name(name, expected):
    assert format_of(name) == expected


def test_a_source_may_force_a_format_on_files_that_can_be_read_so():
    assert format_of("enwiki.xml-p1p41242.bz2", "mediawiki") == "mediawiki"
    assert format_of("records.data", "jsonl") == "jsonl"
    assert format_of("README", "text") == "text"
    assert format_of("page.gz", "html") is None


def test_every_format_may_be_forced_in_a_configuration():
    for one in ("jsonl", "parquet", "text", "html", "warc", "mediawiki"):
        assert load_config(None, sources=(SourceConfig(path="a", reader=one),)).sources[0].reader == one
