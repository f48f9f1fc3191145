"""Passages of any length in one forward pass without padding: their tokens lie end to end.

transformers lets a program register an attention function and leaves masks to it: ours is in `attention.py`.
Architectures that it is right for are listed here; others are padded as usual. Knows tensors and modules;
knows nothing of tokenizers or files.

Decisions: docs/decisions/embedding.md.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from datastore.generations.manifest import Device
from retriever.encoding.attention import Places, attention, sent

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_ATTENTION = "ralm_packed"
# Architectures that hand to the attention function what they are called with, and attend to all of a text
# or to all of it before a token; and where they count positions from.
_FIRST_POSITION = {"bert": "zero", "qwen3": "zero", "roberta": "padding", "xlm-roberta": "padding"}
_POOLINGS = ("mean", "cls", "lasttoken")
# oneDNN compiles a matrix product for each number of rows and keeps a thousand: batches of so many tokens
# and more are filled up to a multiple, so that a few products are met again and again.
_ROUNDED, _MULTIPLE = 1024, 64
# Those of queries are of any number of tokens: smaller ones are filled up, too. (Of passages they are not:
# the last bits of a vector depend on it, and stores would not come out the same.)
_MULTIPLE_OF_QUERIES = 16


class ReorderedLinear(nn.Module):  # type: ignore[misc]
    """A linear layer that keeps its weights in the order in which oneDNN multiplies them.

    PyTorch's own reorders them in each call and writes the bias first, row by row. GELU, if asked for, is
    taken of the products before they are written.
    """

    def __init__(self, linear: nn.Linear, gelu: bool = False) -> None:
        super().__init__()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach())
        self._bias = None if linear.bias is None else linear.bias.detach()
        # The operation's name, and the variant of it: exact, not by tanh.
        self._after = ("gelu", "none") if gelu else ("none", "")

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """[..., in] to [..., out]."""
        name, variant = self._after
        found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
            states, self._weight, self._bias, name, [], variant
        )
        return found


class GeluLinear(nn.Module):  # type: ignore[misc]
    """A linear layer and GELU in one operation, on a GPU: the products are written once, not thrice moved.

    cuBLAS takes GELU by tanh there, which differs from the exact one by less than 0.0005.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self._weight, self._bias = linear.weight.detach().t(), linear.bias.detach()

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """[..., in] to [..., out]."""
        rows = states.flatten(0, -2)
        found: torch.Tensor = torch._addmm_activation(self._bias, rows, self._weight, use_gelu=True)
        return found.view(*states.shape[:-1], -1)


class GeluInPlace(nn.Module):  # type: ignore[misc]
    """GELU written over what it is taken of, on a CPU: the widest states of a layer take one place, not two.

    Where nothing else reads them, as in a feed-forward layer.
    """

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """[...] to [...], the same memory."""
        found: torch.Tensor = torch.ops.aten.gelu_(states)
        return found


def gelu_along(linear: nn.Linear, gelu: bool) -> nn.Module:
    """What stands for a linear layer on a GPU: itself, if no GELU follows it."""
    return GeluLinear(linear) if gelu else linear


@dataclass(frozen=True)
class Parts:
    """What a model that packs is made of.

    `body` holds its layers, named as transformers does. `states` takes ids and positions [1, tokens] and
    places, and gives the last layer's states [1, tokens, width]. `normalizes`: its vectors get length 1.
    """

    body: nn.Module
    states: Callable[[torch.Tensor, torch.Tensor, Places], torch.Tensor]
    pooling: str
    normalizes: bool

    @classmethod
    def of(cls, model: "SentenceTransformer", device: Device) -> "Parts | None":
        """Of a sentence-transformers model, changed to take packed passages only; None if it cannot."""
        if not can_pack(model, device):
            return None
        from transformers import AttentionInterface

        AttentionInterface.register(_ATTENTION, attention)
        body = model[0].auto_model
        body.set_attn_implementation(_ATTENTION)

        def states(ids: torch.Tensor, positions: torch.Tensor, places: Places) -> torch.Tensor:
            found: torch.Tensor = body(
                input_ids=ids, position_ids=positions, use_cache=False, places=places
            ).last_hidden_state
            return found

        return cls(body, states, model[1].pooling_mode, len(model) > 2)


