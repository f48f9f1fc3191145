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
from tests.given import make_retriever, make_store, random_vectors

ROWS = 20
VECTORS = random_vectors(1, ROWS)


@pytest.fixture
def machines(tmp_path, monkeypatch):
    """The cache folder of an address on a machine: each has caches of its own."""

    def cache(address, machine=0):
        monkeypatch.setenv("RALM_CACHE", str(tmp_path / f"machine-{machine}"))
        return locate(address)

    return cache


@pytest.fixture
def address(objects):
    return f"s3://{objects.bucket()}/deep/store"


def texts(path):
    return [passage.text for passage in Datastore.open(path)]


def put_store(root, numbers=range(ROWS), key="Flat"):
    return make_store(root, list(numbers), VECTORS, key)


def gone(number):
    return Takedowns(frozenset([Takedown("abc"[number % 3], f"doc{number}")]))


def test_a_store_that_is_published_there_opens_on_another_machine(machines, address):
    put_store(machines(address))
    there = machines(address, 1)
    assert texts(address) == texts(there) == [f"text {n}" for n in range(ROWS)]
    found = Datastore.open(Path(address))  # A path library takes a slash away.
    np.testing.assert_array_equal(found.vectors(range(ROWS)), VECTORS)
    assert address_of(there) == address
    assert verify(address) == []


@pytest.mark.parametrize("folder", ["takedowns", "deleted", "index/Flat"])
def test_a_cached_file_that_decides_what_is_shown_is_fetched_again(machines, address, monkeypatch, folder):
    monkeypatch.setattr("datastore.searchable.FULL_CHECK_BYTES", 0)
    put_store(machines(address))
    take_down(Layout(machines(address)), gone(4))
    there = machines(address, 1)
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


def test_where_nothing_is_published_a_sentence_says_so(machines, address):
    assert not published(Layout(machines(address)))
    with pytest.raises(RalmError, match=f"{address} holds no finished datastore: build one"):
        Datastore.open(address)


def test_a_reader_follows_the_generations_of_another_machine(machines, address):
    writer = Layout(machines(address, 1))
    store = put_store(writer.root)
    reader = make_retriever(Datastore.open(machines(address, 0)), VECTORS[:1].astype(np.float32))
    assert reader.refreshed() is reader
    before = [hit.row for hit in reader.search(["0"], ROWS)[0].hits]
    take_down(writer, gone(before[0]))
    assert current_hash(reader.store.layout) != store.manifest.hash
    assert [hit.row for hit in reader.search(["0"], ROWS)[0].hits] == before
    followed = reader.refreshed()
    assert followed.store.manifest.generation == 2
    assert [hit.row for hit in followed.search(["0"], ROWS)[0].hits] == before[1:]


def test_of_two_publishers_one_wins_and_the_other_is_told(machines, address):
    one, other = Layout(machines(address, 0)), Layout(machines(address, 1))
    put_store(one.root)
    late = current(other)
    take_down(one, gone(0))
    mine = late.model_copy(update={"generation": 2, "counts": {"mine": 1}})
    with pytest.raises(RalmError, match="was changed by somebody else meanwhile: run the same command again"):
        publish(other, mine)
    assert current(other).generation == 2
    assert "mine" not in current(other).counts
    assert verify(address) == []


def test_publishers_at_once_lose_nothing(machines, address):
    put_store(machines(address))
    layouts = [Layout(machines(address, machine)) for machine in range(3)]
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
    assert texts(machines(address, 5)) == [f"text {n}" for n in range(3, ROWS)]
    assert verify(address) == []


def test_two_first_builds_at_one_address_do_not_spoil_each_other(machines, address):
    put_store(machines(address, 0))
    with pytest.raises(RalmError, match="was changed by somebody else"):
        put_store(machines(address, 1), reversed(range(ROWS)))
    expected = [f"text {n}" for n in range(ROWS)]
    assert texts(machines(address, 2)) == expected
    # The loser's files have the same names, and make way for the winner's.
    assert texts(machines(address, 1)) == expected
    assert verify(address) == []


def test_a_publication_that_is_cut_is_none_and_goes_on_when_it_is_run_again(
    monkeypatch, machines, objects, proxy, address
):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    far = f"{address}?endpoint_override=127.0.0.1:{proxy.port}&scheme=http"
    whole = put_store(machines(f"{address}-whole")).manifest
    proxy.up = 1000
    with pytest.raises(RalmError, match="cannot be written"):
        put_store(machines(far))
    assert proxy.cuts
    (bucket,) = [part for part in address.split("/") if part.startswith("bucket-")]
    half = objects.tree(bucket)
    assert "deep/store/manifest.json" not in half
    proxy.up = None
    put_store(machines(far))
    every = objects.tree(bucket)
    assert {key: every[key] for key in half} == half
    assert current(Layout(machines(address, 1))).hash == whole.hash
    assert verify(machines(address, 1)) == []


def test_an_opening_that_is_cut_leaves_no_half_file_and_goes_on(monkeypatch, machines, proxy, address):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    put_store(machines(address))
    root = machines(f"{address}?endpoint_override=127.0.0.1:{proxy.port}&scheme=http", 1)
    proxy.down = 700
    with pytest.raises(RalmError, match="cannot be read"):
        Datastore.open(root)
    assert not [path for path in root.rglob("*.tmp")]
    proxy.down = None
    assert texts(root) == [f"text {n}" for n in range(ROWS)]


