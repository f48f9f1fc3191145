import errno
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.files.writing import save_array
from datastore.generations.generation import current
from datastore.schema import Passage, passages_to_batch
from datastore.shard import ShardColumns, open_array, open_passages, open_shard, shard_keys
from datastore.store import Datastore


def test_a_shard_is_its_files_and_their_rows_agree(store):
    layout = Layout(store)
    entry = current(layout).shards[0]
    shard = open_shard(layout.root, entry)
    assert shard.passages.num_rows == len(shard.vectors) == entry.rows
    assert shard.alive is None
    assert shard.items.view(np.float16).reshape(shard.vectors.shape).tolist() == shard.vectors.tolist()
    assert shard_keys(shard.passages).tolist() == Datastore.open(store).keys(range(entry.rows)).tolist()
    with pytest.raises(RalmError, match=f"has {entry.rows} rows where the manifest says {entry.rows + 1}"):
        open_shard(layout.root, entry.model_copy(update={"rows": entry.rows + 1}))


@pytest.mark.parametrize("rows", [None, np.array([2, 0], np.int64), np.array([], np.int64)])
def test_a_view_sees_the_columns_of_some_rows_or_of_all(rows):
    passages = [Passage("", domain, "x", n, 0, {"year": n} if n else {}) for n, domain in enumerate("abc")]
    columns = ShardColumns(passages_to_batch(passages), rows)
    mine = passages if rows is None else [passages[row] for row in rows]
    assert columns.keys.tolist() == [p.key for p in mine]
    assert columns.domains == [p.domain for p in mine]
    assert columns.metadata("year") == [p.metadata.get("year") for p in mine]


def test_open_files_keep_no_descriptor(store):
    """A process may often have 1,024 only, and a store has thousands of shards."""
    layout = Layout(store)
    entry = current(layout).shards[0]
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    held = [open_shard(layout.root, entry) for _ in range(20)]
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert {shard.vectors.tobytes() for shard in held} == {np.load(layout.vectors(0)).tobytes()}


@given(
    hnp.arrays(
        st.sampled_from([np.float16, np.uint8, np.int64, np.uint64]),
        hnp.array_shapes(min_dims=1, max_dims=2, min_side=0),
    )
)
def test_what_is_saved_is_what_is_opened(tmp_path_factory, array):
    path = tmp_path_factory.mktemp("arrays") / "a.npy"
    with open(path, "wb") as handle:
        save_array(handle, array)
    found = open_array(path)
    assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert np.load(path).tobytes() == array.tobytes()
    assert not found.flags.writeable


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.EMFILE, r"cannot be opened .*ulimit -n"),
        (errno.ENOMEM, r"cannot be opened .*vm\.max_map_count"),
        (errno.ESTALE, "cannot be read .*: mend that and try again"),
        (errno.ENOENT, "is missing: restore it from a copy"),
    ],
)
@pytest.mark.parametrize("opened", [open_array, open_passages])
def test_a_system_that_opens_no_more_files_is_not_a_damaged_store(
    tmp_path, monkeypatch, opened, number, sentence
):
    def fail(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("datastore.shard.pa.memory_map", fail)
    with pytest.raises(RalmError, match=sentence):
        opened(tmp_path / "x")


@pytest.mark.parametrize("array", [np.asfortranarray([[1, 2], [3, 4]]), np.array([None, "x"], object)])
def test_arrays_of_another_kind_are_refused(tmp_path, array):
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    with pytest.raises(RalmError, match=r"is damaged .*another order, or of Python's objects"):
        open_array(tmp_path / "x.npy")


@pytest.mark.parametrize("damage", [b"{((((", b"{'descr': ]'<i8'"])
def test_a_damaged_header_is_a_sentence(tmp_path, damage):
    np.save(tmp_path / "x.npy", np.arange(3))
    data = bytearray((tmp_path / "x.npy").read_bytes())
    data[10 : 10 + len(damage)] = damage
    (tmp_path / "x.npy").write_bytes(data)
    with pytest.raises(RalmError, match=r"is damaged .*: restore it from a copy"):
        open_array(tmp_path / "x.npy")


@pytest.mark.parametrize("opened", [open_array, open_passages])
def test_a_damaged_file_is_a_sentence(tmp_path, opened):
    (tmp_path / "x").write_bytes(b"neither an array nor passages")
    with pytest.raises(RalmError, match=r"x is damaged .*: restore it from a copy"):
        opened(tmp_path / "x")
