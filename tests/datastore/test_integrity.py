import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.generations.generation import current
from datastore.integrity import compare, file_problem, require_whole
from tests.conftest import flip

DATA = bytes(range(256)) * 20


def written(root):
    return [Layout(root).write(root / name, lambda handle: handle.write(DATA)) for name in ("a", "b")]


@given(at=st.integers(0, len(DATA) - 1), bit=st.integers(0, 7), name=st.sampled_from("ab"))
def test_any_flipped_bit_is_found_and_the_file_named(tmp_path_factory, at, bit, name):
    root = tmp_path_factory.mktemp("whole")
    files = written(root)
    require_whole(root, files)
    data = bytearray(DATA)
    data[at] ^= 1 << bit
    (root / name).write_bytes(data)
    with pytest.raises(RalmError, match=f"/{name} is corrupted"):
        require_whole(root, files)
    (root / name).write_bytes(DATA)
    require_whole(root, files)


def test_a_file_is_compared_once_unless_it_is_written_to(tmp_path, monkeypatch):
    file, _ = written(tmp_path)
    os.utime(tmp_path / "a", (1e9, 1e9))
    read = []
    monkeypatch.setattr("datastore.integrity.checksum", lambda path: read.append(path) or file.xxh3)
    for _ in range(3):
        compare(tmp_path / "a", file)
    assert len(read) == 1
    os.utime(tmp_path / "a", (1e9, 1e9 + 1))
    compare(tmp_path / "a", file)
    assert len(read) == 2


def test_a_missing_and_a_short_file_are_said(tmp_path):
    one, other = written(tmp_path)
    (tmp_path / "a").unlink()
    with pytest.raises(RalmError, match=r"/a is missing: mend it\."):
        compare(tmp_path / "a", one, "mend it.")
    os.truncate(tmp_path / "b", 9)
    with pytest.raises(RalmError, match=f"/b has 9 bytes instead of {len(DATA)}"):
        compare(tmp_path / "b", other)


def test_what_is_wrong_with_a_file_is_said_with_the_mend(own_store):
    layout = Layout(own_store)
    vectors = current(layout).shards[0].vectors
    path = layout.root / vectors.path
    assert file_problem(layout, vectors, full=True) is None
    flip(path)
    assert file_problem(layout, vectors, full=False) is None
    assert "is corrupted (its checksum differs): restore it" in str(file_problem(layout, vectors, full=True))
    path.write_bytes(b"cut")
    assert "has 3 bytes where the manifest says" in str(file_problem(layout, vectors, full=False))
    path.unlink()
    problem = f"{path} is missing: restore it from a copy, or build again in another folder."
    assert file_problem(layout, vectors, full=False) == problem