def test_damage_in_the_bucket_and_in_the_cache(machines, objects, address):
    manifest = put_store(machines(address)).manifest
    bucket = address.split("/")[2]
    entry = manifest.shards[0].vectors
    key = f"deep/store/{entry.path}.{entry.xxh3}"
    root = machines(address, 1)
    assert len(texts(root)) == ROWS
    # In the cache: fetched anew.
    (root / entry.path).write_bytes(os.urandom(entry.bytes))
    assert verify(root) == []
    assert len(texts(root)) == ROWS
    # In the bucket: of the right size, missing.
    objects.put(bucket, key, bytes(entry.bytes))
    with pytest.raises(RalmError, match=r"vectors/00000\.npy\..* is damaged \(its checksum differs\)"):
        Datastore.open(machines(address, 2))
    objects.client.delete_object(Bucket=bucket, Key=key)
    with pytest.raises(RalmError, match=r"vectors/00000\.npy\..* cannot be read"):
        Datastore.open(machines(address, 3))
    (problem,) = verify(root)
    assert "is missing or has another size" in problem


def test_a_manifest_that_is_damaged_or_somebody_elses_is_a_sentence(machines, objects, address):
    manifest = put_store(machines(address)).manifest
    bucket = address.split("/")[2]
    objects.put(bucket, f"deep/store/manifests/000001.json.{manifest.hash}", b"{}")
    with pytest.raises(RalmError, match=r"000001\.json\..* is missing or damaged"):
        Datastore.open(machines(address, 1))
    for strange in (b"not json", b"[]", b'{"file": 1}'):
        objects.put(bucket, "deep/store/manifest.json", strange)
        with pytest.raises(RalmError, match=r"manifest\.json is not a ralm manifest"):
            Datastore.open(address)
    objects.put(bucket, "deep/store/manifest.json", b'{"file": "../../x", "xxh3": "0"}')
    with pytest.raises(RalmError, match="lists a file outside of itself"):
        Datastore.open(address)


def test_another_store_in_the_place_of_an_old_one_is_read_as_it_is(machines, objects, address):
    put_store(machines(address))
    reader = machines(address, 1)
    assert texts(reader)[0] == "text 0"
    bucket = address.split("/")[2]
    for key in objects.tree(bucket):
        objects.client.delete_object(Bucket=bucket, Key=key)
    put_store(machines(address, 2), reversed(range(ROWS)))
    assert texts(reader) == [f"text {n}" for n in reversed(range(ROWS))]


def test_files_of_the_same_bytes_are_one_object_of_the_cache(machines, address):
    store = put_store(machines(address))
    origin = Origin.of(machines(address, 1))
    entry = store.manifest.shards[0].vectors
    twin = entry.model_copy(update={"path": "vectors/twin.npy"})
    origin.fetch([entry])
    origin.put([entry])
    origin.bucket.upload(f"{twin.path}.{twin.xxh3}", origin.root / entry.path)
    origin.fetch([entry, twin])
    assert (origin.root / twin.path).samefile(origin.root / entry.path)


def test_a_server_that_overwrites_against_the_condition_is_refused(machines, monkeypatch, address):
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
        put_store(machines(address))
    assert not published(Layout(machines(address)))


def days(number):
    return datetime.now(UTC) + timedelta(days=number)


def test_objects_go_by_the_age_of_the_generations_they_are_of(machines, objects, address):
    bucket = address.split("/")[2]
    layout = Layout(machines(address))
    put_store(layout.root)
    take_down(layout, gone(0))
    # As a compaction leaves it: a generation without the first shard.
    manifest = current(layout)
    fewer = manifest.model_copy(update={"generation": 3, "shards": manifest.shards[1:]})
    publish(layout, fewer)
    objects.put(bucket, "deep/store/vectors/00009.npy.0123", b"an orphan")
    before = objects.tree(bucket)
    # All of it is of the last week.
    assert sweep_objects(layout, 7).bytes == 0
    assert objects.tree(bucket) == before
    swept = sweep_objects(layout, 7, days(8))
    assert swept.open == ()
    left = objects.tree(bucket)
    lost = {key.removeprefix("deep/store/").rpartition(".")[0] for key in before.keys() - left.keys()}
    shard = manifest.shards[0]
    assert lost == {file.path for file in shard.files} | {"vectors/00009.npy"}
    assert swept.bytes == sum(len(before[key]) for key in before.keys() - left.keys())
    assert Origin.of(layout.root).problems(fewer.files) == []


def test_a_job_that_goes_on_after_weeks_puts_its_objects_once_more(machines, objects, monkeypatch, address):
    """A sweep that listed them as old may be about to delete them."""
    entry = put_store(machines(address)).manifest.shards[0].vectors
    bucket, key = address.split("/")[2], f"deep/store/{entry.path}.{entry.xxh3}"
    origin = Origin.of(machines(address))
    mine, other = objects.tree(bucket)[key], bytes(entry.bytes)
    for young, settled, left in (
        (timedelta(hours=12), [], other),
        (timedelta(0), [entry], other),
        (timedelta(0), [], mine),
    ):
        objects.put(bucket, key, other)
        monkeypatch.setattr(module, "_YOUNG", young)
        origin.put([entry], settled)
        assert objects.tree(bucket)[key] == left


def test_a_sweep_refuses_what_it_cannot_do(tmp_path, machines, monkeypatch, address):
    layout = Layout(machines(address))
    put_store(layout.root)
    with pytest.raises(RalmError, match="the last 1 day stay"):
        sweep_objects(layout, 0.5)
    with pytest.raises(RalmError, match="There is no datastore at"):
        sweep_objects(Layout(tmp_path / "mistyped"), 7)
    local = Layout(tmp_path / "local")
    put_store(local.root)
    with pytest.raises(RalmError, match="is swept by `ralm compact`"):
        sweep_objects(local, 7)
