from pathlib import Path
from pkgutil import resolve_name

import pytest

from base.errors import RalmError
from pipelines.config import SourceConfig, load_config
from pipelines.readers.formats import (
    EXTENSIONS,
    FILE_FORMATS,
    FORMATS,
    READABLE,
    ending,
    format_of,
    only_unpacked,
)


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
        ("notes.txt.gz", "text"),
        ("README.md.ZST", "text"),
        ("page.html.xz", "html"),
        ("table.parquet.gz", None),
        ("a.gz", None),
        ("README", None),
    ],
)
def test_the_format_is_told_by_the_name(name, expected):
    found = format_of(name)
    assert (found and found.name) == expected


def test_a_source_may_force_a_format_on_files_that_can_be_read_so():
    assert format_of("enwiki.xml-p1p41242.bz2", "mediawiki") == FORMATS["mediawiki"]
    assert format_of("records.data", "jsonl") == FORMATS["jsonl"]
    assert format_of("README", "text") == FORMATS["text"]
    assert format_of("page.gz", "html") == FORMATS["html"]
    assert format_of("paper.gz", "pdf") is None


@pytest.mark.parametrize(
    ("name", "forced", "unpacked"),
    [("a.pdf.gz", None, True), ("a.gz", "docx", True), ("a.txt.gz", None, False), ("a.xyz.gz", None, False)],
)
def test_what_would_be_read_unpacked_is_told(name, forced, unpacked):
    assert only_unpacked(name, forced) == unpacked


def test_every_format_may_be_forced_in_a_configuration():
    for one in FILE_FORMATS:
        assert load_config(None, sources=(SourceConfig(path="a", reader=one),)).sources[0].reader == one


@pytest.mark.parametrize(
    ("name", "ends"), [("json", "'json'; did you mean jsonl?"), ("hf", "'hf'."), (3, "3.")]
)
def test_another_format_is_answered_with_those_that_there_are(name, ends):
    with pytest.raises(RalmError) as refused:
        load_config(None, sources=({"path": "a", "reader": name},))
    there = ", ".join(f"'{one}'" for one in FILE_FORMATS[:-1])
    assert str(refused.value) == f"sources.0.reader must be {there} or '{FILE_FORMATS[-1]}', not {ends}"


@pytest.mark.parametrize("name", FORMATS)
def test_every_function_that_a_format_names_is_there(name):
    one = FORMATS[name]
    for function in filter(None, (one.read, one.cut, one.require, one.unless)):
        assert callable(resolve_name(f"pipelines.readers.{function}"))
    assert bool(one.unless) == (one.instead in FORMATS)
    assert bool(one.endings) == bool(one.words)
    assert not (one.cut and one.ranges_in)
    assert one.compressible or not set(one.ranges_in) - {None}


def test_what_is_readable_is_said_in_words_those_that_may_be_compressed_first():
    packed, alone = READABLE.split(", each plain, .gz, .zst, .bz2 or .xz; ")
    for listed, compressible in ((packed, True), (alone, False)):
        words = [word for one in FORMATS.values() if one.compressible == compressible for word in one.words]
        assert listed.replace(" and ", ", ").split(", ") == words
    assert READABLE.startswith("JSONL, CSV, TSV, ")


def test_the_docs_name_every_ending_and_every_ending_has_a_format():
    page = (Path(__file__).parents[3] / "docs/building.md").read_text()
    table = page.partition("| format | names |")[2].partition("\n\n")[0]
    assert {name for name in EXTENSIONS if f"`{name}`" not in table} == set()
    compressions = {name for name in EXTENSIONS if format_of(f"a{name}") is None}
    assert compressions == {".gz", ".zst", ".bz2", ".xz"}
    assert {format_of(f"a{name}").name for name in EXTENSIONS - compressions} == set(FILE_FORMATS)


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
