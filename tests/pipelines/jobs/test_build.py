import errno
import json
import os
import random
import re
import subprocess
import sys
import time
from itertools import count

import pytest

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.files.writing import checksum_of
from datastore.store import Datastore
from datastore.verify import verify
from datastore.view import View
from retriever.local import LocalRetriever
from retriever.opened import Opening
from retriever.ranking.setting import Setting
from tests.conftest import build_store, tree
from tests.corpus import documents
from tests.faults import Fault
from tests.resumption import Resumption
from tests.vectors import dense

# Several splits, several shards, and an index with codes of its own: every stage has work.
SETTINGS = {"split_bytes": 4096, "passages_per_shard": 8, "index_key": "IVF4,SQ8"}

# A file that each stage writes, in the middle of its work where it has several tasks.
FILES = {
    "settings": "stages/build.json",
    "scan": "stages/scan/00001.json",
    "read": "work/documents/00001.arrow",
    "hashes": "work/hashes/00001.npy",
    "dedup-id": "work/duplicates-id/00000.npy",
    "dedup-text": "work/duplicates-text/00000.npy",
    "chunk": "work/chunks/00001-00000.arrow",
    "tokens": "work/chunks/00001-00000.tokens.arrow",
    "numbering": "passages/00001.arrow",
    "embed": "vectors/00001.npy",
    "train": "index/*/trained.faiss",
    "index": "index/*/00001.codes.npy",
    "words": "stages/words/00001.json",
    "lexical": "lexical/00001.indices.npy",
    "card": "index/*/card.*.json",
    "marker": "stages/embed/00001.json",
    "manifest": "manifests/000001.json",
    "pointer": "manifest.json",
}


@pytest.fixture(scope="module")
def config(corpus):
    return {"sources": [{"path": str(corpus)}], **SETTINGS}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, builder, config):
    """The bytes of a build that nothing happened to, and the seconds it takes."""
    root = tmp_path_factory.mktemp("undisturbed") / "store"
    outcome = builder.build(Fault(str(root), config))
    assert outcome.signal == 0
    assert outcome.error == ""
    return tree(root), outcome.seconds


def test_what_a_manifest_says_of_a_build_is_what_it_was(store):
    """Sizes and checksums of files aside, and how numbers are stored: machine and libraries decide that."""
    aside = rb'"(bytes|xxh3|weights_sha256|dtype)": ("\w+"|\d+)'
    found = re.sub(aside, b"", Layout(store).manifest(1).read_bytes())
    assert checksum_of(found) == "c51e62282b1e545a19e903da9b98377b"


@pytest.fixture
def resumption(tmp_path, builder, config):
    return Resumption(builder, tmp_path / "store", config)


@pytest.mark.parametrize(
    ("when", "file"), [("before", "embed"), ("after", "chunk"), ("after", "numbering"), ("before", "pointer")]
)
def test_a_killed_build_goes_on_to_the_same_bytes(resumption, undisturbed, when, file):
    """Law 1, one point of each kind; all of them are in the long tests."""
    resumption.check(undisturbed[0], when=when, point=FILES[file])


def test_a_build_killed_at_a_random_moment_goes_on(resumption, undisturbed):
    seconds = random.uniform(0.05, undisturbed[1])
    resumption.check(undisturbed[0], seconds=seconds)


@pytest.mark.long
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("file", FILES)
def test_killed_at_every_point(resumption, undisturbed, when, file):
    resumption.check(undisturbed[0], when=when, point=FILES[file])


@pytest.mark.long
@pytest.mark.parametrize("share", [(n + 0.5) / 20 for n in range(20)])
def test_killed_at_twenty_moments(resumption, undisturbed, share):
    jitter = random.uniform(-0.02, 0.02)
    seconds = max(0.01, (share + jitter) * undisturbed[1])
    resumption.check(undisturbed[0], seconds=seconds)


