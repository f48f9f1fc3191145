"""Encoder: token ids or queries to vectors, through sentence-transformers.

Plain transformers models load too. How a model is used (prompts, pooling, length limits) its checkpoint
says, or what was given or is known of it (`usage.py`). Knows nothing of files or indexes.

Decisions: docs/decisions/embedding.md, encoders.md.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from base.errors import RalmError
from datastore.generations.manifest import Device, Dtype, EncoderCard
from retriever.encoding.attention import sent
from retriever.encoding.bert import Bert
from retriever.encoding.bert import load as load_bert
from retriever.encoding.checkpoint import Checkpoint
from retriever.encoding.packed import PackedModel, Parts
from retriever.encoding.text_encoder import TextEncoder
from retriever.encoding.threads import encoding
from retriever.encoding.tokenizer import EncoderTokenizer

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# Tokens in one forward pass, padding included where there is any: batches of 16 full passages, which measured
# fastest on one core; a GPU wants hundreds of them.
BATCH_TOKENS = {"cpu": 4096, "cuda": 131_072}
_MOST_THREADS = torch.get_num_threads()


def best_dtype(device: Device = "cpu") -> Dtype:
    """bfloat16 where the hardware multiplies it natively, else float32."""
    if device == "cuda":
        return "bfloat16"
    found = torch.cpu.get_capabilities()
    return "bfloat16" if found.get("avx512_bf16") or found.get("amx_bf16") else "float32"


class Encoder(TextEncoder):
    """A loaded encoder."""

    def __init__(self, checkpoint: Checkpoint, dtype: Dtype, device: Device = "cpu") -> None:
        """Load it. Raises RalmError if there is no such device, or if it brings code of its own."""
        require(device)
        self.checkpoint = checkpoint
        self.dtype = dtype
        self.device = device
        self.tokenizer = EncoderTokenizer(checkpoint)
        # Without the libraries, if possible: they take longer to import than most searches.
        parts = load_bert(checkpoint, dtype) if device == "cpu" else None
        self._model = None if parts else _load(checkpoint, dtype, device)
        self._config, self._weights, self.dimension = _measured(
            checkpoint, parts.body if parts else self._model
        )
        parts = parts or Parts.of(self._model, device)
        self._packed = PackedModel(parts, device) if parts else None

    @classmethod
    def open(cls, card: EncoderCard, device: Device = "cpu") -> "Encoder":
        """Load the tower that encodes a store's queries. Raises RalmError if its weights are others."""
        checkpoint = Checkpoint.of(card.for_queries)
        # A store built in bfloat16 can be queried in float32 and the other way round (cosine
        # between them is above 0.9999), so a query takes what this machine is fastest at.
        return cls(checkpoint, best_dtype(device), device)

    @property
    def parameters(self) -> int:
        """Weights that every token is multiplied with: embedding tables are not among them."""
        return self._weights

    def flops(self, lengths: NDArray[np.int64]) -> float:
        """Floating-point operations to embed passages of so many tokens each, frame included, padding not.

        Two for each weight that is no embedding and each token, and 4 · layers · length · width for each
        token of a text that attends to all its tokens. A pooler that a checkpoint has for another task is
        given no vectors.
        """
        config = self._config
        framed = lengths.astype(np.float64) + self.tokenizer.frame_length("passage")
        # Heads may be wider together than the layers are (Qwen3).
        head = getattr(config, "head_dim", None)
        width = config.num_attention_heads * head if head else config.hidden_size
        attention = 4 * config.num_hidden_layers * width
        return float(2 * self._weights * framed.sum() + attention * np.square(framed).sum())

    def vectors(
        self, ids: Sequence[NDArray[np.int32]], kind: str, told: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        out = np.empty((len(ids), self.dimension), np.float32)
        frame = self.tokenizer.frame_length(kind)
        lengths = [len(one) + frame for one in ids]
        largest = min(sum(lengths), BATCH_TOKENS[self.device])
        with torch.inference_mode(), encoding(self._weights, largest, _MOST_THREADS):
            batches = list(length_sorted_batches(lengths, BATCH_TOKENS[self.device]))
            # Fetched when the next one is under way: a GPU does not wait for its results to travel.
            found = (self._forward([ids[row] for row in rows], kind) for rows in batches)
            for rows, vectors in zip(batches, ahead(found), strict=True):
                out[rows] = vectors.cpu().numpy()
                if told is not None:
                    told(len(rows))
        return out

    def _forward(self, ids: Sequence[NDArray[np.int32]], kind: str) -> torch.Tensor:
        if self._packed is not None:
            vectors = self._packed(*self.tokenizer.packed(ids, kind), kind == "query")
        else:
            vectors = self._padded(ids, kind)
        return torch.nn.functional.normalize(vectors, dim=1) if self.checkpoint.normalized else vectors

    def _padded(self, ids: Sequence[NDArray[np.int32]], kind: str) -> torch.Tensor:
        inputs, mask = self.tokenizer.padded(ids, kind)
        features = {
            "input_ids": sent(torch.from_numpy(inputs), self.device),
            "attention_mask": sent(torch.from_numpy(mask), self.device),
            # Models that pool without their prompt need to know where it ends.
            "prompt_length": self.tokenizer.prefix_length(kind),
        }
        assert self._model is not None  # What is loaded without sentence-transformers, is packed.
        return self._model(features)["sentence_embedding"].float()


def _measured(checkpoint: Checkpoint, model: Any) -> tuple[Any, int, int]:
    """A model's configuration, how many weights a token is multiplied with, a vector's components."""
    if isinstance(model, Bert):
        return model.config, _weights(model), model.config.hidden_size
    found = model.get_embedding_dimension()
    if found is None:
        raise RalmError(f"The encoder {checkpoint.name} does not say the size of its vectors.")
    return model[0].auto_model.config, _weights(model), int(found)


def _weights(model: torch.nn.Module) -> int:
    """Parameters that every token is multiplied with: all but embedding tables and an unused pooler."""
    embeddings = sum(m.weight.numel() for m in model.modules() if isinstance(m, torch.nn.Embedding))
    used = sum(p.numel() for name, p in model.named_parameters() if ".pooler." not in name)
    return int(used) - int(embeddings)


def ahead(items: Iterator[torch.Tensor]) -> Iterator[torch.Tensor]:
    """The same items, each given out when the one after it has been asked for."""
    before = next(items, None)
    for item in items:
        assert before is not None  # An item came after it.
        yield before
        before = item
    if before is not None:
        yield before


def _load(checkpoint: Checkpoint, dtype: Dtype, device: Device) -> "SentenceTransformer":
    """The model with its pooling. Raises RalmError if it cannot be loaded as it lies there."""
    quiet_imports()
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling

    try:
        model = SentenceTransformer(
            str(checkpoint.folder),
            device=device,
            local_files_only=True,
            model_kwargs={"dtype": getattr(torch, dtype)},
        ).eval()
    except (ValueError, ImportError, OSError) as error:
        reason = " ".join(str(error).split())
        raise RalmError(
            f"The encoder {checkpoint.name} cannot be loaded: {reason[:300]} (ralm runs no code that a "
            "checkpoint brings along)."
        ) from None
    if checkpoint.pooling is not None:
        mode = "lasttoken" if checkpoint.pooling == "last" else checkpoint.pooling
        model[1] = Pooling(model[0].get_embedding_dimension(), mode)
    return model


def there_is(device: Device) -> bool:
    """Whether PyTorch finds such a device."""
    return device == "cpu" or torch.cuda.is_available()


def require(device: Device) -> None:
    """Raise RalmError for a device that is not there."""
    if not there_is(device):
        raise RalmError("PyTorch finds no GPU here: check that nvidia-smi does, or choose --device cpu.")


def length_sorted_batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Group rows of like length so that each batch, were it padded, holds at most `budget` tokens.

    Which rows share a batch follows from the lengths alone: the last bits of a vector depend on
    its batch, so the same shard must always be batched the same way.
    """
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    at = 0
    while at < len(order):
        size = max(1, budget // max(1, lengths[order[at]]))
        yield order[at : at + size]
        at += size


def quiet_imports() -> None:
    """Keep torchao's notes on kernels it cannot load here off the user's terminal."""
    for name in ("torchao", "torch.utils._pytree"):
        logging.getLogger(name).setLevel(logging.ERROR)
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
