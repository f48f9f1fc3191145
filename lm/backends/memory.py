"""Bytes that a model's weights take in memory.

Decisions: docs/decisions/reader-and-citations.md.
"""

from collections.abc import Iterator
from typing import Any

import torch


def measured_bytes(model: torch.nn.Module) -> int:
    """Bytes that a model's weights take in memory, whatever form they are quantized to.

    `get_memory_footprint()` counts torchao's tensors by the type they pretend to have. Counted here
    are the tensors really held, each storage once.
    """
    storages: dict[int, int] = {}
    held: list[Any] = [*model.parameters(), *model.buffers()]
    # bitsandbytes keeps LLM.int8's scales on the module's weight, outside the parameters.
    for parameter in model.parameters():
        held += [t for n in ("CB", "SCB") if (t := getattr(parameter, n, None)) is not None]
        if (state := getattr(parameter, "quant_state", None)) is not None:
            held += [t for t in vars(state).values() if isinstance(t, torch.Tensor)]
    for tensor in held:
        for plain in _plain_tensors(tensor):
            storage = plain.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


def _plain_tensors(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    inner = tensor.data if isinstance(tensor, torch.nn.Parameter) else tensor
    if not hasattr(inner, "__tensor_flatten__"):
        yield inner
        return
    for name in inner.__tensor_flatten__()[0]:
        yield from _plain_tensors(getattr(inner, name))