@pytest.mark.long
def test_killed_again_and_again(resumption, undisturbed):
    for _ in range(12):
        resumption.run(seconds=random.uniform(0.5, 0.8 * undisturbed[1]))
    assert resumption.run().error == ""
    assert tree(resumption.root) == undisturbed[0]


@pytest.mark.long
@pytest.mark.parametrize("share", [0.3, 0.55, 0.7, 0.85])
def test_a_killed_ray_build_goes_on_to_the_same_bytes(tmp_path, corpus, config, undisturbed, share):
    root, settings = tmp_path / "store", tmp_path / "build.yaml"
    settings.write_text(json.dumps(config))
    command = [sys.executable, "-m", "pipelines.cli", "build", "--config", str(settings)]
    command += ["--executor", "ray", "-o"]  # Which so small a build would do without.
    started = time.perf_counter()
    subprocess.run([*command, str(tmp_path / "timed")], check=True, capture_output=True)
    seconds = share * (time.perf_counter() - started)
    killed = subprocess.Popen(
        [*command, str(root)], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(seconds)
    os.killpg(killed.pid, 9)
    killed.wait()
    begun = sorted(p.name for p in (root / "stages").glob("*/"))
    print(f"killed by signal 9 after {seconds:.1f} s, stages begun: {begun}")
    subprocess.run([*command, str(root)], check=True, capture_output=True)
    assert tree(root) == undisturbed[0]


def test_a_finished_build_is_not_built_again(own_store, corpus):
    before = {path: path.stat().st_mtime_ns for path in own_store.rglob("*.npy")}
    build_store(own_store, corpus, split_bytes=4096, passages_per_shard=8)
    assert {path: path.stat().st_mtime_ns for path in own_store.rglob("*.npy")} == before


def test_a_finished_build_that_has_lost_a_file_is_not_called_whole(own_store, corpus):
    Layout(own_store).vectors(1).unlink()
    with pytest.raises(RalmError, match=r"00001\.npy is missing: .* build again in another folder"):
        build_store(own_store, corpus, split_bytes=4096, passages_per_shard=8)


def test_more_lists_than_passages_are_refused_before_anything_is_embedded(tmp_path, corpus):
    root = tmp_path / "store"
    with pytest.raises(RalmError, match=r"IVF9999,SQ8 has 9,999 lists and only \d+ passages"):
        build_store(root, corpus, index_key="IVF9999,SQ8")
    assert not (root / "vectors").exists()
    assert build_store(root, corpus, index_key="IVF4,SQ8").index.key == "IVF4,SQ8"


def test_the_index_may_still_be_chosen_until_it_is_begun(tmp_path, corpus):
    """An index that does not fit is found out last; what was embedded by then is not lost."""
    root = tmp_path / "store"
    with pytest.raises(RalmError, match="raise it"):
        build_store(root, corpus, index_memory="1KiB")
    before = {p: p.stat().st_mtime_ns for p in (root / "vectors").iterdir()}
    manifest = build_store(root, corpus, index_memory="1GiB")
    assert {p: p.stat().st_mtime_ns for p in (root / "vectors").iterdir()} == before
    assert manifest.config["index_memory"] == "1GiB"
    build_store(tmp_path / "other", corpus, index_memory="1GiB")
    assert tree(root) == tree(tmp_path / "other")


@pytest.fixture
def small_disk(tmp_path):
    """A file system in memory, whose size a test sets."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("pages", [1, 3, 8, 16, 24, 32, 40, 48])
def test_a_full_disk_stops_the_build_and_space_lets_it_go_on(small_disk, corpus, store, pages):
    """Full at one file or another: settings, documents, hashes, passages, vectors."""
    settings = {"split_bytes": 4096, "passages_per_shard": 8}
    subprocess.run(["mount", "-o", f"remount,size={4 * pages}k", str(small_disk)], check=True)
    for _ in range(2):
        with pytest.raises(RalmError, match="No space left to write"):
            build_store(small_disk / "store", corpus, **settings)
        assert not list(small_disk.rglob("*.tmp"))
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    build_store(small_disk / "store", corpus, **settings)
    assert tree(small_disk / "store") == tree(store)
    assert not Layout(small_disk / "store").work.exists()


@pytest.mark.parametrize("failing", [(errno.EIO, 3), (errno.ESTALE, 12), (errno.EFBIG, 20)])
def test_a_disk_that_fails_stops_the_build_and_it_goes_on(tmp_path, corpus, store, monkeypatch, failing):
    (number, at), sync, calls = failing, os.fsync, count()

    def fsync(handle):
        if next(calls) == at:
            raise OSError(number, os.strerror(number))
        sync(handle)

    settings = {"split_bytes": 4096, "passages_per_shard": 8}
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(RalmError, match=f"cannot be .*{os.strerror(number)}"):
            build_store(tmp_path / "store", corpus, **settings)
    build_store(tmp_path / "store", corpus, **settings)
    assert tree(tmp_path / "store") == tree(store)


def test_takedowns_made_during_a_build_hold_and_do_not_stop_it(tmp_path, corpus, builder):
    listed, root = tmp_path / "gone.jsonl", tmp_path / "store"
    gone = [{"domain": d["domain"], "id": d["id"]} for d in documents()[:2]]
    listed.write_text(json.dumps(gone[0]) + "\n")
    config = {"sources": [{"path": str(corpus)}], "takedowns": str(listed), **SETTINGS}
    assert builder.build(Fault(str(root), config, when="after", point=FILES["embed"])).signal == 9
    listed.write_text("".join(json.dumps(one) + "\n" for one in gone))
    assert builder.build(Fault(str(root), config)).error == ""
    assert verify(root) == []
    store = Datastore.open(root)
    assert {p.doc_id for p in store} == {d["id"] for d in documents()[2:]}
    assert store.manifest.counts["removed.taken_down"] == 1
    assert store.rows - store.passages == 1


@pytest.mark.gpu
@pytest.mark.parametrize("key", ["Flat", "IVF4,PQ96x4fs", "IVF4,SQ8"])
def test_a_build_on_a_gpu_gives_the_same_bytes_again_and_finds_what_a_cpu_finds(tmp_path, corpus, key):
    settings = {"split_bytes": 4096, "passages_per_shard": 8, "index_key": key}
    for name, device in (("one", "cuda"), ("two", "cuda"), ("cpu", "cpu")):
        build_store(tmp_path / name, corpus, device=device, **settings)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert verify(tmp_path / "one") == []
    towns = [f"What is the town of {d['title']} known for?" for d in documents()[::5]]
    setting = Setting(min(4, 4 * (key != "Flat")), 20)
    found = [
        LocalRetriever.open(tmp_path / name, Opening(device=device)).search(towns, dense(5, setting=setting))
        for name, device in (("one", "cuda"), ("cpu", "cpu"), ("one", "cpu"))
    ]
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            assert len({h.row for h in one.hits} & {h.row for h in other.hits}) >= 4
            assert abs(one.hits[0].score - other.hits[0].score) < 0.01
    view = View(fraction=0.3, domains=("history",))
    (ranking,) = LocalRetriever.open(tmp_path / "one", Opening(device="cuda")).search(
        towns[:1], dense(40, view, setting)
    )
    assert ranking.exhausted
    assert {h.passage.domain for h in ranking.hits} == {"history"}


def test_without_a_gpu_a_build_on_one_is_a_sentence(tmp_path, corpus, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(RalmError, match="PyTorch finds no GPU here"):
        build_store(tmp_path / "s", corpus, device="cuda")
    # Nothing is begun that could only go on with a GPU.
    assert not (tmp_path / "s").exists()
    with pytest.raises(RalmError, match="IVF4,RaBitQ is not trained on a GPU: choose Flat"):
        build_store(tmp_path / "t", corpus, device="cuda", index_key="IVF4,RaBitQ")
    assert not (tmp_path / "t").exists()
