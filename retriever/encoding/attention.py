"""Attention of passages that lie end to end in one row of tokens: each attends to itself alone.

Knows where passages begin; knows no model.

Decisions: docs/decisions/embedding.md.
"""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from datastore.generations.manifest import Device


@dataclass(frozen=True, eq=False)
class Places:
    """Where passages lie in a row of tokens.

    `runs` on a CPU: (first token, passages, tokens of each) of neighbours of one length, in order.
    `bounds` on a GPU: int32 [passages + 1], the first token of each passage and the end; `longest` in tokens.
    """

    runs: tuple[tuple[int, int, int], ...] = ()
    bounds: torch.Tensor | None = None
    longest: int = 0

    @classmethod
    def of(cls, lengths: NDArray[np.int64], device: Device) -> "Places":
        """The places of passages of so many tokens each."""
        if device == "cuda":
            bounds = torch.from_numpy(np.concatenate([[0], lengths.cumsum()]).astype(np.int32))
            return cls(bounds=sent(bounds, device), longest=int(lengths.max()))
        runs, at = [], 0
        for length, group in groupby(lengths.tolist()):
            count = len(list(group))
            runs.append((at, count, length))
            at += count * length
        return cls(runs=tuple(runs))


@dataclass(frozen=True, eq=False)
class Projections:
    """What attention is computed of: queries [1, heads, tokens, width], their scale, and keys and values.

    Keys and values [1, heads or a fraction of them, tokens, width]. `causal`: a token sees none behind it.
    """

    queries: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor
    scale: float
    causal: bool = False


def attention(
    module: nn.Module, *states: torch.Tensor | None, scaling: float, places: Places, **_: Any
) -> tuple[torch.Tensor, None]:
    """`attended`, as transformers calls attention functions: `states` are queries, keys, values and a mask.

    `places` stands for the mask.
    """
    queries, keys, values, _mask = states
    assert queries is not None
    assert keys is not None
    assert values is not None
    # Decoders say that they look back only; one made into an encoder says otherwise in its configuration.
    causal = bool(module.is_causal) and getattr(module.config, "is_causal", True)
    return attended(Projections(queries, keys, values, scaling, causal), places), None


def attended(states: Projections, places: Places) -> torch.Tensor:
    """Attention of each passage to itself: [1, tokens, heads, width]."""
    if places.bounds is not None:
        return _attended_on_gpu(states, places)[None]
    queries, keys, values = states.queries, states.keys, states.values
    heads, tokens, width = queries.shape[1:]
    # Tokens of no passage, which fill a batch up, attend to nothing.
    out = queries.new_zeros(tokens, heads, width)
    for first, count, length in places.runs:
        stretch = slice(first, first + count * length)
        q, k, v = (
            x[0, :, stretch].unflatten(1, (count, length)).transpose(0, 1) for x in (queries, keys, values)
        )
        found = nn.functional.scaled_dot_product_attention(
            q, k, v, scale=states.scale, is_causal=states.causal, enable_gqa=q.shape[1] != k.shape[1]
        )
        out[stretch].unflatten(0, (count, length)).copy_(found.transpose(1, 2))
    return out[None]


def _attended_on_gpu(states: Projections, places: Places) -> torch.Tensor:
    from torch.nn.attention.varlen import varlen_attn

    groups = states.queries.shape[1] // states.keys.shape[1]
    q, k, v = (x[0].transpose(0, 1) for x in (states.queries, states.keys, states.values))
    if groups > 1:
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    bounds, longest = places.bounds, places.longest
    window = (-1, 0) if states.causal else (-1, -1)
    found: torch.Tensor = varlen_attn(
        q, k, v, bounds, bounds, longest, longest, scale=states.scale, window_size=window
    )
    return found


def sent(tensor: torch.Tensor, device: Device) -> torch.Tensor:
    """A tensor on the device; does not wait for it to get there."""
    return tensor if device == "cpu" else tensor.pin_memory().to(device, non_blocking=True)
