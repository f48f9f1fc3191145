import shutil
from types import SimpleNamespace

import datasets
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.store import Datastore
from pipelines.config import BuildConfig, SourceConfig
from pipelines.corpus.sources import _pack, begun_at, resolve
from pipelines.execution.executor import LocalExecutor
from pipelines.execution.progress import Silent
from pipelines.jobs.add import Addition
from pipelines.jobs.build import Build
from pipelines.readers.bytes.endings import compression
from pipelines.readers.segment import Segment
from tests.conftest import build_store, tree
from tests.corpus import documents, write_lines
from tests.faults import Fault


def corpus_of(*paths, **settings):
    listed = tuple(SourceConfig(path=str(path)) for path in paths)
    return resolve(BuildConfig.model_validate({"sources": listed} | settings))


def test_a_folder_is_walked_in_one_order_and_the_unknown_is_listed(tmp_path):
    for name in ("b/2.md", "a/1.txt", "a/x.jsonl.gz", "c.html", "pic.png", ".hidden.txt", ".git/x.txt"):
        (tmp_path / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "docs" / name).write_text("text")
    corpus = corpus_of(tmp_path / "docs")
    names = [g.name for s in corpus.splits for g in s.segments]
    assert names == ["docs/c.html", "docs/a/1.txt", "docs/a/x.jsonl.gz", "docs/b/2.md"]
    assert corpus.ignored == ("docs/pic.png",)
    assert corpus.sources[0].name == "docs"


def test_links_to_folders_are_not_followed_so_loops_end(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("text")
    (tmp_path / "docs" / "loop").symlink_to(tmp_path / "docs")
    (tmp_path / "docs" / "nowhere.txt").symlink_to(tmp_path / "gone")
    assert [g.name for s in corpus_of(tmp_path / "docs").splits for g in s.segments] == ["docs/a.txt"]


def test_a_link_is_of_the_kind_that_its_own_name_says(tmp_path):
    """As hub caches lay files out: the name is the link's, the file is called by its hash."""
    (tmp_path / "blobs").mkdir()
    (tmp_path / "docs").mkdir()
    (tmp_path / "blobs" / "0123").write_bytes(b"x")
    (tmp_path / "docs" / "a.jsonl.gz").symlink_to(tmp_path / "blobs" / "0123")
    (segment,) = corpus_of(tmp_path / "docs").splits[0].segments
    assert (segment.kind, compression(segment.path)) == ("jsonl", "gzip")


def test_a_large_file_is_cut_into_ranges_that_touch(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"x" * 2500)
    ranges = [
        (g.begin, g.end) for s in corpus_of(tmp_path / "a.jsonl", split_bytes=1000).splits for g in s.segments
    ]
    assert ranges == [(0, 1000), (1000, 2000), (2000, 2500)]


def test_dumps_are_cut_where_their_streams_can_be_found_again(tmp_path):
    for name in ("a.xml", "b.xml.bz2", "c.xml.gz", "d.warc.gz", "e.jsonl.bz2"):
        (tmp_path / "dumps" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "dumps" / name).write_bytes(b"x" * 2500)
    segments = [g for s in corpus_of(tmp_path / "dumps", split_bytes=1000).splits for g in s.segments]
    cut = {(g.name, g.kind): [] for g in segments}
    for one in segments:
        cut[one.name, one.kind].append((one.begin, one.end))
    thirds, whole = [(0, 1000), (1000, 2000), (2000, 2500)], [(0, -1)]
    assert cut == {
        ("dumps/a.xml", "mediawiki"): thirds,
        ("dumps/b.xml.bz2", "mediawiki"): thirds,
        ("dumps/c.xml.gz", "mediawiki"): whole,
        ("dumps/d.warc.gz", "warc"): whole,
        ("dumps/e.jsonl.bz2", "jsonl"): whole,
    }


def test_a_source_may_say_how_its_files_are_read(tmp_path):
    (tmp_path / "dump.xml-p1p41242").write_bytes(b"x" * 2500)
    (tmp_path / "part.0001").write_text('{"text": "one"}')
    listed = (
        SourceConfig(path=str(tmp_path / "dump.xml-p1p41242"), reader="mediawiki"),
        SourceConfig(path=str(tmp_path / "part.0001"), reader="jsonl"),
    )
    config = BuildConfig(sources=listed, split_bytes=2000)
    assert [g.kind for s in resolve(config).splits for g in s.segments] == ["mediawiki"] * 2 + ["jsonl"]


def test_parquet_is_cut_at_row_groups_with_rows_counted(tmp_path):
    table = pa.table({"text": ["word " * 20] * 100})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=30)
    segments = [g for s in corpus_of(tmp_path / "a.parquet", split_bytes=1).splits for g in s.segments]
    assert [(g.begin, g.end, g.first_record) for g in segments] == [
        (0, 1, 0),
        (1, 2, 30),
        (2, 3, 60),
        (3, 4, 90),
    ]


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 100))
def test_packing_keeps_every_file_in_order_within_the_size(sizes, limit):
    sized = [(Segment(str(i), str(i), "text"), size) for i, size in enumerate(sizes)]
    packed = list(_pack(sized, limit))
    assert [int(g.path) for segments, _ in packed for g in segments] == list(range(len(sizes)))
    for segments, size in packed:
        assert size == sum(sizes[int(g.path)] for g in segments)
        assert size <= limit or len(segments) == 1


