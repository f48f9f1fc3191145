"""Where a reader's weights lie: on a GPU, on several, in memory, and what does not fit there on disk."""

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import torch

from base.errors import RalmError
from base.memory import available_memory

# The share of what is free that weights may take. The rest is for keys and values, and what layers compute.
_SHARE = 0.8


def settled(device: str) -> torch.device:
    """The device of a choice; for auto a GPU, if there is one. Raises RalmError for one that is not there."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    found, gpus = torch.device(device), torch.cuda.device_count()
    if found.type == "cuda" and (found.index or 0) >= gpus:
        there = f"{gpus} GPUs, from cuda:0 on" if gpus else "no GPU that torch can use"
        raise RalmError(f"There is no {device} for the reader: this machine has {there}.")
    return found


def best_dtype(device: torch.device | str = "cpu") -> torch.dtype:
    """bfloat16 where the hardware multiplies it natively; else float16 on a GPU, float32 on a CPU."""
    if torch.device(device).type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(False) else torch.float16
    found = torch.cpu.get_capabilities()
    native = found.get("avx512_bf16") or found.get("amx_bf16")
    return torch.bfloat16 if native else torch.float32


def placement(device: torch.device, needed: int | None) -> dict[str, Any]:
    """How transformers is to place weights that take so many bytes at most, unquantized; None: nobody knows.

    On one device where they surely fit; else spread by accelerate over GPUs, memory and disk in this order.
    """
    free, memory = _free(device), available_memory()
    if needed is not None and (free is None or needed <= _SHARE * free):
        return {"device_map": {"": device}}
    if device.type == "cpu" and (needed is None or free is None):
        return {"device_map": {"": device}}
    most: dict[int | str, int] = {}
    if device.type == "cuda":
        which = range(torch.cuda.device_count()) if device.index is None else [device.index]
        most = {one: int(_SHARE * torch.cuda.mem_get_info(one)[0]) for one in which}
    if memory is not None:
        most["cpu"] = int(_SHARE * memory)
    return {"device_map": "auto", "max_memory": most}


def _free(device: torch.device) -> int | None:
    return int(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else available_memory()


def file_bytes(path: str, dtype: torch.dtype) -> int | None:
    """The most bytes that the weights of a folder take in a data type; None where there is no such folder."""
    if not (folder := Path(path)).is_dir():
        return None
    files = [file for kind in ("*.safetensors", "*.bin") for file in folder.glob(kind)]
    # Files hold two bytes of a weight or more, or packed ones, which stay so.
    return sum(file.stat().st_size for file in files) * max(1, int(dtype.itemsize) // 2)


class Offload:
    """A folder for weights that are kept on disk; it goes with the model that reads them."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="ralm-offload-")
        # Where a model cannot be loaded, nobody takes it over.
        self._unwanted = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    def belongs_to(self, model: Any) -> None:
        """Remove the folder once the model is gone, or the process ends."""
        self._unwanted.detach()
        weakref.finalize(model, shutil.rmtree, self.folder, ignore_errors=True)


def hold_embeddings(model: Any) -> None:
    """Keep the input embeddings in memory if they were left on disk: each token would read all of them.

    Where they lie is where a model takes token ids (`model.device`).
    """
    from accelerate.hooks import remove_hook_from_module

    table = model.get_input_embeddings()
    if table.weight.device.type == "meta":
        weight = table._hf_hook.weights_map["weight"]
        remove_hook_from_module(table)
        table.weight = torch.nn.Parameter(weight, requires_grad=False)
