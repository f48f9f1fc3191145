"""Training, encoding, loading and searching an index of 100 million vectors on a GPU, in one run.

    python benchmarks/index_gpu.py SAMPLE.npy QUERIES.npy [--vectors 100000000] [--key IVF65536,PQ48]

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
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
import torch.nn.functional as F

from retriever.index.code_index import ScoredRows
from retriever.index.codec import TorchCodec, train
from retriever.index.gpu import Gpus, GpuSearchIndex
from retriever.index.sizing import IndexKey, list_count

K = 10
BATCH = 1 << 20
TRUTH_BLOCK = 1 << 18
CANDIDATES = 1000
DEPTHS = (0, 100, 200, 400, 1000)
PROBES = (16, 64, 256)
# Searches of each batch size that are timed.
REPEATS = {1: 200, 32: 50, 1024: 10}
# Threads that ask one query after another.
THREADS = (1, 4, 16)
# Batches of FAISS's own adding, of which the last is timed.
ADDS = 2


@dataclass
class Report:
    """Tables, printed as they come and written at the end."""

    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, table: str, **row: Any) -> None:
        """Print a row; above the first of a table, its name."""
        rows = self.tables.setdefault(table, [])
        if not rows:
            print(f"\n{table}", flush=True)
        rows.append(row)
        print("  " + "  ".join(f"{name} {shown(value)}" for name, value in row.items()), flush=True)

    def markdown(self) -> str:
        parts = []
        for table, rows in self.tables.items():
            names = list(rows[0])
            lines = [f"**{table}**", "", "| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
            lines += ["| " + " | ".join(shown(row[name]) for name in names) + " |" for row in rows]
            parts.append("\n".join(lines))
        return "\n\n".join(parts) + "\n"

    def write(self, folder: Path) -> None:
        (folder / "index_gpu.md").write_text(self.markdown())
        (folder / "index_gpu.json").write_text(json.dumps(self.tables, indent=1))


def shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def wait(device: torch.device) -> None:
    """Let the device finish: until then its clock shows nothing."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(device: torch.device, work: Callable[[], object], repeats: int = 3) -> float:
    """Seconds of a call, the median of several, after one to warm up."""
    work()
    times = []
    for _ in range(repeats):
        wait(device)
        started = time.perf_counter()
        work()
        wait(device)
        times.append(time.perf_counter() - started)
    return float(np.median(times))


