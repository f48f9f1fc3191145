"""Peak memory of a build, and what an open store holds in memory for each passage.

    python benchmarks/memory.py build SOURCE... -o STORE [any option of `ralm build`]
    python benchmarks/memory.py store STORE
    python benchmarks/memory.py many [--passages 10000000]

`build` runs `ralm build` and adds up the proportional set size (PSS: shared pages counted once) of it and all
its children, Ray's own processes included, ten times a second. `store` opens a store, reads every passage key
and 1,000 passages, and divides the anonymous memory that took by the number of passages; memory-mapped
pages are the page cache's and are not counted. `many` makes a store of short passages with random vectors and
4-byte codes in a temporary folder, takes some down, opens it with its index, searches it whole and in
samples, and counts what it holds beyond codes and ids.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa

from datastore.layout import Layout, save_array
from datastore.manifest import EncoderCard, FileEntry, IndexEntry, Manifest, ShardEntry, publish
from datastore.schema import PASSAGE_SCHEMA
from datastore.store import Datastore
from datastore.takedown import Takedown, Takedowns, take_down
from datastore.view import View
from pipelines.build.parts import write_batch
from retriever.index import Setting, encode, to_bytes, train
from retriever.loading import in_memory
from retriever.search import Retriever
from retriever.sizing import IndexKey


def pss(process: psutil.Process) -> int:
    """Proportional set size of a process and all its children, in bytes."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            total += one.memory_full_info().pss
        except psutil.Error:
            continue  # It has ended meanwhile.
    return total


def peak_of_build(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "pipelines.cli", "build", *arguments]
    started, peak = time.perf_counter(), 0
    with subprocess.Popen(command) as build:
        process = psutil.Process(build.pid)
        while build.poll() is None:
            try:
                peak = max(peak, pss(process))
            except psutil.Error:
                break
            time.sleep(0.1)
    print(f"peak memory {peak / 2**20:,.0f} MiB over {time.perf_counter() - started:.0f} s")


def anonymous() -> int:
    """Anonymous memory of this process, in bytes."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel does not tell anonymous memory")


def touched(path: Path) -> Datastore:
    """A store, opened, all its keys and 1,000 of its passages read."""
    store = Datastore.open(path)
    for keys in store.shard_keys():
        keys.max()
    for row in random.Random(0).sample(range(store.rows), min(1000, store.rows)):
        store.passage(row)
    return store


def bytes_per_passage(path: Path) -> None:
    # Once for the libraries it imports and the buffers they keep, which no store's size changes.
    touched(path)
    before = anonymous()
    store = touched(path)
    held = anonymous() - before
    print(f"{store.rows:,} passages, {held / 2**20:.2f} MiB held: {held / store.rows:.2f} bytes a passage")


DIMENSION = 32
KEY = "IVF4096,PQ8x4fs"


class OneQuery:
    """An encoder that knows one query."""

    device = "cpu"

    def encode_queries(self, queries: list[str]) -> np.ndarray:
        return np.random.default_rng(1).standard_normal((len(queries), DIMENSION)).astype(np.float32)


def make_store(root: Path, rows: int, per_shard: int) -> Manifest:
    """A store of so many short passages, laid out as a build would."""
    layout, random_, shards = Layout(root), np.random.default_rng(0), []
    key = IndexKey.parse(KEY)
    quantizer = train(key, random_.standard_normal((key.nlist * 40, DIMENSION)).astype(np.float32))
    for number, first in enumerate(range(0, rows, per_shard)):
        names = pa.array(np.arange(first, min(first + per_shard, rows)).astype(str))
        count = len(names)
        columns = {
            "text": names.cast(pa.large_string()),
            "domain": pa.array(["many"] * count),
            "doc_id": names,
            "chunk": pa.array(np.zeros(count, np.int32)),
            "start": pa.array(np.zeros(count, np.int64)),
            "metadata": pa.array([""] * count),
            "key": pa.array(random_.integers(0, 2**63, count).astype(np.uint64)),
        }
        batch = pa.record_batch([columns[n] for n in PASSAGE_SCHEMA.names], schema=PASSAGE_SCHEMA)
        vectors = random_.standard_normal((count, DIMENSION), dtype=np.float32).astype(np.float16)
        codes = encode(quantizer, vectors)
        infos = [
            layout.write(layout.passages(number), lambda h, b=batch: write_batch(h, b)),
            layout.write(layout.vectors(number), lambda h, v=vectors: save_array(h, v)),
            layout.write(layout.codes(KEY, number), lambda h, c=codes: save_array(h, c)),
        ]
        passages, vector_file, code_file = map(FileEntry.of, infos)
        shards.append(
            ShardEntry(first_row=first, rows=count, passages=passages, vectors=vector_file, codes=code_file)
        )
    info = layout.write(layout.trained(KEY), lambda h: h.write(to_bytes(quantizer)))
    manifest = Manifest(
        generation=1,
        next_shard=len(shards),
        sources=(),
        config={"device": "cpu"},
        encoder=EncoderCard(
            name="one query",
            weights_sha256="",
            dimension=DIMENSION,
            max_tokens=8,
            dtype="float32",
            prompts={},
            normalized=False,
        ),
        index=IndexEntry(key=KEY, recall=0.95, trained=FileEntry.of(info)),
        shards=tuple(shards),
        domains={"many": rows},
        columns={},
        counts={},
        removed=(),
    )
    publish(layout, manifest)
    return manifest


def many(rows: int, per_shard: int = 100_000) -> None:
    with tempfile.TemporaryDirectory() as folder:
        manifest = make_store(Path(folder), rows, per_shard)
        gone = frozenset(Takedown("many", str(number)) for number in range(0, rows, 10_000))
        take_down(Layout(Path(folder)), Takedowns(gone))
        # Codes and ids are subtracted as the loaded index is foreseen to hold them, padded blocks included.
        index_bytes = IndexKey.parse(KEY).bytes(rows, DIMENSION)
        before = anonymous()
        store = Datastore.open(folder)
        touched_bytes = anonymous() - before
        index = in_memory(Path(folder), store.manifest)
        loaded = anonymous() - before
        retriever = Retriever(store, OneQuery(), index)  # type: ignore[arg-type]
        print(f"{rows:,} passages in {len(manifest.shards)} shards")
        print(f"store opened: {touched_bytes / rows:.2f} bytes a passage")
        print(f"index loaded: {(loaded - index_bytes) / rows:.2f} bytes a passage beyond its {index_bytes:,}")
        for name, view in (("whole", View()), ("a tenth", View(0.1)), ("a thousandth", View(0.001))):
            (ranking,) = retriever.search(["a"], 10, view, Setting(64, 100))
            held = anonymous() - before - index_bytes
            print(f"searched {name} ({len(ranking.hits)} hits): {held / rows:.2f} bytes a passage")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["build", "store", "many"])
    parser.add_argument("--passages", type=int, default=10_000_000)
    args, rest = parser.parse_known_args()
    if args.what == "build":
        peak_of_build(rest)
    elif args.what == "many":
        many(args.passages)
    else:
        bytes_per_passage(Path(rest[0]))


if __name__ == "__main__":
    main()
