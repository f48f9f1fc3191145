import errno
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from base.errors import RalmError
from datastore.files.json import write_json
from datastore.files.layout import Layout
from datastore.files.writing import atomic_write, checksum, checksum_of, move, save_array


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
    assert checksum(tmp_path / "empty") == checksum_of(b"") == "99aa06d3014798d86001c324468d497f"
    (tmp_path / "large").write_bytes(data := bytes(range(256)) * 20_000)
    assert checksum(tmp_path / "large") == checksum_of(data)


def test_a_move_that_happened_before_is_done(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    move(tmp_path / "a", tmp_path / "sub" / "b")
    move(tmp_path / "a", tmp_path / "sub" / "b")
    assert (tmp_path / "sub" / "b").read_bytes() == b"x"
    with pytest.raises(RalmError, match="Neither"):
        move(tmp_path / "a", tmp_path / "c")


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EDQUOT, errno.EFBIG])
def test_what_the_disk_refuses_at_the_last_moment_is_a_sentence_and_leaves_nothing(
    tmp_path, monkeypatch, number
):
    def fsync(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(RalmError, match="file"):
        atomic_write(tmp_path / "file", lambda handle: handle.write(b"new"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("RLIMIT_FSIZE, (4096, 4096)", "allow larger files"),
        ("RLIMIT_NOFILE, (len(os.listdir('/proc/self/fd')) - 1,) * 2", "allow a process more files"),
    ],
)
def test_limits_of_a_process_are_sentences(tmp_path, limit, message):
    script = (
        "import os, resource; from pathlib import Path; from base.errors import RalmError\n"
        "from datastore.files.writing import atomic_write\n"
        f"resource.setrlimit(resource.{limit})\n"
        "try:\n"
        f"    atomic_write(Path({str(tmp_path / 'file')!r}), lambda handle: handle.write(bytes(9000)))\n"
        "except RalmError as error:\n"
        "    print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert str(tmp_path / "file") in ran.stdout
    assert message in ran.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def mounted(tmp_path):
    """A file system in memory, mounted again with the options that a test gives."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount")

    def again(options):
        subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)
        return folder

    yield again
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_without_room_for_one_more_name_is_a_sentence(mounted):
    root = mounted("nr_inodes=3")
    with pytest.raises(RalmError, match=r"No space left to write .*/build\.json"):
        write_json(Layout(root / "s").build_file, {})
    with pytest.raises(RalmError, match="No space left"), Layout(root / "t").publishing():
        pass


@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (5, 4)])
def test_arrays_are_written_as_numpy_would(tmp_path, shape):
    array = np.arange(np.prod(shape), dtype=np.float16).reshape(shape)
    atomic_write(tmp_path / "ours.npy", lambda handle: save_array(handle, array))
    np.save(tmp_path / "theirs.npy", array)
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "theirs.npy").read_bytes()


def test_a_store_that_can_only_be_read_is_not_changed(mounted, store, ralm):
    root = mounted("rw") / "s"
    shutil.copytree(store, root)
    mounted("ro")
    for command in (("delete", root, "--ids", "Arvenholm-1", "--yes"), ("card", root), ("discard", root)):
        code, _, err = ralm(*command)
        assert code == 2
        assert "cannot be written: choose a folder that you may write to." in err
    assert ralm("verify", root)[0] == 0
