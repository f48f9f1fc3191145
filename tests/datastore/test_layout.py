import errno
import multiprocessing
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from datastore.errors import RalmError
from datastore.layout import (
    FileInfo,
    Layout,
    Marker,
    atomic_write,
    checksum,
    explain,
    move,
    read_json,
    save_array,
    write_json,
)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    atomic_write(path, lambda handle: handle.write(b"old"))

    def fail(handle):
        handle.write(b"half of the n")
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        atomic_write(path, fail)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_checksum_is_xxh3(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    # The published test vector of XXH3-128 for no input and seed 0.
    assert checksum(tmp_path / "empty") == "99aa06d3014798d86001c324468d497f"


def test_a_marker_comes_back_as_it_was(tmp_path):
    layout = Layout(tmp_path)
    marker = Marker({"documents": 3}, (FileInfo("a/b", 4, "00"),))
    assert layout.done("read", 7) is None
    layout.mark("read", 7, marker)
    assert layout.done("read", 7) == marker


def test_equal_json_is_equal_bytes(tmp_path):
    write_json(tmp_path / "a", {"x": 1, "y": 2})
    write_json(tmp_path / "b", {"y": 2, "x": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_broken_json_is_named(tmp_path):
    (tmp_path / "m.json").write_text("{")
    with pytest.raises(RalmError, match=r"m\.json is not valid JSON"):
        read_json(tmp_path / "m.json")


def test_a_move_that_happened_before_is_done(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    move(tmp_path / "a", tmp_path / "sub" / "b")
    move(tmp_path / "a", tmp_path / "sub" / "b")
    assert (tmp_path / "sub" / "b").read_bytes() == b"x"
    with pytest.raises(RalmError, match="Neither"):
        move(tmp_path / "a", tmp_path / "c")


def _hold(root: Path, held, release) -> None:
    with Layout(root).lock():
        held.set()
        release.wait(30)


def test_one_build_at_a_time(tmp_path):
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path, held, release))
    other.start()
    assert held.wait(30)
    with pytest.raises(RalmError, match=f"being changed by process {other.pid}"), Layout(tmp_path).lock():
        pass
    release.set()
    other.join(30)
    with Layout(tmp_path).lock():
        pass


def test_a_dead_builds_lock_and_leftovers_do_not_stay(tmp_path):
    script = (
        "import os, signal; from pathlib import Path; from datastore.layout import Layout, atomic_write\n"
        f"with Layout(Path({str(tmp_path)!r})).lock():\n"
        f"    atomic_write(Path({str(tmp_path / 'x')!r}), lambda h: os.kill(os.getpid(), signal.SIGKILL))\n"
    )
    died = subprocess.run([sys.executable, "-c", script], check=False)
    assert died.returncode == -9
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".tmp")]
    with Layout(tmp_path).lock():
        assert sorted(p.name for p in tmp_path.iterdir()) == ["lock"]


def test_a_full_disk_becomes_a_sentence(tmp_path):
    with (
        pytest.raises(OSError, match="No space left") as caught,
        open("/dev/full", "wb", buffering=0) as full,
    ):
        full.write(b"x")
    found = explain(caught.value, tmp_path / "vectors")
    assert isinstance(found, RalmError)
    assert "No space left to write" in str(found)
    assert "vectors" in str(found)


def test_other_disk_errors_stay_themselves(tmp_path):
    error = OSError(errno.EIO, "broken")
    assert explain(error, tmp_path) is error


@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (5, 4)])
def test_arrays_are_written_as_numpy_would(tmp_path, shape):
    array = np.arange(np.prod(shape), dtype=np.float16).reshape(shape)
    atomic_write(tmp_path / "ours.npy", lambda handle: save_array(handle, array))
    np.save(tmp_path / "theirs.npy", array)
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "theirs.npy").read_bytes()
