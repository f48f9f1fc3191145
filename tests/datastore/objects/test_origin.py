import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.generations.generation import current, current_hash, publish, published
from datastore.generations.sweep import sweep_objects
from datastore.objects import bucket as client
from datastore.objects import origin as module
from datastore.objects.origin import Origin, address_of, cache_root, locate
from datastore.store import Datastore
from datastore.takedown import Takedown, Takedowns, take_down
from datastore.verify import verify
from tests.conftest import flip
from tests.vectors import dense, make_retriever, make_store, random_vectors

ROWS = 20
VECTORS = random_vectors(1, ROWS)


@pytest.fixture
def remote(remote):
    """A store deep in its bucket."""
    return remote.at("deep/store")


def texts(path):
    return [passage.text for passage in Datastore.open(path)]


def put_store(root, numbers=range(ROWS), key="Flat"):
    return make_store(root, list(numbers), VECTORS, key)


def gone(number):
    return Takedowns(frozenset([Takedown("abc"[number % 3], f"doc{number}")]))


def test_a_store_that_is_published_there_opens_on_another_machine(remote):
    put_store(remote.on(0))
    there = remote.on(1)
    assert texts(remote.address) == texts(there) == [f"text {n}" for n in range(ROWS)]
    found = Datastore.open(Path(remote.address))  # A path library takes a slash away.
    np.testing.assert_array_equal(found.vectors(range(ROWS)), VECTORS)
    assert address_of(there) == remote.address
    assert verify(remote.address) == []


@pytest.mark.parametrize("folder", ["takedowns", "deleted", "index/Flat"])
def test_a_cached_file_that_decides_what_is_shown_is_fetched_again(remote, monkeypatch, folder):
    monkeypatch.setattr("datastore.opening.FULL_CHECK_BYTES", 0)
    put_store(remote.on(0))
    take_down(Layout(remote.on(0)), gone(4))
    there = remote.on(1)
    shown = texts(there)
    for path in (there / folder).iterdir():
        flip(path, -1)  # In place: the proof, a link to it, has the damage too.
    assert texts(there) == shown
    assert len(shown) == ROWS - 1


@pytest.mark.parametrize("name", ["a\0b", "\udcff"])
def test_a_name_that_is_no_text_is_no_store(name):
    with pytest.raises(RalmError, match="can be no store"):
        locate(name)