def test_what_cannot_be_read_is_a_sentence(tmp_path):
    with pytest.raises(RalmError, match="There is no source"):
        corpus_of(tmp_path / "none")
    (tmp_path / "a.xyz").write_text("")
    with pytest.raises(RalmError, match=r"a\.xyz is of a kind ralm does not read"):
        corpus_of(tmp_path / "a.xyz")
    (tmp_path / "a.pdf.gz").write_bytes(b"")
    with pytest.raises(RalmError, match=r"a\.pdf\.gz is compressed, and Parquet, PDF.*unpacked: unpack it"):
        corpus_of(tmp_path / "a.pdf.gz")
    with pytest.raises(RalmError, match="holds no file that ralm reads"):
        corpus_of(tmp_path)


def test_an_edit_that_keeps_the_size_changes_the_fingerprint(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\n')
    before = corpus_of(path).fingerprint()
    path.write_text('{"text": "two"}\n')
    assert corpus_of(path).fingerprint() != before


def test_a_file_name_that_is_no_utf8_is_spelled_with_escapes(tmp_path):
    import os

    (tmp_path / "docs").mkdir()
    with open(os.fsencode(tmp_path / "docs") + b"/caf\xe9.txt", "w") as handle:
        handle.write("text")
    assert [g.name for s in corpus_of(tmp_path / "docs").splits for g in s.segments] == ["docs/caf\\xe9.txt"]


@pytest.fixture
def around(tmp_path, corpus, store):
    """A corpus in whose folder stores lie, one `published` and one `begun`, and folders like stores."""
    root = tmp_path / "corpus"
    shutil.copytree(store, root / "old" / "published")
    shutil.copy(corpus, root / "towns.jsonl")
    (root / "begun" / "stages").mkdir(parents=True)
    shutil.copy(store / "stages" / "build.json", root / "begun" / "stages")
    (root / "begun" / "notes.jsonl").write_text('{"text": "a list of what must not come in"}\n')
    # Of somebody else's, and kept.
    (root / "app" / "manifests").mkdir(parents=True)
    (root / "app" / "manifest.json").write_text('{"text": "a web application that has a manifest"}')
    (root / "app" / "stages").mkdir()
    (root / "app" / "stages" / "build.json").write_text("[1]")
    return root


KEPT = ["corpus/towns.jsonl", "corpus/app/manifest.json", "corpus/app/stages/build.json"]


def names_of(found):
    return [g.name for s in found.splits for g in s.segments]


def test_stores_in_a_source_are_no_part_of_it_and_named(around):
    found = corpus_of(around)
    assert names_of(found) == KEPT
    assert found.ignored == ()
    assert found.stores == (f"{around}/begun", f"{around}/old/published")
    assert found.left_out == f"Left out, for they are datastores: {around}/begun, {around}/old/published."
    with pytest.raises(RalmError, match="published is a datastore, no corpus"):
        corpus_of(around / "old" / "published")


@pytest.mark.parametrize("name", ["store", "deep/er", "a link/s"])
def test_the_store_itself_is_left_out_whatever_it_holds_so_far(around, name):
    listed = BuildConfig(sources=(SourceConfig(path=str(around)),))
    before = resolve(listed, store=around / name).fingerprint()
    (around / "real").mkdir()
    if name.startswith("a link"):
        (around / "a link").symlink_to(around / "real")
    # All that is left of a build that was killed before it had fixed its settings.
    (around / name / "takedowns").mkdir(parents=True)
    (around / name / "takedowns" / "000000.jsonl").write_text('{"domain": "d", "id": "1"}\n')
    after = resolve(listed, store=around / name)
    assert after.fingerprint() == before
    assert names_of(after) == KEPT
    assert after.stores == (f"{around}/begun", f"{around}/old/published")


def test_a_build_may_be_made_in_the_folder_of_its_corpus(tmp_path, corpus, ralm, monkeypatch):
    """Begun, run again, and added to from there; with the bytes of one that is made elsewhere."""
    (tmp_path / "corpus").mkdir()
    shutil.copy(corpus, tmp_path / "corpus")
    monkeypatch.chdir(tmp_path / "corpus")
    local = ("--executor", "local")
    for _ in range(2):
        assert ralm("build", ".", *local)[0] == 0
    build_store(tmp_path / "elsewhere", tmp_path / "corpus")
    with_more = tree(tmp_path / "corpus" / "store")
    assert with_more == tree(tmp_path / "elsewhere")
    (tmp_path / "corpus" / "more.txt").write_text("A note that was written after the build.")
    shutil.copytree(tmp_path / "elsewhere", "copy")
    code, out, err = ralm("add", "store", ".", *local)
    assert (code, "passages added" in out) == (0, True)
    assert "Left out, for they are datastores: ./copy." in err
    assert {p.doc_id for p in Datastore.open(tmp_path / "corpus" / "store")} >= {"corpus#2/more.txt"}
    assert Datastore.open(tmp_path / "corpus" / "store").manifest.counts["unreadable"] == 0


def test_a_build_in_the_folder_of_its_corpus_that_is_killed_goes_on(tmp_path, corpus, builder):
    shutil.copytree(corpus.parent, tmp_path / "corpus", ignore=lambda *_: [])
    config = {"sources": [{"path": str(tmp_path / "corpus")}], "split_bytes": 4096}
    root = str(tmp_path / "corpus" / "store")
    killed = builder.build(Fault(root, config, when="after", point="work/documents/00001.arrow"))
    assert killed.signal == 9
    assert builder.build(Fault(root, config)).error == ""
    assert builder.build(Fault(str(tmp_path / "apart"), config)).error == ""
    assert tree(tmp_path / "corpus" / "store") == tree(tmp_path / "apart")


def test_a_table_without_a_text_stops_a_build_if_it_is_named_and_costs_itself_in_a_folder(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.csv").write_text("title,body\nA,One.\n")
    (tmp_path / "docs" / "b.md").write_text("text")
    assert [g.kind for s in corpus_of(tmp_path / "docs").splits for g in s.segments] == ["csv", "text"]
    with pytest.raises(RalmError, match="the columns are 'title', 'body'"):
        corpus_of(tmp_path / "docs" / "a.csv")


@pytest.mark.parametrize("where", ["", "docs"])
def test_a_name_that_is_no_utf_8_is_spelled(tmp_path, where):
    folder = tmp_path / where
    folder.mkdir(exist_ok=True)
    for name in ("\udcff.jsonl", "\udcfe.parquet"):
        (folder / name).write_text('{"text": "a"}\n')
    table = pa.table({"text": ["a text"]})
    with open(folder / "\udcfe.parquet", "wb") as handle:
        pq.write_table(table, handle)
    corpus = corpus_of(folder) if where else corpus_of(*sorted(folder.iterdir()))
    names = [segment.name.removeprefix("docs/") for split in corpus.splits for segment in split.segments]
    assert names == ["\\xfe.parquet", "\\xff.jsonl"]
    assert orjson.dumps(corpus.fingerprint())


class Said(Silent):
    """Keeps what is said."""

    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


class Stopped(LocalExecutor):
    """Is interrupted before anything is embedded."""

    def run(self, tasks, done, in_order=False):
        if tasks[0].stage.name == "chunk":
            raise KeyboardInterrupt
        super().run(tasks, done, in_order)


def test_what_reads_from_the_hub_goes_on_with_the_commit_that_it_began_with_and_says_so(
    tmp_path, monkeypatch
):
    """The publisher pushed to the branch meanwhile: builds and additions, and those that are done."""
    commits, now = ["c0ffee" + 34 * "0", "decade" + 34 * "1"], [0]
    for number, commit in enumerate(commits):
        (tmp_path / commit).mkdir()
        write_lines(tmp_path / commit / "a.jsonl", documents()[3 * number : 3 * number + 3])
    load = datasets.load_dataset
    monkeypatch.setattr(
        "datasets.load_dataset",
        lambda _, *names, revision, **how: load(str(tmp_path / revision), *names, **how),
    )
    monkeypatch.setattr(
        "huggingface_hub.HfApi.dataset_info", lambda *_, **__: SimpleNamespace(sha=commits[now[0]])
    )
    sources = (SourceConfig(path="hf://owner/set"),)
    layout, said = Layout(tmp_path / "store"), Said()

    def build(executor):
        return Build(layout, BuildConfig(sources=sources), executor, said).run()

    with pytest.raises(KeyboardInterrupt):
        build(Stopped())
    assert said.lines == []
    now[0] = 1
    manifest = build(LocalExecutor())
    (line,) = said.lines
    assert "hf://owner/set has been pushed to since this was begun" in line
    assert "commit c0ffee" in line
    assert "(decade" in line
    expected = {one["id"] for one in documents()[:3]}
    assert {passage.doc_id for passage in Datastore.open(layout.root)} == expected
    assert build(LocalExecutor()) == manifest
    # An addition begins with what is there, and goes on with it.
    add = [Addition(layout, sources, one, said) for one in (Stopped(), LocalExecutor())]
    said.lines.clear()
    with pytest.raises(KeyboardInterrupt):
        add[0].run()
    now[0] = 0
    assert add[1].run()[1]["indexed"] == 3
    (line,) = said.lines
    assert "commit decade" in line
    # Whoever names a commit has it.
    named = BuildConfig(sources=(SourceConfig(path=f"hf://owner/set?revision={commits[1]}"),))
    found = resolve(named, begun=begun_at(layout))
    assert found.moved == ()
    assert found.splits[0].segments[0].path.endswith(commits[1])
