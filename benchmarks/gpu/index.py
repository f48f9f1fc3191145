"""Training, encoding, loading and searching an index of 100 million vectors on a GPU, in one run.

    python benchmarks/gpu/index.py SAMPLE.npy QUERIES.npy [--vectors 100000000] [--key IVF65536,PQ48]

SAMPLE holds real embeddings (float16 or float32 [n, d], length 1), QUERIES those of real questions. The
vectors are x = normalise(s + noise z), s of the sample at random and z normal with the sample's covariance,
rounded to float16: as spread over their axes as the sample is. They are drawn from seeded generators batch by
batch, and drawn again where they are needed again: exact neighbours are found while the codes are made, and
candidates are re-scored exactly in a second pass. Nothing but codes is kept.

Beside our encoding stand FAISS's own `add` on the GPU, and its `add_core` with lists assigned by a matrix
product, on the same vectors. The same rates follow for 768 dimensions and PQ64, with centroids and codebooks
that are drawn, not trained: they cost the same. With `--device cpu` (and few vectors) the parts that need a
GPU are left out. Where there are several GPUs, the codes are then loaded onto all of them, a copy on each,
then one on all, and searched again; the hits must be the same. The tables go to $OUT/index_gpu.md and .json
if OUT is set.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import faiss
import numpy as np
import torch
from drawn import Corpus, Truth
from rates import agreement, ceilings, faiss_rates, our_rates, wide_rates
from report import Report, wait
from searches import Codes, Queries, search

from retriever.index.codec import TorchCodec, train
from retriever.index.sizing import IndexKey, list_count


def build(
    report: Report, corpus: Corpus, codec: TorchCodec, truth: Truth, folder: Path
) -> list[tuple[int, np.ndarray]]:
    """Encode every batch into a file of its own; the clock runs from vectors on the device to files."""
    spent = {"encode": 0.0, "write": 0.0}
    shards = []
    for first, vectors in corpus.batches():
        truth.see(first, vectors)
        wait(corpus.device)
        started = time.perf_counter()
        codes = codec.encode(vectors)
        encoded = time.perf_counter()
        path = folder / f"{first:012}.codes"
        codes.tofile(path)
        spent["encode"] += encoded - started
        spent["write"] += time.perf_counter() - encoded
        shards.append((first, np.memmap(path, np.uint8, "r", shape=codes.shape)))
    total = sum(spent.values())
    for what, took in [*spent.items(), ("both: GPU tensors to files of codes", total)]:
        report.add("The whole build", step=what, seconds=took, rate=corpus.count / took)
    return shards


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sample", type=Path)
    parser.add_argument("queries", type=Path)
    parser.add_argument("--vectors", type=int, default=100_000_000)
    parser.add_argument("--key")
    parser.add_argument("--noise", type=float, default=0.6)
    parser.add_argument(
        "--without-peers", action="store_true", help="leave FAISS's rates out, and 768 dimensions"
    )
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    args = parser.parse_args()
    device = torch.device(args.device)
    code = "PQ48" if args.device == "cuda" else "PQ48x4"
    lists = 65_536 if args.vectors >= 10_000_000 else list_count(args.vectors)
    key = IndexKey.parse(args.key or f"IVF{lists},{code}")
    report = Report()
    corpus = Corpus(np.load(args.sample), args.vectors, args.noise, device)
    queries = torch.from_numpy(np.load(args.queries).astype(np.float32)).to(device)
    print(f"{args.vectors:,} vectors, {corpus.dimension} dimensions, {key.text}, noise {args.noise}")
    print(f"{len(queries)} queries; {versions(device)}")
    if device.type == "cuda":
        ceilings(report, device)
    sample = corpus.training_sample(key.training_rows)
    started = time.perf_counter()
    trained = train(key, sample, device)
    report.add("Training", vectors=len(sample), seconds=time.perf_counter() - started)
    codec, vectors = TorchCodec(trained, device), corpus.batch(0)
    agreement(report, key.text, trained, vectors, codec)
    our_rates(report, key.text, codec, vectors)
    if device.type == "cuda" and not args.without_peers:
        faiss_rates(report, key.text, trained, vectors)
    if not args.without_peers:
        wide_rates(report, key.nlist, device)
    truth = Truth(queries)
    with tempfile.TemporaryDirectory() as folder:
        shards = build(report, corpus, codec, truth, Path(folder))
        search(report, Queries(corpus, queries, truth), Codes(trained, key, shards))
    if out := os.environ.get("OUT"):
        report.write(Path(out))


def versions(device: torch.device) -> str:
    """The machine and the libraries that work on it."""
    name = f"CPU, {torch.get_num_threads()} threads"
    if device.type == "cuda":
        name = str(torch.cuda.get_device_name(device))
    return f"{name}, torch {torch.__version__}, FAISS {faiss.__version__}"


if __name__ == "__main__":
    main()
