import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest

from base.errors import RalmError
from datastore.files.layout import Layout


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
        "import os, signal; from pathlib import Path\nfrom datastore.files.layout import Layout\n"
        "from datastore.files.writing import atomic_write\n"
        f"with Layout(Path({str(tmp_path)!r})).lock():\n"
        f"    atomic_write(Path({str(tmp_path / 'x')!r}), lambda h: os.kill(os.getpid(), signal.SIGKILL))\n"
    )
    died = subprocess.run([sys.executable, "-c", script], check=False)
    assert died.returncode == -9
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".tmp")]
    with Layout(tmp_path).lock():
        assert sorted(p.name for p in tmp_path.iterdir()) == ["lock"]


def test_a_takedown_clears_away_what_a_killed_one_has_left(tmp_path):
    layout = Layout(tmp_path)
    ours = layout.takedowns(2).with_name(f"000002.jsonl.{'0' * 32}.tmp")
    for path in (ours, layout.takedowns(2).with_name("mine.tmp")):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    with layout.publishing():
        assert [path.name for path in ours.parent.iterdir()] == ["mine.tmp"]
