import os
import subprocess
import sys

import pytest

from base.threads import cores


@pytest.mark.parametrize(
    ("said", "most"), [("max 100000", 8), ("200000 100000", 2), ("50000 100000", 1), ("?", 8)]
)
def test_a_quota_is_kept(tmp_path, monkeypatch, said, most):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(8))
    (tmp_path / "cpu.max").write_text(said)
    assert cores(tmp_path) == most


@pytest.mark.parametrize("room", ["retriever", "lm"])
def test_waiting_threads_sleep_soon_unless_the_environment_says_how_they_wait(room):
    script = f"import os, {room}; print(os.environ.get('GOMP_SPINCOUNT'))"
    bare = {n: v for n, v in os.environ.items() if n not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    for given, found in (
        ({}, "1000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "active"}, "None"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", script], env=bare | given, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == found
