"""BERT and its like (RoBERTa, XLM-RoBERTa) for inference on a CPU, without transformers.

Importing transformers and sentence-transformers takes four seconds of CPU, for which a single search would
wait, and each worker of a build. The operations are those of transformers, in its order, so vectors are the
same to the last bit; layers are called as there and in checkpoints. Whatever a checkpoint says that is not
understood here is left to the libraries: `load` gives None.

Decisions: docs/decisions/embedding.md.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from base.errors import RalmError
from datastore.files.json import read_json
from datastore.generations.manifest import Dtype
from retriever.encoding.attention import Places, Projections, attended
from retriever.encoding.checkpoint import Checkpoint
from retriever.encoding.packed import GeluInPlace, Parts

_KINDS = ("bert", "roberta", "xlm-roberta")
_MODULES = (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
# What sentence-transformers' file may say of the model without changing it.
_HARMLESS = {"max_seq_length", "do_lower_case"}
_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_lasttoken": "lasttoken",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
}


@dataclass(frozen=True)
class BertShape:
    """The sizes of a model, by the names of its configuration."""

    model_type: str
    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    type_vocab_size: int
    layer_norm_eps: float
    pad_token_id: int

    @classmethod
    def of(cls, config: dict[str, Any]) -> "BertShape | None":
        """Of a checkpoint's configuration; None of another model, or of one out of the ordinary."""
        if (
            config.get("model_type") not in _KINDS
            or config.get("hidden_act", "gelu") != "gelu"
            or config.get("position_embedding_type", "absolute") != "absolute"
            or any(config.get(name) for name in ("is_decoder", "add_cross_attention", "quantization_config"))
            or config.get("chunk_size_feed_forward", 0)
            or config.get("auto_map")
        ):
            return None
        defaults = {
            "layer_norm_eps": 1e-12,
            "type_vocab_size": 2,
            "pad_token_id": 0 if config["model_type"] == "bert" else 1,
        }
        try:
            return cls(**{name: (defaults | config)[name] for name in cls.__dataclass_fields__})
        except KeyError:
            return None


class _SelfAttention(nn.Module):  # type: ignore[misc]
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(shape.hidden_size, shape.hidden_size) for _ in range(3))
        self._width = shape.hidden_size // shape.num_attention_heads

    def forward(self, states: torch.Tensor, places: Places) -> torch.Tensor:
        apart = (*states.shape[:-1], -1, self._width)
        projections = (self.query, self.key, self.value)
        query, key, value = (project(states).view(*apart).transpose(1, 2) for project in projections)
        found = attended(Projections(query, key, value, self._width**-0.5), places)
        return found.reshape(*states.shape).contiguous()


