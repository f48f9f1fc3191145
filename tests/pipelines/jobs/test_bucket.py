"""A store in a bucket, changed from several machines: real builds, where `test_origin.py` gives vectors."""

import json
import shutil
from dataclasses import replace

import pytest

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.generations.generation import current
from datastore.objects.origin import locate
from datastore.store import Datastore
from datastore.verify import verify
from pipelines.commands.stores import open_stores
from pipelines.config import BuildConfig, SourceConfig
from pipelines.corpus.sources import resolve
from pipelines.execution.executor import LocalExecutor
from pipelines.execution.job import Job
from pipelines.execution.progress import Silent
from pipelines.indexing.card import measure_again
from pipelines.jobs.add import Addition
from pipelines.jobs.build import Build
from pipelines.jobs.compact import Compaction
from pipelines.jobs.status import status
from retriever.opened import Opening
from retriever.ranking.card import read_card
from tests.conftest import add_to, build_store, compact, delete, flip
from tests.corpus import documents, write_lines
from tests.vectors import dense

TOWNS = documents()[:6]


@pytest.fixture(scope="module")
def towns(tmp_path_factory):
    return write_lines(tmp_path_factory.mktemp("bucket") / "towns.jsonl", TOWNS)


@pytest.fixture(scope="session")
def template(tmp_path_factory, objects):
    """A build of the towns in a bucket: the bucket, and the cache of the machine that built it."""
    bucket = objects.bucket()
    folder = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RALM_CACHE", str(folder / "cache"))
        root = locate(f"s3://{bucket}/store")
        build_store(root, write_lines(folder / "towns.jsonl", TOWNS))
    return objects.tree(bucket), root


@pytest.fixture
def built(remote, template):
    """The towns, built there by machine 0."""
    there, cache = template
    for key, data in there.items():
        remote.put(key, data)
    root = remote.on(0)
    shutil.copytree(cache, root, ignore=shutil.ignore_patterns("origin.json"), dirs_exist_ok=True)
    return current(Layout(root))


def more(folder, name, *texts):
    return write_lines(
        folder / f"{name}.jsonl", [{"id": f"{name}{n}", "text": t} for n, t in enumerate(texts)]
    )


def test_a_build_in_a_bucket_is_the_build_on_a_disk(tmp_path, remote, towns):
    whole = build_store(tmp_path / "disk", towns, passages_per_shard=4)
    assert build_store(remote.on(0), towns, passages_per_shard=4).hash == whole.hash
    # Again: nothing is left to do.
    assert build_store(remote.on(0), towns, passages_per_shard=4).hash == whole.hash
    assert status(remote.on(1)).manifest.hash == whole.hash
    assert verify(remote.address) == []


def test_machines_change_a_store_by_turns(tmp_path, remote, built, ralm):
    add_to(
        remote.on(1),
        more(tmp_path, "new", "A new town by the sea is called Zedmouth, and known for its gulls."),
    )
    delete(remote.on(2), "Arvenholm-1")
    code, out, _ = ralm("search", remote.address, "gulls of Zedmouth", "-k", 1)
    assert (code, "Zedmouth" in out) == (0, True)
    after, _ = compact(remote.on(0))
    assert (after.generation, after.passages, after.rows) == (4, 6, 6)
    remote.on(3)
    assert ralm("verify", remote.address)[:2] == (
        0,
        f"{remote.address} is whole: checksums, counts and rows agree.\n",
    )
    assert {passage.doc_id for passage in Datastore.open(remote.address)} == {
        *(one["id"] for one in TOWNS if one["id"] != "Arvenholm-1"),
        "new0",
    }
    code, out, _ = ralm("sweep", remote.address)
    assert (code, f"Freed in {remote.address}: 0" in out) == (0, True)
    assert "Generation 1, 2, 3 was current within that time" in out
    assert (
        open_stores([locate(remote.address)], Opening()).search(["gulls"], dense(1))[0].hits[0].passage.doc_id
        == "new0"
    )


class Meanwhile(LocalExecutor):
    """Lets something happen before a stage."""

    def __init__(self, stage, happen):
        self.stage, self.happen = stage, happen

    def run(self, tasks, *arguments):
        if tasks[0].stage.name == self.stage:
            self.happen()
        super().run(tasks, *arguments)


def test_an_addition_that_another_machine_came_before_is_refused_and_can_be_run_again(
    tmp_path, remote, built
):
    mine, theirs = remote.on(0), remote.on(1)
    first = more(tmp_path, "first", "The first of two additions is about a lighthouse.")
    second = more(tmp_path, "second", "The second of two additions is about a windmill.")
    meanwhile = Meanwhile("card", lambda: add_to(theirs, first))
    with pytest.raises(
        RalmError, match="was added to or compacted from another machine meanwhile: run the same"
    ):
        Addition(Layout(mine), (SourceConfig(path=str(second)),), meanwhile, Silent()).run()
    assert current(Layout(mine)).generation == 2
    manifest, counts = add_to(mine, second)
    assert (manifest.generation, counts["indexed"]) == (3, 1)
    assert [(job.name, job.generation) for job in status(mine).jobs] == [("build", 1), ("add", 3)]
    assert verify(remote.on(2)) == []


def test_a_compaction_that_another_machine_came_before_puts_nothing(tmp_path, remote, built):
    mine, theirs = remote.on(0), remote.on(1)
    there = {}
    delete(mine, "Arvenholm-1")
    new = more(tmp_path, "new", "An addition about a windmill by the river.")

    def happen():
        add_to(theirs, new)
        there.update(remote.tree())

    with pytest.raises(RalmError, match="was added to or compacted from another machine meanwhile"):
        Compaction(Layout(mine), Meanwhile("card", happen), Silent()).run()
    assert remote.tree() == there != {}


