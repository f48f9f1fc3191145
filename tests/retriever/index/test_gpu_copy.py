import pytest

from retriever.index.gpu_copy import gpus_of_a_copy


@pytest.mark.parametrize(
    ("free", "size", "gpus"),
    [
        ([80], 1000, 1),
        ([80, 70, 80, 80], 0, 1),
        ([80, 70, 80, 80], 43, 1),
        ([80, 70, 80, 80], 44, 2),
        ([80, 70, 80, 80], 100, 3),
        ([80, 70, 80, 80], 1000, 4),
        # FAISS's temporary data alone would not fit.
        ([80, 1], 1, 2),
        ([80, 0], 1, 2),
    ],
)
def test_a_copy_takes_as_many_gpus_as_hold_it(monkeypatch, free, size, gpus):
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (free[device] << 30, 80 << 30))
    assert gpus_of_a_copy(size << 30, range(len(free))) == gpus
