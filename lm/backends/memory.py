"""Bytes that a model's weights take: those that are held, wherever they lie, and those to be expected.

Decisions: docs/decisions/reader-and-citations.md.
"""

from collections.abc import Hashable, Iterator
from typing import Any

import torch

from base.amounts import amount
from base.errors import RalmError
from base.foreign import Refused, ask
from base.memory import available_memory
from lm.backends.devices import best_dtype, file_bytes, settled
from lm.backends.quantizations import DEFAULT_QUANTIZATION, quantization
from lm.backends.reader_choice import ReaderChoice

# What is named to whoever has too little memory: it runs on every device.
_FEWER = "nf4"


def require_memory(choice: ReaderChoice) -> None:
    """Raise RalmError for a reader, a folder or one of the hub, that this machine's memory cannot hold.

    It is told by the configuration, before any weight is loaded: what reads thousands of prompts is not to
    fetch its weights from disk for each.
    """
    device = settled(choice.device)
    needed, free = expected_bytes(choice, best_dtype(device)), available_memory()
    if needed is None or free is None:
        return
    if device.type == "cuda":
        which = range(torch.cuda.device_count()) if device.index is None else [device.index]
        free += sum(int(torch.cuda.mem_get_info(one)[0]) for one in which)
    if needed > free:
        kept = quantization(choice.quantization or DEFAULT_QUANTIZATION)
        fewer = f", or fewer bits, --quantization {_FEWER}" if quantization(_FEWER).bits < kept.bits else ""
        raise RalmError(
            f"The reader {choice.name} would take {amount(needed, 'bytes')} as {kept.name}, but "
            f"{amount(free, 'bytes')} are free here: choose a smaller one{fewer}."
        )


def expected_bytes(choice: ReaderChoice, dtype: torch.dtype) -> int | None:
    """Bytes that a reader's weights will take, by its configuration; None for what is none of transformers'.

    Linear layers are quantized; embeddings and the output matrix keep the data type.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = ask(AutoConfig.from_pretrained, choice.name)
        if getattr(config, "quantization_config", None):
            return file_bytes(choice.name, dtype)
        with torch.device("meta"):
            model = ask(AutoModelForCausalLM.from_config, config)
    except (Refused, OSError):
        return None  # Whoever loads it says what is wrong.
    named = quantization(choice.quantization or DEFAULT_QUANTIZATION)
    output = model.get_output_embeddings()
    linear = {
        id(one.weight)
        for one in model.modules()
        if named.config and isinstance(one, torch.nn.Linear) and one is not output
    }
    bits = (
        one.numel() * (named.bits if id(one) in linear else 8 * dtype.itemsize) for one in model.parameters()
    )
    return int(sum(bits) / 8)


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