class PackedModel:
    """A model that takes passages without padding."""

    def __init__(self, parts: Parts, device: Device) -> None:
        """Take it over, and change its layers to what is quickest here."""
        self._device = device
        self._body, self._states = parts.body, parts.states
        config = self._body.config
        padding = _FIRST_POSITION[config.model_type] == "padding"
        self._first_position = config.pad_token_id + 1 if padding else 0
        self._pooling, self._normalizes = parts.pooling, parts.normalizes
        # BERT's own pooler turns the first token's state into what no encoder here uses.
        if hasattr(self._body, "pooler"):
            self._body.pooler = None
        self._reordered = device == "cpu" and self._body.dtype == torch.bfloat16 and _has_reordered()
        if device == "cuda":
            _replace(self._body, gelu_along)
        elif self._reordered:
            _replace(self._body, ReorderedLinear)
        else:
            _replace_gelu(self._body, GeluInPlace)

    def __call__(
        self, inputs: NDArray[np.int64], lengths: NDArray[np.int64], queries: bool = False
    ) -> torch.Tensor:
        """Vectors of passages, or of `queries`: float32 [passages, width].

        inputs: their token ids, special ones included, end to end; lengths: the tokens of each.
        """
        starts, tokens = lengths.cumsum() - lengths, len(inputs)
        positions = np.arange(tokens) - np.repeat(starts, lengths) + self._first_position
        if self._reordered and (queries or tokens >= _ROUNDED):
            multiple = _MULTIPLE if tokens >= _ROUNDED else _MULTIPLE_OF_QUERIES
            inputs, positions = (np.pad(one, (0, -tokens % multiple)) for one in (inputs, positions))
        states = self._states(
            sent(torch.from_numpy(inputs), self._device)[None],
            sent(torch.from_numpy(positions), self._device)[None],
            Places.of(lengths, self._device),
        )[0, :tokens]
        vectors = self._pooled(states, starts, lengths)
        return nn.functional.normalize(vectors, dim=1) if self._normalizes else vectors

    def _pooled(
        self, states: torch.Tensor, starts: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> torch.Tensor:
        if self._pooling == "mean":
            counts = sent(torch.from_numpy(lengths), self._device)
            return torch.segment_reduce(states.float(), "mean", lengths=counts, axis=0, unsafe=True)
        rows = starts if self._pooling == "cls" else starts + lengths - 1
        return states[sent(torch.from_numpy(rows), self._device)].float()


def can_pack(model: "SentenceTransformer", device: Device) -> bool:
    """Whether a model gives the same vectors, up to rounding, for passages without padding."""
    from sentence_transformers.models import Normalize, Pooling, Transformer

    kinds = [type(module) for module in model]
    if kinds[:2] != [Transformer, Pooling] or kinds[2:] not in ([], [Normalize]):
        return False
    body, pooling = model[0].auto_model, model[1]
    return (
        body.config.model_type in _FIRST_POSITION
        and not getattr(body.config, "use_sliding_window", False)
        and pooling.pooling_mode in _POOLINGS
        and pooling.include_prompt
        and (device == "cpu" or (body.dtype in (torch.bfloat16, torch.float16) and _has_varlen()))
    )


def _has_varlen() -> bool:
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return False
    # PyTorch 2.10 has one that takes neither.
    return {"scale", "window_size"} <= {*inspect.signature(varlen_attn).parameters}


def _has_reordered() -> bool:
    """Whether oneDNN multiplies bfloat16 on this machine."""
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _replace(body: nn.Module, by: Callable[[nn.Linear, bool], nn.Module]) -> None:
    """Put something in the place of linear layers that, told so, takes the GELU that follows along."""
    before_gelu = _replace_gelu(body, nn.Identity)
    for module in list(body.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Linear:
                setattr(module, name, by(child, module in before_gelu))


def _replace_gelu(body: nn.Module, by: Callable[[], nn.Module]) -> set[nn.Module]:
    """Put something in the place of each GELU of a feed-forward layer; the modules that had one."""
    found = {
        module
        for module in body.modules()
        if type(getattr(module, "intermediate_act_fn", None)).__name__ in ("GELUActivation", "GeluInPlace")
    }
    for module in found:
        module.intermediate_act_fn = by()
    return found