class _Output(nn.Module):  # type: ignore[misc]
    def __init__(self, shape: BertShape, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, shape.hidden_size)
        self.LayerNorm = nn.LayerNorm(shape.hidden_size, eps=shape.layer_norm_eps)

    def forward(self, states: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.LayerNorm(self.dense(states) + before)
        return found


class _Attention(nn.Module):  # type: ignore[misc]
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.self = _SelfAttention(shape)
        self.output = _Output(shape, shape.hidden_size)

    def forward(self, states: torch.Tensor, places: Places) -> torch.Tensor:
        found: torch.Tensor = self.output(self.self(states, places), states)
        return found


class _Intermediate(nn.Module):  # type: ignore[misc]
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.dense = nn.Linear(shape.hidden_size, shape.intermediate_size)
        self.intermediate_act_fn: nn.Module = GeluInPlace()

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.intermediate_act_fn(self.dense(states))
        return found


class _Layer(nn.Module):  # type: ignore[misc]
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.attention = _Attention(shape)
        self.intermediate = _Intermediate(shape)
        self.output = _Output(shape, shape.intermediate_size)

    def forward(self, states: torch.Tensor, places: Places) -> torch.Tensor:
        states = self.attention(states, places)
        found: torch.Tensor = self.output(self.intermediate(states), states)
        return found


def _table(rows: int, width: int) -> nn.Embedding:
    """Without numbers drawn for it: on the "meta" device PyTorch would import its compiler to draw them."""
    return nn.Embedding(rows, width, _weight=torch.empty(rows, width))


class _Embeddings(nn.Module):  # type: ignore[misc]
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.word_embeddings = _table(shape.vocab_size, shape.hidden_size)
        self.position_embeddings = _table(shape.max_position_embeddings, shape.hidden_size)
        self.token_type_embeddings = _table(shape.type_vocab_size, shape.hidden_size)
        self.LayerNorm = nn.LayerNorm(shape.hidden_size, eps=shape.layer_norm_eps)

    def forward(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        states = self.word_embeddings(ids) + self.token_type_embeddings(torch.zeros_like(ids))
        found: torch.Tensor = self.LayerNorm(states + self.position_embeddings(positions))
        return found


class _Encoder(nn.Module):  # type: ignore[misc]
    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_Layer(shape) for _ in range(shape.num_hidden_layers))


class Bert(nn.Module):  # type: ignore[misc]
    """Token ids and positions of passages that lie end to end, [1, tokens], to states [1, tokens, width]."""

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.config = shape
        self.embeddings = _Embeddings(shape)
        self.encoder = _Encoder(shape)

    @property
    def dtype(self) -> torch.dtype:
        """Of its weights."""
        found: torch.dtype = self.embeddings.word_embeddings.weight.dtype
        return found

    def forward(self, ids: torch.Tensor, positions: torch.Tensor, places: Places) -> torch.Tensor:
        states: torch.Tensor = self.embeddings(ids, positions)
        for layer in self.encoder.layer:
            states = layer(states, places)
        return states


def load(checkpoint: Checkpoint, dtype: Dtype) -> Parts | None:
    """A checkpoint's model and pooling; None if the libraries have to load it, or to say what is wrong."""
    try:
        shape = BertShape.of(read_json(checkpoint.folder / "config.json"))
        stated = _stated(checkpoint)
        if shape is None or stated is None:
            return None
        body = _body(checkpoint, shape, getattr(torch, dtype))
    except (RalmError, OSError, ValueError, TypeError, AttributeError, KeyError):
        return None
    return None if body is None else Parts(body, body, *stated)


def _stated(checkpoint: Checkpoint) -> tuple[str, bool] | None:
    """How a checkpoint is pooled, and whether its last module scales vectors to length 1."""
    if checkpoint.pooling is not None:
        return "lasttoken" if checkpoint.pooling == "last" else checkpoint.pooling, False
    modules = read_json(checkpoint.folder / "modules.json")
    kinds = [module["type"].rpartition(".")[2] for module in modules]
    if kinds not in _MODULES or modules[0]["path"]:
        return None
    ours = all(module["type"].startswith("sentence_transformers.") for module in modules)
    model = checkpoint.folder / "sentence_bert_config.json"
    if not ours or (model.exists() and {n for n, value in read_json(model).items() if value} - _HARMLESS):
        return None
    pooling = read_json(checkpoint.folder / modules[1]["path"] / "config.json")
    modes = [mode for name, mode in _MODES.items() if pooling.get(name)] or ["mean"]
    mode = pooling.get("pooling_mode", modes[0] if len(modes) == 1 else None)
    if mode not in ("mean", "cls", "lasttoken") or not pooling.get("include_prompt", True):
        return None
    return mode, len(kinds) > 2


def _body(checkpoint: Checkpoint, shape: BertShape, dtype: torch.dtype) -> Bert | None:
    """The model with its weights; None if the file holds others than such a model has."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if [path.name for path in checkpoint.folder.glob("*.safetensors")] != ["model.safetensors"]:
        return None
    try:
        weights = load_file(checkpoint.folder / "model.safetensors")
    except SafetensorError:
        return None
    # A model that was trained for another task has its layers under a name, and a head beside them.
    prefix = next((p for p in ("bert.", "roberta.") if any(name.startswith(p) for name in weights)), "")
    weights = {n.removeprefix(prefix): tensor for n, tensor in weights.items() if n.startswith(prefix)}
    with torch.device("meta"):
        body = Bert(shape)
    wanted = body.state_dict()
    if any(name not in weights or weights[name].shape != tensor.shape for name, tensor in wanted.items()):
        return None
    if any(n.startswith("encoder.") and n not in wanted for n in weights):
        return None
    body.load_state_dict({name: weights[name].to(dtype) for name in wanted}, assign=True)
    body.eval()
    return body
