"""How many threads encoding takes: one, unless there is enough to do for several.

PyTorch takes every core for the smallest product, and waits at its end for the last of them.
Beside other jobs that is a thread whose core was taken away, and those that wait by spinning take it from
each other: 32 queries took 1.7 s instead of 0.1. What the environment says (OMP_NUM_THREADS) is left.

Decisions: docs/decisions/threads.md.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import local

from base.threads import given

# Operations of a layer's products together: what one thread does in a tenth of a second.
_SHARED_FLOPS = 2e10
# Few tokens take as long as so many: each weight is read once for all.
_READ_ONCE = 128
_held = local()


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Run torch in this thread on so many threads for a while, whatever `encoding` would choose."""
    import torch

    before, outer = torch.get_num_threads(), getattr(_held, "here", False)
    torch.set_num_threads(count)
    _held.here = True
    try:
        yield
    finally:
        _held.here = outer
        torch.set_num_threads(before)


@contextmanager
def encoding(weights: int, tokens: int, most: int) -> Iterator[None]:
    """Run torch on as many threads as batches of so many tokens are worth, at most `most`.

    `weights` are those that every token is multiplied with. The last bits of a small batch may depend on its
    threads, so they are the same however busy the machine is.
    """
    if given() or getattr(_held, "here", False):
        yield
        return
    with torch_threads(1 if 2 * weights * max(tokens, _READ_ONCE) < _SHARED_FLOPS else most):
        yield
