"""The kernel of `assignment.py`. Imports Triton, which PyTorch for CUDA brings."""

import torch
import triton
import triton.language as tl


# Triton would compile it anew for numbers that 16 divides.
@triton.jit(do_not_specialize=["count", "lists"])
def _nearest(  # noqa: PLR0913
    vectors,
    centroids,
    found,
    count,
    lists,
    D: tl.constexpr,
    VECTORS: tl.constexpr,
    LISTS: tl.constexpr,
    INNER: tl.constexpr,
    AHEAD: tl.constexpr,
) -> None:
    """Program t: VECTORS vectors against all lists, LISTS of them at a time, INNER dimensions at a time."""
    rows = tl.program_id(0).to(tl.int64) * VECTORS + tl.arange(0, VECTORS)
    # What stands behind the last vector is not read: it is the last one once more.
    here = tl.minimum(rows, count - 1)
    inner = tl.arange(0, INNER)
    columns = tl.arange(0, LISTS)
    STEPS: tl.constexpr = D // INNER
    best = tl.full([VECTORS], float("-inf"), tl.float32)
    at = tl.zeros([VECTORS], tl.int32)
    sums = tl.zeros([VECTORS, LISTS], tl.float32)
    # One loop over both: the next lists are read while these are multiplied.
    for step in tl.range(0, (lists // LISTS) * STEPS, num_stages=AHEAD):
        dimension = (step % STEPS) * INNER
        first = (step // STEPS) * LISTS
        left = tl.load(vectors + here[:, None] * D + (dimension + inner)[None, :])
        right = tl.load(centroids + (first + columns)[None, :] * D + (dimension + inner)[:, None])
        sums = tl.dot(left, right, sums)
        if step % STEPS == STEPS - 1:
            top, which = tl.max(sums, 1, return_indices=True)
            higher = top > best
            best = tl.where(higher, top, best)
            at = tl.where(higher, first + which, at)
            sums = tl.zeros([VECTORS, LISTS], tl.float32)
    tl.store(found + rows, at.to(tl.int64), mask=rows < count)


def launch(
    vectors: torch.Tensor,
    centroids: torch.Tensor,
    found: torch.Tensor,
    steps: tuple[int, int, int, int],
    warps: int,
) -> None:
    """Write each vector's centroid to `found`, int64 [n]; all three contiguous.

    `steps`: vectors, lists and dimensions at once, and steps read ahead. Lists and dimensions come out even.
    """
    size, lists, inner, ahead = steps
    grid = (triton.cdiv(len(vectors), size),)
    arguments = vectors, centroids, found, len(vectors), len(centroids), vectors.shape[1]
    with torch.cuda.device(vectors.device):
        _nearest[grid](*arguments, size, lists, inner, ahead, num_warps=warps)
