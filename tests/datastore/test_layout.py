import errno
import multiprocessing
import os
import shutil
import subprocess
import sys
from contextlib import suppress
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


def test_settings_come_back_and_no_flipped_bit_with_them(tmp_path):
    layout = Layout(tmp_path)
    assert layout.read_settings() == {}
    settings = {"config": {"seed": 0, "recall": 0.95}, "splits": [1], "work": 4}
    layout.write_settings(settings)
    assert layout.read_settings() == settings
    written = layout.build_file.read_bytes()
    for at in range(len(written)):
        layout.build_file.write_bytes(bytes((*written[:at], written[at] ^ 4, *written[at + 1 :])))
        with suppress(RalmError):
            found = layout.read_settings()
            # The name of the checksum is in none: what claims the settings finds one too many.
            assert {name: found.get(name) for name in settings} == settings
    # As early jobs wrote them.
    write_json(layout.build_file, settings)
    assert layout.read_settings() == settings


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


@pytest.mark.parametrize("act", ["lock", "publishing", "write", "move"])
def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path, act):
    (tmp_path / "moved").write_bytes(b"")
    layout = Layout(Path("/proc/nothing"))
    acts = {
        "lock": lambda: layout.lock().__enter__(),
        "publishing": lambda: layout.publishing().__enter__(),
        "write": lambda: write_json(layout.root / "a" / "b", {}),
        "move": lambda: move(tmp_path / "moved", layout.root / "a" / "b"),
    }
    with pytest.raises(RalmError, match="/proc/nothing"):
        acts[act]()


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("RLIMIT_FSIZE, (4096, 4096)", "allow larger files"),
        ("RLIMIT_NOFILE, (len(os.listdir('/proc/self/fd')) - 1,) * 2", "allow a process more files"),
    ],
)
def test_limits_of_a_process_are_sentences(tmp_path, limit, message):
    script = (
        "import os, resource; from pathlib import Path; from datastore.errors import RalmError\n"
        "from datastore.layout import atomic_write\n"
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


def test_a_store_that_can_only_be_read_is_not_changed(mounted, store, ralm):
    root = mounted("rw") / "s"
    shutil.copytree(store, root)
    mounted("ro")
    for command in (("delete", root, "--ids", "Arvenholm-1", "--yes"), ("card", root), ("discard", root)):
        code, _, err = ralm(*command)
        assert code == 2
        assert "cannot be written: choose a folder that you may write to." in err
    assert ralm("verify", root)[0] == 0


def test_a_takedown_clears_away_what_a_killed_one_has_left(tmp_path):
    layout = Layout(tmp_path)
    ours = layout.takedowns(2).with_name(f"000002.jsonl.{'0' * 32}.tmp")
    for path in (ours, layout.takedowns(2).with_name("mine.tmp")):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    with layout.publishing():
        assert [path.name for path in ours.parent.iterdir()] == ["mine.tmp"]


@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (5, 4)])
def test_arrays_are_written_as_numpy_would(tmp_path, shape):
    array = np.arange(np.prod(shape), dtype=np.float16).reshape(shape)
    atomic_write(tmp_path / "ours.npy", lambda handle: save_array(handle, array))
    np.save(tmp_path / "theirs.npy", array)
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "theirs.npy").read_bytes()