def test_a_takedown_from_another_machine_holds_for_an_addition_that_runs(tmp_path, remote, built):
    mine, theirs = remote.on(0), remote.on(1)
    meanwhile = Meanwhile("card", lambda: delete(theirs, "Arvenholm-1"))
    new = more(tmp_path, "new", "An addition about a windmill by the river.")
    Addition(Layout(mine), (SourceConfig(path=str(new)),), meanwhile, Silent()).run()
    assert "Arvenholm-1" not in {passage.doc_id for passage in Datastore.open(mine)}
    assert current(Layout(mine)).generation == 3
    assert verify(remote.on(2)) == []


@pytest.mark.parametrize("file", ["vectors/00000.npy", "lexical/00000.weights.npy"])
def test_what_was_altered_in_the_cache_is_not_put(monkeypatch, remote, towns, file):
    perform = Job.perform

    def altering(job, stage):
        markers = perform(job, stage)
        if any(one.path == file for marker in markers for one in marker.files):
            flip(job.layout.root / file, -1)
        return markers

    root = remote.on(0)
    with monkeypatch.context() as patch:
        patch.setattr(Job, "perform", altering)
        with pytest.raises(RalmError, match=f"{file} is corrupted"):
            build_store(root, towns)
    assert not remote.tree()
    flip(root / file, -1)
    build_store(root, towns)
    assert verify(remote.on(1)) == []


def test_a_build_that_is_cut_off_while_it_is_put_goes_on(monkeypatch, tmp_path, remote, proxy, towns):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    root = remote.through(proxy).on(0)
    proxy.up = 2000
    with pytest.raises(RalmError, match=r"cannot be written .* run the same command again"):
        build_store(root, towns)
    done = {path: path.stat().st_mtime_ns for path in root.rglob("stages/*/*.json")}
    assert done
    assert "store/manifest.json" not in remote.tree()
    proxy.up = None
    manifest = build_store(root, towns)
    again = {path: path.stat().st_mtime_ns for path in root.rglob("stages/*/*.json")}
    assert {path.parent.name for path in done if again[path] != done[path]} <= {"compare-new"}
    assert current(Layout(remote.on(1))).hash == manifest.hash


def test_another_machine_may_build_where_one_was_lost_while_it_put_its_files(tmp_path, remote, towns):
    """Whatever a build with all its stages puts is no stranger's, as far as it came."""
    question = write_lines(tmp_path / "asked.jsonl", [{"question": "Who asked this?", "answers": ["nobody"]}])
    settings = {
        "near_duplicates": {},
        "duplicate_lines": {},
        "duplicate_passages": "drop",
        "decontaminate": [str(question)],
    }
    manifest = build_store(remote.at("whole").on(0), towns, **settings)
    whole = {key.removeprefix("whole/"): data for key, data in remote.tree().items()}
    for key in whole:
        if key not in ("manifest.json", "origin.json"):
            remote.put(f"part/{key}", whole[key])
    assert {"near", "contamination", "line-hashes", "passage-hashes"} <= {key.split("/")[0] for key in whole}
    assert build_store(remote.at("part").on(1), towns, **settings).hash == manifest.hash


def test_an_address_that_is_taken_is_refused(tmp_path, remote, towns, built):
    other = more(tmp_path, "other", "Another corpus altogether, about windmills.")
    for machine, source, seed in ((1, other, 0), (1, towns, 0), (0, other, 0), (0, towns, 1)):
        with pytest.raises(RalmError, match=f"{remote.address} holds another datastore already: add to it"):
            build_store(remote.on(machine), source, seed=seed)
    whole = replace(remote, bucket=remote.objects.bucket(), prefix="")
    whole.put("photos/1.jpg", b"x")
    with pytest.raises(
        RalmError, match=r"holds something else \(photos/1\.jpg\): choose a new or an empty prefix"
    ):
        build_store(whole.on(0), towns)


def test_takedowns_of_a_store_in_a_bucket_hold_for_a_build(tmp_path, remote, towns, built):
    delete(remote.on(0), "Arvenholm-1")
    remote.on(1)
    (tmp_path / "build.yaml").write_text(
        json.dumps({"sources": [{"path": str(towns)}], "takedowns": remote.address})
    )
    config = BuildConfig(sources=(SourceConfig(path=str(towns)),), takedowns=remote.address)
    manifest = Build(Layout(tmp_path / "disk"), config, LocalExecutor(), Silent()).run()
    assert manifest.passages == len(TOWNS) - 1


def test_a_card_that_is_measured_again_is_put(remote, built):
    before = read_card(Layout(remote.on(0)), built)
    Datastore.open(remote.on(1))
    assert read_card(Layout(remote.on(1)), built) == before
    measured = measure_again(remote.on(1), ["Where is the old library?"])
    assert measured != before
    Datastore.open(remote.on(0))
    assert read_card(Layout(remote.on(0)), built) == measured


def test_a_store_under_the_prefix_of_its_corpus_is_no_part_of_it(remote, built, towns):
    """Nor is another one; what is left is what the corpus was before."""
    remote.put("towns.jsonl", towns.read_bytes())
    remote.put("store/half/passages/notes.jsonl", b"x")
    corpus, own = BuildConfig(sources=(SourceConfig(path=f"s3://{remote.bucket}"),)), remote.on(0)
    for found in (resolve(corpus), resolve(corpus, store=own)):
        assert [g.name for split in found.splits for g in split.segments] == [f"{remote.bucket}/towns.jsonl"]
        assert found.ignored == ()
    assert (resolve(corpus).stores, found.stores) == ((remote.address,), ())
    with pytest.raises(RalmError, match="is a datastore, no corpus"):
        resolve(BuildConfig(sources=(SourceConfig(path=remote.address),)))
