from pathlib import Path
from typing import get_args

import pytest

from pipelines.config import Format, SourceConfig, load_config
from pipelines.readers.bytes.endings import compression
from pipelines.readers.formats import EXTENSIONS, ending, format_of


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
        ("table.csv", "csv"),
        ("table.TSV.gz", "csv"),
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
    for one in get_args(Format):
        assert load_config(None, sources=(SourceConfig(path="a", reader=one),)).sources[0].reader == one


def test_the_docs_name_every_ending_and_every_ending_has_a_format():
    page = (Path(__file__).parents[3] / "docs/building.md").read_text()
    table = page.partition("| format | names |")[2].partition("\n\n")[0]
    assert {name for name in EXTENSIONS if f"`{name}`" not in table} == set()
    compressions = {name for name in EXTENSIONS if format_of(f"a{name}") is None}
    assert compressions == {".gz", ".zst", ".bz2", ".xz"}
    assert {format_of(f"a{name}") for name in EXTENSIONS - compressions} == set(get_args(Format))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.PNG", ".png"),
        ("a/b.txt.gz", ".txt.gz"),
        ("a.b/README", ""),
        ("a.gz", ".gz"),
        ("Dr. No", ""),
        ("a.\x1b[31m", ""),
        ("a.\x1b[31m.gz", ".gz"),
    ],
)
def test_an_ending_is_what_may_tell_a_format(name, found):
    assert ending(name) == found
