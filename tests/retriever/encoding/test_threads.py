import pytest
import torch

from retriever.encoding.threads import encoding, torch_threads

LARGE = 10**9


def threads_of(*given):
    with encoding(*given):
        return torch.get_num_threads()


def test_what_is_soon_done_takes_one_thread(two_threads):
    assert threads_of(10**7, 12, 2) == 1
    assert threads_of(10**7, 4096, 2) == 2
    # A large model's weights are read from memory, however few tokens there are.
    assert threads_of(LARGE, 1, 2) == 2
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "MKL_NUM_THREADS"])
def test_what_the_environment_says_is_left_as_it_is(two_threads, monkeypatch, name):
    monkeypatch.setenv(name, "2")
    assert threads_of(10, 1, 1) == 2


def test_a_build_keeps_its_one_thread(two_threads):
    with torch_threads(1):
        assert threads_of(LARGE, 4096, 2) == 1
        with torch_threads(2):
            assert threads_of(LARGE, 4096, 4) == 2
        assert threads_of(LARGE, 4096, 2) == 1
    assert threads_of(LARGE, 4096, 2) == 2
