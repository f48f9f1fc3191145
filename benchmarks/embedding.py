"""Passages embedded a second: our embed stage beside SentenceTransformer.encode, in one run.

    python benchmarks/embedding.py [SOURCE.jsonl ...] [--passages 512] [--cores 1]

Without a source the passages are the standard library's docstrings. Both sides use the same cores: the peer
as threads of one process, ours as a build does, one process of one thread for each. The peer is run in
float32 and in our precision, at its best batch size of those tried. The faster precision counts only if its
top 10 agree with float32's to 0.99.
"""

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from datastore.generations.manifest import Dtype
from pipelines.config import SourceConfig
from pipelines.demo import standard_library
from pipelines.indexing.embed import embed, load_encoder
from pipelines.passages.cut import chunk
from pipelines.readers.records import Intake
from pipelines.readers.segment import Segment
from retriever.encoding.checkpoint import Checkpoint
from retriever.encoding.encoder import best_dtype
from retriever.encoding.threads import torch_threads
from retriever.encoding.tokenizer import EncoderTokenizer
from retriever.encoding.usage import DEFAULT_ENCODER

PEER_BATCHES = (4, 8, 16, 32)
_ROUNDS = 3


def texts_of(sources: list[Path]) -> list[str]:
    """Documents' texts, from files or from this machine's documentation."""
    if not sources:
        return [document.text for document in standard_library()]
    found = []
    for path in sources:
        intake = Intake(SourceConfig(path=str(path)), path.name, 1 << 26)
        records = Segment(str(path), path.name, "jsonl").records(intake)
        found += [record.text for record in records if hasattr(record, "text")]
    return found


def rates(count: int, works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Passages a second of each, the best of some runs: in turn, so that other jobs slow all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(_ROUNDS):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - started)
    return {name: count / min(found) for name, found in seconds.items()}


def overlap(one: np.ndarray, other: np.ndarray, depth: int = 10) -> float:
    """Share of each vector's `depth` nearest that two embeddings of the same passages agree on."""
    best = [
        np.argsort(-(v.astype(np.float32) @ v.astype(np.float32).T), axis=1)[:, :depth] for v in (one, other)
    ]
    return float(np.mean([len({*a} & {*b}) / depth for a, b in zip(*best, strict=True)]))


class Processes:
    """Our encoder as a build runs it: in processes of one thread each."""

    def __init__(self, count: int, dtype: Dtype) -> None:
        self._dtype, self._count = dtype, count
        self._pool = ProcessPoolExecutor(count, get_context("spawn"))

    def encode(self, ids: list[np.ndarray]) -> np.ndarray:
        """Vectors [passages, width]; each process takes its share of the passages, of all lengths."""
        shares = [ids[n :: self._count] for n in range(self._count)]
        found = list(self._pool.map(partial(_embedded, self._dtype), shares))
        out = np.empty((len(ids), found[0].shape[1]), found[0].dtype)
        for n, vectors in enumerate(found):
            out[n :: self._count] = vectors
        return out


def _embedded(dtype: Dtype, ids: list[np.ndarray]) -> np.ndarray:
    return embed(load_encoder(DEFAULT_ENCODER, dtype), ids)


def sample(sources: list[Path], count: int) -> tuple[list[str], list[np.ndarray]]:
    """Texts and token ids of passages spread over the whole of the sources, not their first ones."""
    tokenizer = EncoderTokenizer(Checkpoint.find(DEFAULT_ENCODER))
    chunks = [
        (text[c.start : c.end], c.ids)
        for text in texts_of(sources)
        for c in chunk(text, tokenizer, tokenizer.room("passage"))
    ]
    taken = chunks[:: max(1, len(chunks) // count)][:count]
    return [text for text, _ in taken], [ids for _, ids in taken]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="*", type=Path)
    parser.add_argument("--passages", type=int, default=512)
    parser.add_argument("--cores", type=int, default=1)
    args = parser.parse_args()
    checkpoint = Checkpoint.find(DEFAULT_ENCODER)
    dtype = best_dtype()
    texts, ids = sample(args.sources, args.passages)
    tokens = [len(one) for one in ids]
    print(
        f"{len(texts)} passages of {min(tokens)} to {max(tokens)} tokens, {np.mean(tokens):.0f} on average; "
        f"{dtype}; {args.cores} core(s)"
    )
    processes = Processes(args.cores, dtype)
    best, exact = f"ours, {dtype}", None
    works: dict[str, Callable[[], object]] = {best: lambda: processes.encode(ids)}
    for precision, sizes in {"float32": PEER_BATCHES[-1:], dtype: PEER_BATCHES}.items():
        options = {"dtype": getattr(torch, precision)}
        peer = SentenceTransformer(str(checkpoint.folder), device="cpu", model_kwargs=options)
        exact = exact or peer
        for size in sizes:
            name = f"SentenceTransformer.encode, {precision}, batches of {size}"
            works[name] = partial(peer.encode, texts, batch_size=size)
    with torch_threads(args.cores):
        fast, slow = processes.encode(ids), exact.encode(texts)
        results = rates(len(texts), works)
    for name, found in results.items():
        print(f"{name:60} {found:8.1f} passages/s   ours is {results[best] / found:.2f} times that")
    print(f"top-10 overlap of ours with float32: {overlap(fast, slow):.4f}")


if __name__ == "__main__":
    main()
