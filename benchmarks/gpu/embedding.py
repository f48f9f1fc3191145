"""Text in, vectors on disk, on a GPU: our build's stages beside SentenceTransformer.encode, in one run.

    python benchmarks/gpu/embedding.py SOURCE... [--workers 16] [--device cuda] [--base] [--split-mib 2]
                                       [--executor ray]

Ours reads, filters, compares, cuts and embeds the sources as a build does, in worker processes and on the
GPU; the peer is given the passages ready cut, and encodes and saves a sample of them, in our precision and at
its best batch size of those tried. `--base` does the same with a model of BERT-base's size, random weights.
Both are warm: of two runs the second counts. MFU is floating-point operations that the passages need (no
padding) over the GPU's dense bfloat16 peak.

Under `--executor ray` every GPU of the host has an actor of its own; the checksum of the vectors says whether
they are the same from one GPU as from several (CUDA_VISIBLE_DEVICES). `--peer-passages 0`: without the peer.
"""

import argparse
import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from datastore.files.layout import Layout
from pipelines.config import BuildConfig, SourceConfig
from pipelines.corpus.ingestion import Ingestion
from pipelines.corpus.sources import resolve
from pipelines.execution.executor import Executor, open_executor
from pipelines.execution.job import Job
from pipelines.execution.metering.peaks import peak_flops
from pipelines.execution.progress import Silent
from pipelines.indexing.embed import load_encoder
from pipelines.jobs.ingest import Embedded, Ingest
from pipelines.passages.parts import load_tokens
from retriever.encoding.checkpoint import Checkpoint
from retriever.encoding.encoder import Encoder
from retriever.encoding.usage import DEFAULT_ENCODER

PEER_BATCHES = (64, 256, 1024)
# NVIDIA's data sheet: H100 SXM and H200, bfloat16, dense.
PEAK = peak_flops("NVIDIA H100 80GB HBM3", "bfloat16") or 0.0


def seconds_of(work: Callable[[], object], times: int = 1) -> float:
    """Seconds of the quickest of some runs."""
    found = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return min(found)


def ingest(root: Path, config: BuildConfig, executor: Executor) -> Embedded:
    """The stages of a build up to the vectors."""
    job = Job(Layout(root), executor, Silent())
    return Ingest(job, Ingestion(job.layout, config, resolve(config), "bfloat16")).embed()


def bert_base(folder: Path, like: Checkpoint) -> str:
    """A model of BERT-base's size with random weights and another's tokenizer."""
    import torch
    from sentence_transformers import SentenceTransformer, models
    from transformers import AutoTokenizer, BertConfig, BertModel

    torch.manual_seed(0)
    bare = folder / "bare"
    BertModel(BertConfig()).to(torch.bfloat16).save_pretrained(bare)
    AutoTokenizer.from_pretrained(like.folder).save_pretrained(bare)
    transformer = models.Transformer(str(bare), max_seq_length=256)
    pooling = models.Pooling(transformer.get_word_embedding_dimension())
    SentenceTransformer(modules=[transformer, pooling]).save(str(folder / "model"))
    return str(folder / "model")


def texts_and_ids(root: Path, embedded: Embedded) -> tuple[list[str], list[np.ndarray]]:
    """All passages of the shards, and their token ids."""
    import pyarrow as pa

    layout, texts, ids = Layout(root), [], []
    for shard in embedded.shards:
        with pa.memory_map(str(layout.passages(shard.number))) as source, pa.ipc.open_file(source) as file:
            texts += file.read_all().column("text").to_pylist()
        ids += [np.array(one) for one in load_tokens(layout, shard.split, shard.part)]
    return texts, ids


def checksum_of(root: Path, embedded: Embedded) -> str:
    """SHA-256 of the files of vectors, in the order of their shards."""
    found = hashlib.sha256()
    for shard in embedded.shards:
        found.update(Layout(root).vectors(shard.number).read_bytes())
    return found.hexdigest()


def peer_rate(encoder: Encoder, texts: list[str], folder: Path) -> tuple[float, int]:
    """Passages a second of SentenceTransformer.encode and numpy.save, and the batch size."""
    import torch
    from sentence_transformers import SentenceTransformer

    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    options = {"dtype": getattr(torch, encoder.dtype)}
    peer = SentenceTransformer(str(encoder.checkpoint.folder), device=encoder.device, model_kwargs=options)
    peer.encode(texts[:256])

    def work(batch: int) -> None:
        np.save(folder / "peer.npy", peer.encode(texts, batch_size=batch).astype(np.float16))

    return max((len(texts) / seconds_of(lambda b=b: work(b)), b) for b in PEER_BATCHES)  # type: ignore[misc]


def measure(args: argparse.Namespace, name: str, folder: Path, executor: Executor) -> None:
    """One encoder: the whole path, the encoder alone, and the peer."""
    sources = tuple(SourceConfig(path=str(path)) for path in args.sources)
    config = BuildConfig(
        sources=sources,
        encoder=name,
        device=args.device,
        dtype="bfloat16",
        split_bytes=args.split_mib << 20,
        lexical=False,
    )
    ingest(folder / "warm", config, executor)
    embedded: list[Embedded] = []
    whole = seconds_of(lambda: embedded.append(ingest(folder / "store", config, executor)))
    checksum = checksum_of(folder / "store", embedded[0])
    texts, ids = texts_and_ids(folder / "store", embedded[0])
    encoder = load_encoder(name, "bfloat16", args.device)
    lengths = np.array([len(one) for one in ids])
    alone = seconds_of(lambda: encoder.encode_passages(ids), 2)
    flops = encoder.flops(lengths)
    count = len(ids)
    print(f"{name}: {count:,} passages, {lengths.sum():,} tokens ({lengths.mean():.0f} a passage)")
    print(
        f"  ours, text in, vectors on disk     {count / whole:10,.0f} passages/s  "
        f"{lengths.sum() / whole / 1e6:.2f} M tokens/s, {whole:.1f} s"
    )
    print(
        f"  ours, token ids in, vectors out    {count / alone:10,.0f} passages/s  "
        f"{lengths.sum() / alone / 1e6:.2f} M tokens/s, MFU {flops / alone / PEAK:.1%}"
    )
    print(f"  SHA-256 of the vectors {checksum}", flush=True)
    if args.peer_passages:
        peer, batch = peer_rate(encoder, texts[:: max(1, len(texts) // args.peer_passages)], folder)
        print(f"  SentenceTransformer.encode, saved  {peer:10,.0f} passages/s  (batches of {batch})")
        print(f"  ours is {count / whole / peer:.2f} times that end to end", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", type=Path, nargs="+")
    parser.add_argument("--encoder", default=DEFAULT_ENCODER)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--base", action="store_true")
    parser.add_argument("--executor", choices=("local", "ray"), default="local")
    parser.add_argument("--peer-passages", type=int, default=8000)
    parser.add_argument("--split-mib", type=int, default=2, help="MiB of a source in one task")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, open_executor(args.executor, args.workers) as executor:
        folder = Path(temporary)
        measure(args, args.encoder, folder, executor)
        if args.base:
            name = bert_base(folder, Checkpoint.find(args.encoder))
            measure(args, name, folder / "base", executor)


if __name__ == "__main__":
    main()