def test_a_cache_lies_where_the_environment_says(monkeypatch, tmp_path):
    assert locate(tmp_path) == tmp_path
    monkeypatch.setenv("RALM_CACHE", str(tmp_path / "mine"))
    root = locate("s3://bucket/deep/store")
    assert root.parent == tmp_path / "mine"
    assert root.name.startswith("store-")
    assert locate("s3://bucket/deep/store/") == root
    assert locate("s3://other/deep/store") != root
    monkeypatch.delenv("RALM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "theirs"))
    assert cache_root() == tmp_path / "theirs" / "ralm"
    with pytest.raises(RalmError, match="gs://bucket/x can be no store"):
        locate("gs://bucket/x")


def test_where_nothing_is_published_a_sentence_says_so(remote):
    assert not published(Layout(remote.on(0)))
    with pytest.raises(RalmError, match=f"{remote.address} holds no finished datastore: build one"):
        Datastore.open(remote.address)


def test_a_reader_follows_the_generations_of_another_machine(remote):
    writer = Layout(remote.on(1))
    store = put_store(writer.root)
    reader = make_retriever(Datastore.open(remote.on(0)), VECTORS[:1].astype(np.float32))
    assert reader.refreshed() is reader
    before = [hit.row for hit in reader.search(["0"], dense(ROWS))[0].hits]
    take_down(writer, gone(before[0]))
    assert current_hash(reader.store.layout) != store.manifest.hash
    assert [hit.row for hit in reader.search(["0"], dense(ROWS))[0].hits] == before
    followed = reader.refreshed()
    assert followed.store.manifest.generation == 2
    assert [hit.row for hit in followed.search(["0"], dense(ROWS))[0].hits] == before[1:]


def test_of_two_publishers_one_wins_and_the_other_is_told(remote):
    one, other = Layout(remote.on(0)), Layout(remote.on(1))
    put_store(one.root)
    late = current(other)
    take_down(one, gone(0))
    mine = late.model_copy(update={"generation": 2, "counts": {"mine": 1}})
    with pytest.raises(RalmError, match="was changed by somebody else meanwhile: run the same command again"):
        publish(other, mine)
    assert current(other).generation == 2
    assert "mine" not in current(other).counts
    assert verify(remote.address) == []


def test_publishers_at_once_lose_nothing(remote):
    put_store(remote.on(0))
    layouts = [Layout(remote.on(machine)) for machine in range(3)]
    for layout in layouts:
        Datastore.open(layout.root)

    def try_it(number):
        with suppress(RalmError):
            return take_down(layouts[number], gone(number)).generation

    with ThreadPoolExecutor(3) as pool:
        generations = list(pool.map(try_it, range(3)))
    won = [number for number in range(3) if generations[number]]
    assert sorted(generations[number] for number in won) == list(range(2, 2 + len(won)))
    for number in range(3):
        take_down(layouts[number], gone(number))
    assert current(layouts[0]).generation == 4
    assert texts(remote.on(5)) == [f"text {n}" for n in range(3, ROWS)]
    assert verify(remote.address) == []


def test_two_first_builds_at_one_address_do_not_spoil_each_other(remote):
    put_store(remote.on(0))
    with pytest.raises(RalmError, match="was changed by somebody else"):
        put_store(remote.on(1), reversed(range(ROWS)))
    expected = [f"text {n}" for n in range(ROWS)]
    assert texts(remote.on(2)) == expected
    # The loser's files have the same names, and make way for the winner's.
    assert texts(remote.on(1)) == expected
    assert verify(remote.address) == []


def test_a_publication_that_is_cut_is_none_and_goes_on_when_it_is_run_again(monkeypatch, remote, proxy):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    far = remote.through(proxy)
    whole = put_store(remote.at("deep/store-whole").on(0)).manifest
    proxy.up = 1000
    with pytest.raises(RalmError, match="cannot be written"):
        put_store(far.on(0))
    assert proxy.cuts
    half = remote.tree()
    assert "deep/store/manifest.json" not in half
    proxy.up = None
    put_store(far.on(0))
    every = remote.tree()
    assert {key: every[key] for key in half} == half
    assert current(Layout(remote.on(1))).hash == whole.hash
    assert verify(remote.on(1)) == []


def test_an_opening_that_is_cut_leaves_no_half_file_and_goes_on(monkeypatch, remote, proxy):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    put_store(remote.on(0))
    root = remote.through(proxy).on(1)
    proxy.down = 700
    with pytest.raises(RalmError, match="cannot be read"):
        Datastore.open(root)
    assert not [path for path in root.rglob("*.tmp")]
    proxy.down = None
    assert texts(root) == [f"text {n}" for n in range(ROWS)]


def test_damage_in_the_bucket_and_in_the_cache(remote):
    manifest = put_store(remote.on(0)).manifest
    entry = manifest.shards[0].vectors
    key = f"deep/store/{entry.path}.{entry.xxh3}"
    root = remote.on(1)
    assert len(texts(root)) == ROWS
    # In the cache: fetched anew.
    (root / entry.path).write_bytes(os.urandom(entry.bytes))
    assert verify(root) == []
    assert len(texts(root)) == ROWS
    # In the bucket: of the right size, missing.
    remote.put(key, bytes(entry.bytes))
    with pytest.raises(RalmError, match=r"vectors/00000\.npy\..* is damaged \(its checksum differs\)"):
        Datastore.open(remote.on(2))
    remote.delete(key)
    with pytest.raises(RalmError, match=r"vectors/00000\.npy\..* cannot be read"):
        Datastore.open(remote.on(3))
    (problem,) = verify(root)
    assert "is missing or has another size" in problem


def test_a_manifest_that_is_damaged_or_somebody_elses_is_a_sentence(remote):
    manifest = put_store(remote.on(0)).manifest
    remote.put(f"deep/store/manifests/000001.json.{manifest.hash}", b"{}")
    with pytest.raises(RalmError, match=r"000001\.json\..* is missing or damaged"):
        Datastore.open(remote.on(1))
    for strange in (b"not json", b"[]", b'{"file": 1}'):
        remote.put("deep/store/manifest.json", strange)
        with pytest.raises(RalmError, match=r"manifest\.json is not a ralm manifest"):
            Datastore.open(remote.address)
    remote.put("deep/store/manifest.json", b'{"file": "../../x", "xxh3": "0"}')
    with pytest.raises(RalmError, match="lists a file outside of itself"):
        Datastore.open(remote.address)


def test_another_store_in_the_place_of_an_old_one_is_read_as_it_is(remote):
    put_store(remote.on(0))
    reader = remote.on(1)
    assert texts(reader)[0] == "text 0"
    for key in remote.tree():
        remote.delete(key)
    put_store(remote.on(2), reversed(range(ROWS)))
    assert texts(reader) == [f"text {n}" for n in reversed(range(ROWS))]


def test_files_of_the_same_bytes_are_one_object_of_the_cache(remote):
    store = put_store(remote.on(0))
    origin = Origin.of(remote.on(1))
    entry = store.manifest.shards[0].vectors
    twin = entry.model_copy(update={"path": "vectors/twin.npy"})
    origin.fetch([entry])
    origin.put([entry])
    origin.bucket.upload(f"{twin.path}.{twin.xxh3}", origin.root / entry.path)
    origin.fetch([entry, twin])
    assert (origin.root / twin.path).samefile(origin.root / entry.path)


def test_a_server_that_overwrites_against_the_condition_is_refused(remote, monkeypatch):
    class Careless:
        def __init__(self, careful):
            self._careful = careful

        def put_object(self, IfNoneMatch=None, IfMatch=None, **named):
            return self._careful.put_object(**named)

        def __getattr__(self, name):
            return getattr(self._careful, name)

    careful = client._client
    monkeypatch.setattr(client, "_client", lambda options: Careless(careful(options)))
    with pytest.raises(RalmError, match="does not know conditional puts"):
        put_store(remote.on(0))
    assert not published(Layout(remote.on(0)))


def days(number):
    return datetime.now(UTC) + timedelta(days=number)


def test_objects_go_by_the_age_of_the_generations_they_are_of(remote):
    layout = Layout(remote.on(0))
    put_store(layout.root)
    take_down(layout, gone(0))
    # As a compaction leaves it: a generation without the first shard.
    manifest = current(layout)
    fewer = manifest.model_copy(update={"generation": 3, "shards": manifest.shards[1:]})
    publish(layout, fewer)
    remote.put("deep/store/vectors/00009.npy.0123", b"an orphan")
    before = remote.tree()
    # All of it is of the last week.
    assert sweep_objects(layout, 7).bytes == 0
    assert remote.tree() == before
    swept = sweep_objects(layout, 7, days(8))
    assert swept.open == ()
    left = remote.tree()
    lost = {key.removeprefix("deep/store/").rpartition(".")[0] for key in before.keys() - left.keys()}
    shard = manifest.shards[0]
    assert lost == {file.path for file in shard.files} | {"vectors/00009.npy"}
    assert swept.bytes == sum(len(before[key]) for key in before.keys() - left.keys())
    assert Origin.of(layout.root).problems(fewer.files) == []


def test_a_job_that_goes_on_after_weeks_puts_its_objects_once_more(remote, monkeypatch):
    """A sweep that listed them as old may be about to delete them."""
    entry = put_store(remote.on(0)).manifest.shards[0].vectors
    key = f"deep/store/{entry.path}.{entry.xxh3}"
    origin = Origin.of(remote.on(0))
    mine, other = remote.tree()[key], bytes(entry.bytes)
    for young, settled, left in (
        (timedelta(hours=12), [], other),
        (timedelta(0), [entry], other),
        (timedelta(0), [], mine),
    ):
        remote.put(key, other)
        monkeypatch.setattr(module, "_YOUNG", young)
        origin.put([entry], settled)
        assert remote.tree()[key] == left


def test_a_sweep_refuses_what_it_cannot_do(tmp_path, remote, monkeypatch):
    layout = Layout(remote.on(0))
    put_store(layout.root)
    with pytest.raises(RalmError, match="the last 1 day stay"):
        sweep_objects(layout, 0.5)
    with pytest.raises(RalmError, match="There is no datastore at"):
        sweep_objects(Layout(tmp_path / "mistyped"), 7)
    local = Layout(tmp_path / "local")
    put_store(local.root)
    with pytest.raises(RalmError, match="is swept by `ralm compact`"):
        sweep_objects(local, 7)
