"""Bytes that a model's weights take, in memory and where they are offloaded to.

Decisions: docs/decisions/reader-and-citations.md.
"""

from collections.abc import Hashable, Iterator
from typing import Any

import torch


def measured_bytes(model: torch.nn.Module) -> int:
    """Bytes that a model's weights take, whatever form they are quantized to and wherever they lie.

    `get_memory_footprint()` counts torchao's tensors by the type they pretend to have. Counted here
    are the tensors really held, each storage once.
    """
    return sum(dict(_held(model)).values())


def _held(model: torch.nn.Module) -> Iterator[tuple[Hashable, int]]:
    """What holds the weights of a model, and its bytes."""
    for module in model.modules():
        # bitsandbytes moves int8's scales from the weight to the module as it first multiplies.
        for one in _scales(getattr(module, "state", None)):
            yield from _storages(one)
        for name, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is None:
                continue
            if tensor.device.type == "meta":
                yield from _offloaded(module, name, tensor)
                continue
            for one in (tensor, *_constants(tensor)):
                yield from _storages(one)


def _constants(tensor: Any) -> Iterator[torch.Tensor]:
    """What bitsandbytes keeps beside a weight: scales of int8; of 4 bits a state, which may hold another."""
    yield from _scales(tensor)
    state = getattr(tensor, "quant_state", None)
    while state is not None:
        yield from (one for one in vars(state).values() if isinstance(one, torch.Tensor))
        state = getattr(state, "state2", None)


def _scales(holder: Any) -> Iterator[torch.Tensor]:
    yield from (one for name in ("CB", "SCB") if isinstance(one := getattr(holder, name, None), torch.Tensor))


def _storages(tensor: torch.Tensor) -> Iterator[tuple[Hashable, int]]:
    inner = tensor.data if isinstance(tensor, torch.nn.Parameter) else tensor
    if hasattr(inner, "__tensor_flatten__"):
        for name in inner.__tensor_flatten__()[0]:
            yield from _storages(getattr(inner, name))
        return
    storage = inner.untyped_storage()
    yield (inner.device, storage.data_ptr()), storage.nbytes()


def _offloaded(module: torch.nn.Module, name: str, tensor: torch.Tensor) -> Iterator[tuple[Hashable, int]]:
    """A weight that accelerate fetches when it is needed: from memory, or from a file."""
    hook = getattr(module, "_hf_hook", None)
    for one in getattr(hook, "hooks", [hook]):
        kept = getattr(one, "weights_map", None)
        if kept is None:
            continue
        whole, name = getattr(kept, "dataset", kept), getattr(kept, "prefix", "") + name
        in_memory = getattr(whole, "state_dict", whole)
        if name in in_memory:
            yield from _storages(in_memory[name])
        else:
            entry = getattr(whole, "index", {}).get(name, {})
            where = entry.get("safetensors_file"), entry.get("weight_name", name)
            yield where, tensor.numel() * tensor.element_size()
        return
