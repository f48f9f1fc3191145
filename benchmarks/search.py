"""Recall, memory and time of our search beside other indexes: same vectors, one thread, one run.

    python benchmarks/search.py STORE QUESTIONS... [--queries 1000]        (pip install usearch)

Every system holds the store's float16 vectors; queries are questions, encoded once. Ours proposes from codes
in memory and re-scores from the store's memory-mapped vectors; peers hold all they need in memory:

- exact: an exhaustive FAISS scan of the float16 vectors;
- MassiveDS: FAISS IVF-PQ with 16 bytes a vector, 2,048 or 8,192 lists, nprobe 64 or 512, not re-scored;
- refined: FAISS IVF-PQ64 with IndexRefine over the float16 vectors;
- usearch: HNSW over float16.

Prints every point, then for each peer's point whether ours has one that is as good in recall, in memory (up
to 72 bytes a passage) and in time. Last, what ours costs beyond the bare FAISS calls it makes, at batch 32.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np

from datastore.files.layout import Layout
from datastore.files.writing import save_array
from datastore.generations.manifest import FileEntry, IndexEntry, Manifest
from datastore.store import Datastore
from datastore.view import View
from pipelines.questions import read_questions
from retriever.encoding.encoder import Encoder
from retriever.index.faiss_index import encode, to_bytes, train
from retriever.index.loading import in_memory
from retriever.index.sizing import IndexKey
from retriever.local import LocalRetriever
from retriever.opened import OpenedStore, Wanted
from retriever.ranking.measuring import exact
from retriever.ranking.rescore import Scan, VectorScanner
from retriever.ranking.setting import Setting

K = 10
BATCH = 32
MEMORY = 72
Search = Callable[[np.ndarray], np.ndarray]


@dataclass
class Point:
    """One system at one setting: bytes a passage, recall@10, milliseconds p50 and p99, queries a second."""

    system: str
    setting: str
    bytes: float
    recall: float
    p50: float
    p99: float
    rate: float

    def __str__(self) -> str:
        return (
            f"{self.system:<22} {self.setting:<20} {self.bytes:>7.1f} {self.recall:>7.4f} {self.p50:>8.3f} "
            f"{self.p99:>8.3f} {self.rate:>9,.0f}"
        )


class Bench:
    """Vectors, queries and what an exhaustive search finds."""

    def __init__(self, store: Datastore, queries: np.ndarray) -> None:
        self.store = store
        self.queries = queries
        self.vectors = np.concatenate(list(store.shard_vectors()))
        self.floats = self.vectors.astype(np.float32)
        self.truth = exact(queries, [self.vectors], K)
        self.points: list[Point] = []

    def measure(self, system: str, setting: str, held: float, search: Search) -> None:
        """Time a search of a query, and of batches; print the point."""
        for at in range(0, len(self.queries), BATCH):  # Warm: every page has been read once.
            search(self.queries[at : at + BATCH])
        seconds = []
        for query in self.queries:
            started = time.perf_counter()
            search(query[None])
            seconds.append(time.perf_counter() - started)
        started, rows = time.perf_counter(), []
        for at in range(0, len(self.queries), BATCH):
            rows.append(search(self.queries[at : at + BATCH]))
        rate = len(self.queries) / (time.perf_counter() - started)
        found = np.concatenate(rows)
        recall = np.mean([len({*a[:K]} & {*b}) / K for a, b in zip(found, self.truth, strict=True)])
        p50, p99 = np.percentile(seconds, [50, 99]) * 1e3
        point = Point(system, setting, held / len(self.vectors), float(recall), p50, p99, rate)
        self.points.append(point)
        print(point, flush=True)


def trained_and_filled(bench: Bench, text: str) -> faiss.Index:
    key = IndexKey.parse(text)
    step = max(1, len(bench.floats) // max(key.training_rows, 1))
    faiss.omp_set_num_threads(os.cpu_count() or 1)  # Building is not what is measured.
    index = train(key, bench.floats[::step])
    index.add(bench.floats)
    faiss.omp_set_num_threads(1)
    return index


def written(bench: Bench, text: str, root: Path) -> Manifest:
    """An index of the store's vectors as a build writes it: trained, and each shard's codes."""
    key, layout = IndexKey.parse(text), Layout(root)
    step = max(1, len(bench.floats) // max(key.training_rows, 1))
    faiss.omp_set_num_threads(os.cpu_count() or 1)  # Building is not what is measured.
    trained = train(key, bench.floats[::step])
    shards = []
    for number, (entry, vectors) in enumerate(
        zip(bench.store.manifest.shards, bench.store.shard_vectors(), strict=True)
    ):
        codes = encode(trained, vectors)
        info = layout.write(layout.codes(text, number), lambda handle, c=codes: save_array(handle, c))
        shards.append(entry.model_copy(update={"codes": FileEntry.of(info)}))
    info = layout.write(layout.trained(text), lambda handle: handle.write(to_bytes(trained)))
    faiss.omp_set_num_threads(1)
    index = IndexEntry(key=text, recall=0.95, trained=FileEntry.of(info))
    return bench.store.manifest.model_copy(update={"index": index, "shards": tuple(shards)})


def ours(bench: Bench, text: str) -> LocalRetriever:
    """Our search over one index key, at a ladder of settings."""
    with tempfile.TemporaryDirectory() as folder:
        index = in_memory(Path(folder), written(bench, text, Path(folder)))
    held = index.bytes
    retriever = LocalRetriever(OpenedStore(bench.store, index=index))
    rows = retriever.session()
    for nprobe in (2, 4, 8, 16, 32, 64, 128, 256):
        for depth in (20, 50, 100, 200, 400):
            wanted = Wanted([View()], K, Setting(nprobe, depth))

            def search(queries: np.ndarray, wanted: Wanted = wanted) -> np.ndarray:
                (ranked,) = rows.rank(queries, wanted)
                return ranked.rows

            bench.measure(f"ralm {text}", f"nprobe {nprobe}, depth {depth}", held, search)
    return retriever


def plain(index: faiss.Index) -> Search:
    """A search of a FAISS index as its users call it."""
    return lambda queries: index.search(queries, K)[1]


def faiss_peers(bench: Bench) -> None:
    flat = faiss.IndexScalarQuantizer(
        bench.floats.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    flat.add_sa_codes(bench.vectors.view(np.uint8))
    bench.measure("exact", "", bench.vectors.nbytes, plain(flat))
    for nlist in (2048, 8192):
        index = trained_and_filled(bench, f"IVF{nlist},PQ16")
        held = len(to_bytes(index))
        for nprobe in (64, 512):
            index.nprobe = nprobe
            bench.measure(f"MassiveDS IVF{nlist},PQ16", f"nprobe {nprobe}", held, plain(index))
    base = trained_and_filled(bench, "IVF1024,PQ64")
    refined = faiss.IndexRefine(base, flat)
    held = len(to_bytes(base)) + bench.vectors.nbytes
    for nprobe in (16, 32, 64, 128, 256):
        for factor in (2, 5, 10, 20):
            base.nprobe, refined.k_factor = nprobe, factor
            setting = f"nprobe {nprobe}, k_factor {factor}"
            bench.measure("refined IVF1024,PQ64", setting, held, plain(refined))


def usearch_peer(bench: Bench) -> None:
    from usearch.index import Index

    index = Index(ndim=bench.floats.shape[1], metric="ip", dtype="f16", connectivity=16, expansion_add=128)
    index.add(np.arange(len(bench.vectors)), bench.vectors, threads=1)
    for expansion in (16, 32, 64, 128, 256):
        index.expansion_search = expansion

        def search(queries: np.ndarray) -> np.ndarray:
            found = index.search(queries.astype(np.float16), K, threads=1).keys.reshape(len(queries), -1)
            return found.astype(np.int64)

        bench.measure("usearch HNSW16 f16", f"expansion {expansion}", index.memory_usage, search)


def behind(points: list[Point]) -> Iterator[str]:
    """Points of peers, at most 72 bytes a passage, that no point of ours matches in every respect."""
    mine = [p for p in points if p.system.startswith("ralm") and p.bytes <= MEMORY]
    for peer in points:
        if peer.system.startswith("ralm") or peer.bytes > MEMORY:
            continue
        for name, better in (
            ("p50", lambda a, b: a.p50 <= b.p50),
            ("p99", lambda a, b: a.p99 <= b.p99),
            ("batched rate", lambda a, b: a.rate >= b.rate),
        ):
            if not any(p.recall >= peer.recall and better(p, peer) for p in mine):
                yield f"AHEAD OF OURS in {name}: {peer}"
            if not any(p.recall >= peer.recall and better(p, peer) and p.bytes <= peer.bytes for p in mine):
                yield f"ahead at its own memory in {name}: {peer}"


def overhead(bench: Bench, retriever: LocalRetriever, setting: Setting) -> None:
    """Time of our search over that of the FAISS calls alone, replayed on the inputs they had."""
    index, queries = retriever.index, bench.queries[:BATCH]
    _, found = index.search(index.assign(queries, setting.nprobe), setting.depth)
    addresses = bench.store.addresses(np.sort(found, axis=1).ravel())
    scan = Scan(queries, addresses.reshape(found.shape), VectorScanner())

    rows, wanted = retriever.session(), Wanted([View()], K, setting)

    def bare() -> None:
        index.search(index.assign(queries, setting.nprobe), setting.depth + 16)
        scan.best(K + 1)

    def whole() -> None:
        rows.rank(queries, wanted)

    ratios = []
    for _ in range(100):
        times = []
        for call in (bare, whole):
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
        ratios.append(times[1] / times[0])
    print(f"overhead at batch {BATCH}, {setting}: {np.median(ratios) - 1:+.1%} of the bare FAISS calls")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("questions", type=Path, nargs="+")
    parser.add_argument("--queries", type=int, default=1000)
    args = parser.parse_args()
    store = Datastore.open(args.store)
    each = args.queries // len(args.questions)
    texts = [q.text for path in args.questions for q in read_questions(path, each).questions]
    bench = Bench(store, Encoder.open(store.manifest.encoder).encode_queries(texts))
    faiss.omp_set_num_threads(1)
    print(f"{store.rows:,} passages, {store.manifest.encoder.dimension} dimensions, {len(texts)} questions")
    print(
        f"{'system':<22} {'setting':<20} {'B/pass.':>7} {'rec@10':>7} {'p50 ms':>8} {'p99 ms':>8} {'q/s':>9}"
    )
    quarter = store.manifest.encoder.dimension // 4
    retriever = ours(bench, f"IVF512,PQ{quarter}x4fs")
    ours(bench, f"IVF512,PQ{quarter // 2}x4fs")
    faiss_peers(bench)
    usearch_peer(bench)
    lines = list(behind(bench.points))
    print("\n".join(lines) or f"No peer is ahead of ours up to {MEMORY} bytes a passage.")
    for setting in (Setting(32, 100), Setting(64, 100), Setting(128, 100), Setting(128, 200)):
        overhead(bench, retriever, setting)


if __name__ == "__main__":
    main()
