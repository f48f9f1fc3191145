"""How much is read at once: rows by what the device is good at, tokens by the memory that is free.

Decisions: docs/decisions/batching.md.
"""

from typing import Any

import torch

from base.memory import available_memory
from lm.batches import Room

# Rows of a batch. On a CPU more of them are no faster; a GPU still is.
_ROWS = {"cpu": 16, "cuda": 64}
# The share of the memory that is free for keys and values of a batch, and for those of prompts read before.
_BATCH, _KEPT = 4, 32
# However much is free, no more is kept than this, in bytes.
_MOST_KEPT = 1 << 32
# Taken to be free where the system does not say.
_UNKNOWN = 1 << 31


def token_bytes(config: Any, dtype: torch.dtype) -> int:
    """Bytes of a token's keys and values in all layers.

    Where a model says nothing of heads, they are taken to be as wide together as its hidden states: models
    that keep a state of one size, whatever the text's length, take less.
    """
    text = config.get_text_config(decoder=True)
    heads = getattr(text, "num_attention_heads", None) or 1
    kept = getattr(text, "num_key_value_heads", None) or heads
    size = getattr(text, "head_dim", None) or text.hidden_size // heads
    return int(2 * text.num_hidden_layers * kept * size * dtype.itemsize)


def free_bytes(device: torch.device) -> int:
    """Memory of a device that nobody uses."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return available_memory() or _UNKNOWN


def room_of(model: Any) -> Room:
    """What a batch of a model may hold."""
    tokens = free_bytes(model.device) // _BATCH // token_bytes(model.config, model.dtype)
    return Room(_ROWS.get(model.device.type, _ROWS["cpu"]), tokens)


def kept_bytes(device: torch.device) -> int:
    """How many bytes of prompts that were read before may be kept."""
    return min(_MOST_KEPT, free_bytes(device) // _KEPT)
