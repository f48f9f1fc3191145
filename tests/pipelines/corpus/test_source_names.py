"""What sources are called: told apart in their job and from those that the store has."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import RalmError
from datastore.generations.manifest import SourceEntry
from datastore.store import Datastore
from datastore.verify import verify
from pipelines.corpus.source_names import named, short, source_names
from tests.conftest import add_to, build_store
from tests.corpus import write_lines

STEMS = ("wiki", "dump#1", "dump#2", "dump", "a.jsonl#2", "wiki#2#2", "root", "x")
ENDS = ("", ".jsonl", ".parquet", ".json.gz", ".jsonl.zst", ".txt", "#2", ".xml.bz2")
FOLDERS = ("/", "/a/", "/b/", "/a/b/", "/wiki/", "s3://bucket/", "s3://a/b/", "hf://", "hf://a/", "hf://b/")
PATHS = st.builds("{}{}{}".format, st.sampled_from(FOLDERS), st.sampled_from(STEMS), st.sampled_from(ENDS))


def distinct(paths):
    """A list of sources of a job: none is given twice."""
    return st.lists(paths, max_size=8, unique=True)


def domains_of(*paths, before=()):
    return [one.domain for one in named(paths, [None] * len(paths), before)]


def test_a_source_is_called_by_the_end_of_its_path():
    assert source_names(["/x/2023/data.jsonl", "/x/2024/data.jsonl"]) == [
        "2023/data.jsonl",
        "2024/data.jsonl",
    ]
    assert source_names(["/x/a.jsonl"]) == ["a.jsonl"]
    assert source_names(["hf://o/n", "/x/n"]) == ["o/n", "n"]
    with pytest.raises(RalmError, match="given twice"):
        source_names(["/x/a", "/x/../x/a"])


def test_what_is_called_alike_from_end_to_end_is_told_apart():
    assert source_names(["hf://o/n", "/o/n", "/x/n"]) == ["hf://o/n", "o/n", "x/n"]
    assert source_names(["/", "/root"]) == ["/", "root"]


def test_the_default_domain_is_the_name_without_extensions():
    assert short("wiki.jsonl.zst") == "wiki"
    # What tells two sources apart tells their domains apart, or all of one would be duplicates.
    assert short("2023/wiki.jsonl.zst") == "2023/wiki"
    assert short("wiki.en.jsonl") == "wiki.en"
    assert short("o/wiki?config=20231101.de") == "o/wiki?config=20231101.de"
    assert domains_of("/x/wiki.jsonl", "/x/books") == ["wiki", "books"]


def test_sources_of_one_short_name_keep_more_of_it():
    assert domains_of("/x/wiki.jsonl", "/x/wiki.parquet") == ["wiki.jsonl", "wiki.parquet"]
    assert domains_of("/x/t.jsonl", "/x/t.json.gz", "/x/u.txt") == ["t.jsonl", "t.json.gz", "u"]
    assert domains_of("/x/dump#1", "/x/dump#2") == ["dump#1", "dump#2"]
    assert domains_of("/x/wiki", "/x/wiki.jsonl") == ["wiki", "wiki.jsonl"]
    assert domains_of("s3://bucket/wiki.jsonl", "/x/wiki.json") == ["wiki.jsonl", "wiki.json"]
    # A domain that is given is nobody's by default.
    given_one = named(["/x/a.jsonl", "/x/wiki.jsonl"], ["wiki", None])
    assert [one.domain for one in given_one] == ["wiki", "wiki.jsonl"]


def test_what_a_name_tells_is_not_written_beside_it():
    (one,) = named(["/x/wiki.jsonl"], [None])
    assert one.entry(None, 7).model_dump() == {"name": "wiki.jsonl", "domain": None, "bytes": 7}


@given(distinct(PATHS), st.randoms())
def test_two_sources_never_share_a_name_or_a_default_domain(paths, random):
    found = named(paths, [None] * len(paths))
    assert len({one.name for one in found}) == len({one.domain for one in found}) == len(paths)
    # Their order decides nothing, and what is alone keeps its short name.
    turned = random.sample(range(len(paths)), len(paths))
    again = named([paths[n] for n in turned], [None] * len(paths))
    assert [one.domain for one in again] == [found[n].domain for n in turned]
    shorts = [short(one.called) for one in found]
    for one, stem in zip(found, shorts, strict=True):
        assert one.domain == stem or stem in [other.domain for other in found] or shorts.count(stem) > 1


@given(st.lists(distinct(PATHS), min_size=2, max_size=4))
def test_what_is_added_shares_a_domain_with_its_own_name_alone(jobs):
    entries: list[SourceEntry] = []
    called: dict[str, set[str]] = {}
    for paths in jobs:
        found = named(paths, [None] * len(paths), entries)
        assert not {one.name for one in found} & {entry.name for entry in entries}
        for one in found:
            called.setdefault(one.domain, set()).add(one.called)
        # As it is read back from a manifest.
        entries += [SourceEntry.model_validate(one.entry(None, 0).model_dump()) for one in found]
    assert all(len(names) == 1 for names in called.values())


@given(distinct(PATHS), distinct(PATHS), st.data())
def test_a_given_domain_is_shared_by_those_alone_that_it_is_given_to(before, paths, data):
    domain = st.sampled_from([None, "wiki", "dump#1", "x", "wiki.jsonl"])
    some = data.draw(st.lists(domain, min_size=len(before), max_size=len(before)))
    more = data.draw(st.lists(domain, min_size=len(paths), max_size=len(paths)))
    first = named(before, some)
    entries = [one.entry(given_one, 0) for one, given_one in zip(first, some, strict=True)]
    for one, given_one in zip(named(paths, more, entries), more, strict=True):
        others = [
            (entry.called or entry.name, entry.domain) for entry in entries if entry.domain == one.domain
        ]
        if given_one is None:
            assert {name for name, _ in others} <= {one.called}
        else:
            assert one.domain == given_one


def numbered(path, *texts):
    return write_lines(path, [{"id": n, "text": text} for n, text in enumerate(texts, 1)])


def test_the_same_ids_in_two_files_of_one_stem_are_two_documents(tmp_path):
    first = numbered(
        tmp_path / "wiki.jsonl", "the old stone bridge over the river", "a house by the lake of Ansel"
    )
    second = numbered(tmp_path / "wiki.json", "quite another text about glass")
    third = numbered(tmp_path / "else" / "wiki.ndjson", "a third text, of the mayor and his dog")
    manifest = build_store(tmp_path / "s", first, second)
    assert manifest.domains == {"wiki.jsonl": 2, "wiki.json": 1}
    manifest, counts = add_to(tmp_path / "s", third)
    assert counts.get("removed.duplicate_id") is None
    assert manifest.domains == {"wiki.jsonl": 2, "wiki.json": 1, "wiki": 1}
    # The same file once more is the same source.
    manifest, counts = add_to(tmp_path / "s", second)
    assert (counts["removed.duplicate_id"], counts["passages"]) == (1, 0)
    assert {p.domain for p in Datastore.open(tmp_path / "s")} == set(manifest.domains)
    assert verify(tmp_path / "s") == []


def test_folders_called_like_additions_are_two_sources(tmp_path):
    for number in (1, 2):
        numbered(tmp_path / f"dump#{number}" / "all.jsonl", f"the text of the dump number {number}")
    manifest = build_store(tmp_path / "s", tmp_path / "dump#1", tmp_path / "dump#2")
    assert manifest.domains == {"dump#1": 1, "dump#2": 1}
    # Elsewhere the same bytes.
    (tmp_path / "moved").mkdir()
    for number in (1, 2):
        (tmp_path / f"dump#{number}").rename(tmp_path / "moved" / f"dump#{number}")
    moved = build_store(tmp_path / "t", tmp_path / "moved" / "dump#1", tmp_path / "moved" / "dump#2")
    assert moved.hash == manifest.hash


def test_one_domain_given_to_two_sources_makes_one_id_one_document_and_says_so(tmp_path, ralm):
    numbered(tmp_path / "a.jsonl", "the old stone bridge over the river")
    numbered(tmp_path / "b.jsonl", "quite another text about glass")
    code, out, _ = ralm(
        "build", tmp_path / "a.jsonl", tmp_path / "b.jsonl", "--domain", "d", "-o", tmp_path / "s",
        "--executor", "local",
    )  # fmt: skip
    assert code == 0
    assert f"came before: 1 document ({tmp_path / 's'}/removed/duplicate_id/ lists them)." in out
    assert any((tmp_path / "s/removed/duplicate_id").iterdir())


def test_a_folder_is_one_source_and_equal_ids_of_its_files_are_said(tmp_path, ralm):
    numbered(tmp_path / "f" / "wiki.jsonl", "the old stone bridge over the river")
    rows = [{"id": "1", "text": "quite another text about glass"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "f" / "wiki.parquet")
    code, out, _ = ralm("build", tmp_path / "f", "-o", tmp_path / "s", "--executor", "local")
    assert code == 0
    said = " ".join(out.split())
    assert "Left out for a domain and id that came before: 1 document " in said
    assert "name their files as sources, each with a domain of its own" in said
    manifest = build_store(tmp_path / "t", tmp_path / "f" / "wiki.jsonl", tmp_path / "f" / "wiki.parquet")
    assert manifest.domains == {"wiki.jsonl": 1, "wiki.parquet": 1}
