import os

import pytest
import torch

from base.threads import cores
from lm.backends.threads import Pace, free_cores, paced
from lm.backends.transformers_reader import TransformersReader
from lm.prompts import Message, Prompt
from lm.reader import Sampling

SMALL, LARGE = 1 << 20, 1 << 33


def proc(folder, running, ours):
    """A /proc in which so many threads run, of which some are ours."""
    (folder / "loadavg").write_text(f"1.00 1.00 1.00 {running}/300 4711\n")
    for n, state in enumerate(["R"] * ours + ["S"] * 3):
        (folder / "self" / "task" / str(n)).mkdir(parents=True)
        (folder / "self" / "task" / str(n) / "stat").write_text(f"{n} (a (b) c) {state} 1 2 3\n")
    return folder


@pytest.mark.parametrize(
    ("running", "ours", "left"), [(1, 1, 8), (4, 4, 8), (3, 1, 6), (9, 1, 1), (100, 2, 1), (0, 0, 8)]
)
def test_cores_are_free_on_which_nobody_else_runs(tmp_path, monkeypatch, running, ours, left):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setattr("lm.backends.threads.cores", lambda: 8)
    assert free_cores(proc(tmp_path, running, ours)) == left
    monkeypatch.setattr("lm.backends.threads.cores", lambda: 2)
    assert free_cores(tmp_path) == min(2, left)


def test_a_system_that_does_not_tell_has_all_its_cores(tmp_path):
    assert free_cores(tmp_path) == cores(tmp_path) == len(os.sched_getaffinity(0))


def test_a_small_model_takes_one_thread_for_each_token(two_threads, monkeypatch):
    monkeypatch.setattr("lm.backends.threads.free_cores", lambda: 2)
    for weights, later in ((SMALL, 1), (LARGE, 2)):
        with paced(weights) as pace:
            assert torch.get_num_threads() == 2
            pace(3)
            assert torch.get_num_threads() == later
        assert torch.get_num_threads() == 2


def test_threads_that_wait_for_a_core_become_one(two_threads, monkeypatch):
    clock = iter([(0.0, 0.0), (0.9, 1.0), (1.2, 2.0), (2.2, 3.0)])
    now = [next(clock)]
    monkeypatch.setattr("time.thread_time", lambda: now[0][0])
    monkeypatch.setattr("time.perf_counter", lambda: now[0][1])
    pace, seen = Pace(2, LARGE), []
    for _ in range(4):
        pace(1)
        seen.append(torch.get_num_threads())
        now[0] = next(clock, (0.0, 0.0))
    assert seen == [2, 2, 1, 1]


def test_what_the_environment_says_is_left_as_it_is(two_threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with paced(SMALL) as pace:
        pace(1)
        assert torch.get_num_threads() == 2


def test_an_answer_is_read_at_that_pace(reader: TransformersReader, two_threads, monkeypatch):
    monkeypatch.setattr("lm.backends.threads.free_cores", lambda: 1)
    seen = []
    call = Pace.__call__
    monkeypatch.setattr(
        Pace, "__call__", lambda *a, **o: seen.append(torch.get_num_threads()) or call(*a, **o)
    )
    prompt = Prompt.of([Message("user", "Say one word.")])
    (whole,) = reader.generate([prompt], Sampling(max_tokens=3))
    assert "".join(reader.stream(prompt, Sampling(max_tokens=3))).strip() == whole.text
    assert {*seen} == {1}
    assert len(seen) >= 2
