"""The nearest centroid of each vector in one kernel: products, and a running maximum that stays on the chip.

A matrix product would write a score for every vector and list to memory and read it again: at 65,536 lists
that takes longer than the product.

Decisions: docs/decisions/gpu.md.
"""

from functools import lru_cache
from importlib.util import find_spec

import torch

# Vectors, lists and dimensions that a program multiplies at once, and steps that it reads ahead: the quickest
# of those tried on an H200 with 384 dimensions and 65,536 lists.
_VECTORS, _LISTS, _INNER, _AHEAD, _WARPS = 128, 256, 64, 3, 8


def fits(vectors: torch.Tensor, centroids: torch.Tensor) -> bool:
    """Whether the kernel takes them: float16 on a GPU, in whole steps of lists and dimensions."""
    return bool(
        vectors.is_cuda
        and vectors.dtype == centroids.dtype == torch.float16
        and len(centroids) % _LISTS == 0
        and vectors.shape[1] % _INNER == 0
        and _at_hand()
    )


def nearest(vectors: torch.Tensor, centroids: torch.Tensor) -> torch.Tensor:
    """The centroid of the largest product with each vector: [n, d], [k, d] -> int64 [n].

    Sums are of float32; of equal ones it is the first.
    """
    from retriever.index import assignment_kernel

    found = torch.empty(len(vectors), dtype=torch.int64, device=vectors.device)
    if len(found):
        steps = (_VECTORS, _LISTS, _INNER, _AHEAD)
        assignment_kernel.launch(vectors.contiguous(), centroids.contiguous(), found, steps, _WARPS)
    return found


@lru_cache(maxsize=1)
def _at_hand() -> bool:
    return find_spec("triton") is not None