class Corpus:
    """Vectors that are drawn again, the same, each time they are asked for."""

    def __init__(self, sample: np.ndarray, count: int, noise: float, device: torch.device) -> None:
        self._sample = torch.from_numpy(sample.astype(np.float32)).to(device)
        self.dimension = sample.shape[1]
        self.count = count
        self.device = device
        covariance = torch.cov(self._sample.T) + 1e-7 * torch.eye(self.dimension, device=device)
        self._spread = noise * torch.linalg.cholesky(covariance)

    def batch(self, number: int) -> torch.Tensor:
        """The vectors of one batch: float16 [rows, dimension]."""
        rows = min(BATCH, self.count - number * BATCH)
        random = torch.Generator(self.device).manual_seed(number)
        mine = torch.randint(len(self._sample), (rows,), generator=random, device=self.device)
        noise = torch.randn((rows, self.dimension), generator=random, device=self.device)
        return F.normalize(self._sample[mine] + noise @ self._spread.T).half()

    def batches(self) -> Iterator[tuple[int, torch.Tensor]]:
        """Every batch, with the row of its first vector."""
        for number in range(-(-self.count // BATCH)):
            yield number * BATCH, self.batch(number)

    def training_sample(self, rows: int) -> np.ndarray:
        """As many vectors as asked, or all there are: they are drawn independently, so any will do."""
        parts: list[torch.Tensor] = []
        for _, vectors in self.batches():
            parts.append(vectors[: rows - sum(map(len, parts))].cpu())
            if sum(map(len, parts)) >= rows:
                break
        return torch.cat(parts).float().numpy()


class Truth:
    """The exact best rows of each query among the vectors seen so far."""

    def __init__(self, queries: torch.Tensor) -> None:
        self._queries = queries
        self._scores = torch.full((len(queries), K), -torch.inf, device=queries.device)
        self.rows = torch.full((len(queries), K), -1, device=queries.device)

    def see(self, first: int, vectors: torch.Tensor) -> None:
        for at in range(0, len(vectors), TRUTH_BLOCK):
            block = vectors[at : at + TRUTH_BLOCK].float()
            best = (self._queries @ block.T).topk(min(K, len(block)))
            scores = torch.cat([self._scores, best.values], 1)
            rows = torch.cat([self.rows, best.indices + (first + at)], 1)
            kept = scores.topk(K)
            self._scores, self.rows = kept.values, rows.gather(1, kept.indices)


def ceilings(report: Report, device: torch.device) -> None:
    """What the device does at best: of a large matrix product, and of a copy in its memory."""
    left = torch.randn((8192, 8192), device=device).half()
    product = seconds(device, lambda: left @ left)
    large = torch.empty(1 << 32, dtype=torch.uint8, device=device)
    copied = torch.empty_like(large)
    copy = seconds(device, lambda: copied.copy_(large))
    report.add("Ceilings", what="float16 matrix product, TFLOP/s", value=2 * 8192**3 / product / 1e12)
    report.add(
        "Ceilings", what="copy on the device, TB/s read and written", value=2 * len(large) / copy / 1e12
    )


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


def our_rates(report: Report, key: str, codec: TorchCodec, vectors: torch.Tensor) -> None:
    """Vectors a second of our encoding: its first half, all of it on the device, and to or from the host."""
    host = vectors.cpu().numpy()
    ways = {
        "ours, lists only": lambda: [codec.assign(block) for block in vectors.split(8192)],
        "ours, on the device only": lambda: codec.encode_here(vectors),
        "ours, GPU tensor to codes in host memory": lambda: codec.encode(vectors),
        "ours, host memory to host memory": lambda: codec.encode(host),
    }
    for way, work in ways.items():
        rate = len(vectors) / seconds(codec.device, work)
        report.add("Encoding", dimension=vectors.shape[1], key=key, way=way, rate=rate)


def faiss_rates(report: Report, key: str, trained: Any, vectors: torch.Tensor) -> None:
    """Vectors a second of FAISS's GPU index, with room for all of them reserved in its lists."""
    resources, options = faiss.StandardGpuResources(), faiss.GpuClonerOptions()
    options.useFloat16 = options.useFloat16CoarseQuantizer = True
    options.reserveVecs = ADDS * len(vectors)
    codec, part = TorchCodec(trained, vectors.device), vectors.float()

    def add(index: Any, ids: torch.Tensor) -> None:
        index.add_with_ids_c(len(part), float_pointer(part), id_pointer(ids))

    def add_core(index: Any, ids: torch.Tensor) -> None:
        lists = torch.cat([codec.assign(block) for block in vectors.split(8192)])
        # FAISS works on a stream of its own.
        torch.cuda.synchronize()
        index.add_core(len(part), float_pointer(part), id_pointer(ids), id_pointer(lists))

    for way, work in (("FAISS add", add), ("FAISS add_core, lists from a matrix product", add_core)):
        index = faiss.index_cpu_to_gpu(resources, 0, trained, options)
        for number in range(ADDS):
            ids = torch.arange(len(part), device=part.device) + number * len(part)
            torch.cuda.synchronize()
            started = time.perf_counter()
            work(index, ids)
            torch.cuda.synchronize()
            took = time.perf_counter() - started
        report.add("Encoding", dimension=vectors.shape[1], key=key, way=way, rate=len(part) / took)
        del index


def float_pointer(values: torch.Tensor) -> Any:
    return faiss.cast_integer_to_float_ptr(values.data_ptr())


def id_pointer(values: torch.Tensor) -> Any:
    return faiss.cast_integer_to_idx_t_ptr(values.data_ptr())


def drawn(key: str, dimension: int) -> Any:
    """An index whose centroids and codebooks are drawn, not trained."""
    random = np.random.default_rng(0)
    index = faiss.index_factory(dimension, key, faiss.METRIC_INNER_PRODUCT)
    centroids = random.standard_normal((index.nlist, dimension), np.float32)
    faiss.normalize_L2(centroids)
    index.quantizer.add(centroids)
    words = random.standard_normal(index.pq.ksub * dimension, np.float32) / np.float32(dimension**0.5)
    faiss.copy_array_to_vector(words, index.pq.centroids)
    index.is_trained = True
    return index


def wide_rates(report: Report, lists: int, device: torch.device) -> None:
    """The rates again for 768 dimensions."""
    key, rows = f"IVF{lists},PQ64", BATCH if device.type == "cuda" else 2048
    index = drawn(key, 768)
    random = torch.Generator(device).manual_seed(0)
    vectors = F.normalize(torch.randn((rows, 768), generator=random, device=device)).half()
    our_rates(report, key, TorchCodec(index, device), vectors)
    if device.type == "cuda":
        faiss_rates(report, key, index, vectors)


def agreement(report: Report, key: str, trained: Any, vectors: torch.Tensor, codec: TorchCodec) -> None:
    """Share of lists and of codes that are FAISS's own, and what both lose of a vector."""
    some = vectors[:8192]
    ours = codec.encode(some)
    theirs = trained.sa_encode(some.float().cpu().numpy())
    ivf = faiss.extract_index_ivf(trained)
    head = ivf.coarse_code_size()
    same = (ours[:, :head] == theirs[:, :head]).all(1)
    losses = []
    for codes in (ours, theirs):
        rest = trained.sa_decode(codes) - some.float().cpu().numpy()
        losses.append(float((rest**2).sum(1).mean()))
    report.add(
        "Agreement with FAISS on the CPU",
        key=key,
        same_list=float(same.mean()),
        same_codes_in_these=float((ours[same, head:] == theirs[same, head:]).mean()),
        our_squared_error=losses[0],
        its_squared_error=losses[1],
    )


def open_index(
    report: Report,
    trained: Any,
    key: IndexKey,
    shards: list[tuple[int, np.ndarray]],
    gpus: int,
    gpus_a_copy: int,
) -> Any:
    """Load the codes into the indexes of so many GPUs, or into a CPU's."""
    for gpu in range(gpus):
        torch.zeros(1, device=f"cuda:{gpu}")  # What a GPU takes to begin with is not the index's.
    started = time.perf_counter()
    if gpus:
        torch.cuda.empty_cache()
        before = [torch.cuda.mem_get_info(gpu)[0] for gpu in range(gpus)]
        index: Any = GpuSearchIndex(trained, key, shards, Gpus(range(gpus), gpus_a_copy))
        for gpu, free in enumerate(before):
            taken = free - torch.cuda.mem_get_info(gpu)[0]
            report.add("Loading", gpus=gpus, gpus_a_copy=gpus_a_copy, what=f"bytes on GPU {gpu}", value=taken)
    else:
        from retriever.index.faiss_index import SearchIndex

        for first, codes in shards:
            trained.add_sa_codes(np.ascontiguousarray(codes), np.arange(first, first + len(codes)))
        index = SearchIndex(trained, key)
    took, what = time.perf_counter() - started, "seconds from files to a searchable index"
    report.add("Loading", gpus=gpus, gpus_a_copy=gpus_a_copy, what=what, value=took)
    return index


def time_searches(report: Report, index: Any, queries: np.ndarray, k: int, where: dict[str, int]) -> None:
    """Milliseconds of a search, its choice of lists included, beside those of FAISS's GPU index alone."""
    for nprobe in (p for p in PROBES if p <= index.nlist):
        for batch, repeats in REPEATS.items():

            def ours(asked: np.ndarray, nprobe: int = nprobe) -> None:
                index.search(index.assign(asked, nprobe), k)

            p50, p99 = percentiles(ours, queries, batch, repeats)
            row = {**where, "nprobe": nprobe, "batch": batch, "k": k, "p50_ms": p50, "p99_ms": p99}
            # Without residuals its own centroids lie at the origin, and it would choose no lists by them.
            if where["gpus"] == 1 and index._ivf.by_residual:
                alone = index._copies[0]._owners[0]._index

                def its(asked: np.ndarray, nprobe: int = nprobe, alone: Any = alone) -> None:
                    alone.search(asked, k, params=faiss.SearchParametersIVF(nprobe=nprobe))

                row["faiss_p50_ms"], _ = percentiles(its, queries, batch, repeats)
            report.add("Searches" if where["gpus"] < 2 else "Searches on several GPUs", **row)


def ask_from_threads(report: Report, index: Any, queries: np.ndarray, k: int, where: dict[str, int]) -> None:
    """Single queries a second, asked by several threads at once as a server does."""

    def ask(query: np.ndarray) -> None:
        index.search(index.assign(query[None], PROBES[1]), k)

    for threads in THREADS:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(ask, queries[:100]))
            started = time.perf_counter()
            list(pool.map(ask, queries))
            rate = len(queries) / (time.perf_counter() - started)
        report.add("Single queries", **where, nprobe=PROBES[1], threads=threads, queries_a_second=rate)


def other_hits(one: ScoredRows, other: ScoredRows) -> int:
    """How many hits of one search another has not, or with another score; ties with the last may differ."""
    (scores, rows), (others, its_rows) = one, other
    same = [np.isin(a, b) | (s == s[-1]) for s, a, b in zip(scores, rows, its_rows, strict=True)]
    return int((~(np.array(same) & (scores == others))).sum())


def percentiles(
    search: Callable[[np.ndarray], None], queries: np.ndarray, batch: int, repeats: int
) -> tuple[float, float]:
    """Median and 99th percentile of a search of a batch, in milliseconds."""
    times = []
    for number in range(repeats + 3):
        asked = np.ascontiguousarray(queries[np.arange(number * batch, (number + 1) * batch) % len(queries)])
        started = time.perf_counter()
        search(asked)
        times.append(1e3 * (time.perf_counter() - started))
    p50, p99 = np.percentile(times[3:], [50, 99])
    return float(p50), float(p99)


def exact_scores(corpus: Corpus, queries: torch.Tensor, rows: np.ndarray) -> np.ndarray:
    """Inner products of queries and rows [settings, queries, candidates], from the vectors drawn again."""
    asked = np.broadcast_to(np.arange(rows.shape[1])[None, :, None], rows.shape).ravel()
    order = np.argsort(rows, axis=None, kind="stable")
    ordered = rows.ravel()[order]
    scores = np.full(rows.size, -np.inf, np.float32)
    for first, vectors in corpus.batches():
        start, end = np.searchsorted(ordered, [first, first + len(vectors)])
        for at in range(start, end, TRUTH_BLOCK):
            mine = order[at : min(end, at + TRUTH_BLOCK)]
            places = torch.from_numpy(rows.ravel()[mine] - first).to(corpus.device)
            whose = torch.from_numpy(asked[mine]).to(corpus.device)
            found = (vectors[places].float() * queries[whose]).sum(1)
            scores[mine] = found.cpu().numpy()
    return scores.reshape(rows.shape)


def measure_recall(
    report: Report, corpus: Corpus, probes: list[int], rows: np.ndarray, queries: torch.Tensor, truth: Truth
) -> None:
    """Recall@10 of the codes alone, and of the best of their candidates re-scored exactly."""
    scores, exact = exact_scores(corpus, queries, rows), truth.rows.cpu().numpy()
    for number, nprobe in enumerate(probes):
        for depth in (d for d in DEPTHS if d <= rows.shape[2]):
            best = rows[number, :, :K]
            if depth:
                order = np.argsort(-scores[number, :, :depth], axis=1, kind="stable")[:, :K]
                best = np.take_along_axis(rows[number], order, axis=1)
            hits = [len(np.intersect1d(a, b)) / K for a, b in zip(best, exact, strict=True)]
            report.add("Recall", nprobe=nprobe, rescored=depth, recall_10=float(np.mean(hits)))


def search(
    report: Report,
    corpus: Corpus,
    trained: Any,
    key: IndexKey,
    shards: list[tuple[int, np.ndarray]],
    queries: torch.Tensor,
    truth: Truth,
) -> None:
    """Search the codes on one GPU, then on all there are, or on the CPU."""
    asked, probes = queries.cpu().numpy(), [p for p in PROBES if p <= key.nlist]
    found: list[list[ScoredRows]] = []
    count = torch.cuda.device_count()
    # A copy on each GPU; then one that all of them share, as those too large for one are.
    places = [(1, 1)] + [(count, 1), (count, count)] * (count > 1)
    for gpus, gpus_a_copy in places if corpus.device.type == "cuda" else [(0, 0)]:
        where = {"gpus": gpus, "gpus_a_copy": gpus_a_copy}
        index = open_index(report, trained, key, shards, **where)
        time_searches(report, index, asked, 100, where)
        ask_from_threads(report, index, asked, 100, where)
        found.append([index.search(index.assign(asked, n), CANDIDATES) for n in probes])
        del index  # The next needs its memory.
        if gpus > 1:
            pairs = zip(found[0], found[-1], strict=True)
            report.add("Hits on several GPUs", **where, others=sum(other_hits(*pair) for pair in pairs))
    rows = np.stack([its_rows for _, its_rows in found[0]])
    measure_recall(report, corpus, probes, rows, queries, truth)


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
        search(report, corpus, trained, key, shards, queries, truth)
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
