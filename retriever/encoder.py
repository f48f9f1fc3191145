"""Encoder: token ids or queries to vectors, through sentence-transformers.

Plain transformers models load too (mean pooling then). Prompts, pooling and length limits come
from the model's own configuration. Knows nothing of files or indexes.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from datastore.errors import RalmError
from datastore.manifest import Dtype, EncoderCard
from retriever.checkpoint import Checkpoint
from retriever.tokenizer import EncoderTokenizer

# Padded tokens in one forward pass: batches of 16 full passages, which measured fastest on one core.
BATCH_TOKENS = 4096


def best_dtype() -> Dtype:
    """bfloat16 where the hardware multiplies it natively, else float32."""
    found = torch.cpu.get_capabilities()
    return "bfloat16" if found.get("avx512_bf16") or found.get("amx_bf16") else "float32"


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Run torch on this many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Encoder:
    """A loaded encoder."""

    def __init__(self, checkpoint: Checkpoint, dtype: Dtype) -> None:
        quiet_imports()
        from sentence_transformers import SentenceTransformer

        self.checkpoint = checkpoint
        self.dtype = dtype
        self.tokenizer = EncoderTokenizer(checkpoint)
        self._model = SentenceTransformer(
            str(checkpoint.folder),
            device="cpu",
            local_files_only=True,
            model_kwargs={"dtype": getattr(torch, dtype)},
        ).eval()
        found = self._model.get_embedding_dimension()
        if found is None:
            raise RalmError(f"The encoder {checkpoint.name} does not say the size of its vectors.")
        self.dimension = int(found)

    @classmethod
    def open(cls, card: EncoderCard) -> "Encoder":
        """Load the encoder a store was built with. Raises RalmError if its weights have changed."""
        checkpoint = Checkpoint.find(card.name)
        if checkpoint.weights_sha256 != card.weights_sha256:
            raise RalmError(
                f"The encoder {card.name} found in {checkpoint.folder} is not the one this store was "
                f"built with (its weights differ): install that one, or build the store again."
            )
        # A store built in bfloat16 can be queried in float32 and the other way round (cosine
        # between them is above 0.9999), so a query takes what this machine is fastest at.
        return cls(checkpoint, best_dtype())

    def card(self) -> EncoderCard:
        """What the manifest keeps of this encoder."""
        return self.checkpoint.card(self.dimension, self.dtype)

    def encode_queries(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of queries: [len(queries), dimension], float32."""
        return self._encode(self.tokenizer.query_inputs(queries), "query")

    def encode_passages(self, ids: Sequence[NDArray[np.int32]]) -> NDArray[np.float16]:
        """Vectors of passages given by their own token ids: [len(ids), dimension], float16."""
        framed = [self.tokenizer.frame(one, "passage") for one in ids]
        return self._encode(framed, "passage").astype(np.float16)

    def _encode(self, inputs: Sequence[NDArray[np.int32]], kind: str) -> NDArray[np.float32]:
        out = np.empty((len(inputs), self.dimension), np.float32)
        with torch.inference_mode():
            for rows in length_sorted_batches([len(one) for one in inputs], BATCH_TOKENS):
                out[rows] = self._forward([inputs[row] for row in rows], kind)
        return out

    def _forward(self, inputs: Sequence[NDArray[np.int32]], kind: str) -> NDArray[np.float32]:
        width = max(len(one) for one in inputs)
        ids = np.full((len(inputs), width), self.tokenizer.pad_id, np.int64)
        mask = np.zeros((len(inputs), width), np.int64)
        for row, one in enumerate(inputs):
            ids[row, : len(one)] = one
            mask[row, : len(one)] = 1
        features = {
            "input_ids": torch.from_numpy(ids),
            "attention_mask": torch.from_numpy(mask),
            # Models that pool without their prompt need to know where it ends.
            "prompt_length": self.tokenizer.prefix_length(kind),
        }
        vectors = self._model(features)["sentence_embedding"].float()
        if self.checkpoint.normalized:
            vectors = torch.nn.functional.normalize(vectors, dim=1)
        found: NDArray[np.float32] = vectors.cpu().numpy()
        return found


def length_sorted_batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Group rows of like length so that each padded batch holds at most `budget` tokens.

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
