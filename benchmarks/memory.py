"""Peak memory of a build, and what an open store holds in memory for each passage.

    python benchmarks/memory.py build SOURCE... -o STORE [any option of `ralm build`]
    python benchmarks/memory.py growth SOURCE... [--sizes 1e9 4e9] [--small-encoder] [any option of it]
    python benchmarks/memory.py store STORE
    python benchmarks/memory.py many [--passages 10000000]

`build` runs `ralm build` and adds up the proportional set size (PSS: shared pages counted once) of it and
all its children, Ray's own processes included, every 0.4 seconds; pages of mapped files apart. `growth`
does so for corpora of several sizes, which repeat the sources' documents, each time with their words in
another order, so that none is a duplicate; with `--small-encoder` by an encoder of one layer whose tokens
are words, since what embedding takes is not the question.

`store` opens a store, reads every passage key and 1,000 passages, and divides the anonymous memory that took
by the number of passages; memory-mapped pages are the page cache's and are not counted. `many` makes a store
of short passages with random vectors and 4-byte codes in a temporary folder, takes some down, opens it with
its index, searches it whole and in samples, and counts what it holds beyond codes and ids.
"""

import argparse
import multiprocessing
import random
import string
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import orjson
import psutil
import pyarrow as pa

from datastore.files.layout import Layout
from datastore.files.writing import save_array
from datastore.generations.generation import publish
from datastore.generations.manifest import EncoderCard, FileEntry, IndexEntry, Manifest, ShardEntry
from datastore.schema import PASSAGE_SCHEMA
from datastore.store import Datastore
from datastore.takedown import Takedown, Takedowns, take_down
from datastore.view import View
from pipelines.passages.parts import write_batch
from pipelines.readers.bytes.lines import open_stream
from retriever.index.faiss_index import encode, to_bytes, train
from retriever.index.loading import in_memory
from retriever.index.sizing import IndexKey
from retriever.local import LocalRetriever
from retriever.opened import OpenedStore
from retriever.ranking.setting import Setting
from retriever.request import DENSE, Search

# Bytes of one file of a corpus that is made up.
_PART = 1 << 26
# Seconds between looks: the kernel goes through all pages of all processes for one.
_EVERY = 0.4


def memory_of(process: psutil.Process) -> tuple[Counter[str], int]:
    """What a process and all its children hold, in bytes: of their own or shared, and pages of mapped files.

    The first by what kind of process it is. The second are the system's to take back. Pages that several hold
    are counted once (PSS).
    """
    own: Counter[str] = Counter()
    files = 0
    for one in (process, *process.children(recursive=True)):
        try:
            lines = Path(f"/proc/{one.pid}/smaps_rollup").read_text().splitlines()[1:]
            kind = "the command" if one.pid == process.pid else kind_of(one.cmdline())
        except (OSError, psutil.Error):
            continue  # It has ended meanwhile.
        found = {line.split()[0]: 1024 * int(line.split()[1]) for line in lines}
        own[kind] += found["Pss_Anon:"] + found["Pss_Shmem:"]
        files += found["Pss_File:"]
    return own, files


def kind_of(command: list[str]) -> str:
    """What a process of a build is called here, by its command line."""
    first = Path(command[0]).name if command else ""
    if first.startswith("ray::"):
        return "workers"
    return "Ray's servers" if any("/ray/" in part for part in command) else "workers"


def peak_of_build(store: Path, arguments: list[str]) -> None:
    """Print the peak of each stage, the whole build's, and whether Ray spilled."""
    command = [sys.executable, "-m", "pipelines.cli", "build", *arguments, "-o", str(store)]
    started, spilled = time.perf_counter(), False
    stages: dict[str, tuple[int, int]] = {}
    kinds: Counter[str] = Counter()
    with subprocess.Popen(command) as build:
        process = psutil.Process(build.pid)
        while build.poll() is None:
            try:
                found = memory_of(process)
            except psutil.Error:
                break
            stage, before = stage_of(store), (0, 0)
            before = stages.get(stage, before)
            stages[stage] = (max(before[0], found[0].total()), max(before[1], found[1]))
            kinds = max(kinds, found[0], key=Counter.total)
            spilled = spilled or has_spilled()
            time.sleep(_EVERY)
    for stage, peaks in stages.items():
        own, files = (peak / 2**20 for peak in peaks)
        print(f"  until {stage:<14} {own:8,.0f} MiB, mapped files {files:8,.0f} MiB")
    own, files = (max(peaks[n] for peaks in stages.values()) / 2**20 for n in range(2))
    print(
        f"peak memory {own:,.0f} MiB, mapped files {files:,.0f} MiB, {time.perf_counter() - started:.0f} s, "
        f"Ray spilled {'objects' if spilled else 'nothing'}; at the peak "
        + ", ".join(f"{kind} {held / 2**20:,.0f}" for kind, held in kinds.most_common()),
        flush=True,
    )


def stage_of(store: Path) -> str:
    """The stage whose first or latest task was done last."""
    folders = [path for path in Layout(store).stages.glob("*") if path.is_dir()]
    return max(folders, key=lambda path: path.stat().st_mtime).name if folders else "start"


def has_spilled() -> bool:
    """Whether Ray's latest session here has written objects to disk."""
    session = Path(tempfile.gettempdir()) / "ray" / "session_latest"
    return any(path.is_file() for path in session.glob("ray_spilled_objects*/*"))


def growth(sources: list[Path], sizes: list[float], options: list[str]) -> None:
    """Build corpora of these sizes in bytes, one after another."""
    texts = [orjson.loads(line)["text"] for source in sources for line in open_stream(str(source))]
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            corpus = Path(folder) / "corpus"
            corpus.mkdir()
            parts = range(-(-int(size) // _PART))
            with multiprocessing.Pool() as pool:
                pool.starmap(write_varied, [(corpus / f"{n:04d}.jsonl", texts, n) for n in parts])
            written = sum(path.stat().st_size for path in corpus.iterdir())
            print(f"corpus of {written / 1e9:.2f} GB:", flush=True)
            peak_of_build(Path(folder) / "store", [str(corpus), *options])


def small_encoder(folder: Path) -> str:
    """An encoder of one layer with random weights, whose tokens are words: quick, and all else as usual."""
    import torch
    from sentence_transformers import SentenceTransformer, models
    from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
    from tokenizers.models import WordLevel
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words = [f"{one}{other}" for one in string.ascii_lowercase for other in ["", *string.ascii_lowercase]]
    vocabulary = {word: n for n, word in enumerate([*special, *words])}
    tokenizer = Tokenizer(WordLevel(vocabulary, "[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), special, strict=True))
    torch.manual_seed(0)
    size = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(vocabulary), **size)).save_pretrained(folder / "bare")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder / "bare")
    transformer = models.Transformer(str(folder / "bare"), max_seq_length=256)
    SentenceTransformer(modules=[transformer, models.Pooling(64)]).save(str(folder / "small"))
    return str(folder / "small")


def write_varied(path: Path, texts: list[str], seed: int) -> None:
    """Write a part of documents with their words in another order."""
    shuffled = random.Random(seed)
    with open(path, "wb") as handle:
        for number in range(1 << 60):
            words = shuffled.choice(texts).split(" ")
            shuffled.shuffle(words)
            record = {"id": f"{seed}-{number}", "text": " ".join(words)}
            handle.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
            if handle.tell() >= _PART:
                return


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

    def knows(self, queries: list[str]) -> np.ndarray:
        return np.ones(len(queries), bool)

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
        retriever = LocalRetriever(OpenedStore(store, encoder=OneQuery(), index=index))  # type: ignore[arg-type]
        print(f"{rows:,} passages in {len(manifest.shards)} shards")
        print(f"store opened: {touched_bytes / rows:.2f} bytes a passage")
        print(f"index loaded: {(loaded - index_bytes) / rows:.2f} bytes a passage beyond its {index_bytes:,}")
        for name, view in (("whole", View()), ("a tenth", View(0.1)), ("a thousandth", View(0.001))):
            (ranking,) = retriever.search(["a"], Search(10, view, Setting(64, 100), DENSE))
            held = anonymous() - before - index_bytes
            print(f"searched {name} ({len(ranking.hits)} hits): {held / rows:.2f} bytes a passage")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["build", "growth", "store", "many"])
    parser.add_argument("--sizes", type=float, nargs="+", default=[1e9, 4e9])
    parser.add_argument("--passages", type=int, default=10_000_000)
    parser.add_argument("--small-encoder", action="store_true")
    parser.add_argument("-o", "--output", type=Path, default=Path("store"))
    args, rest = parser.parse_known_args()
    if args.what == "build":
        peak_of_build(args.output, rest)
    elif args.what == "growth":
        sources = [Path(one) for one in rest if ".jsonl" in one]
        options = [one for one in rest if ".jsonl" not in one]
        with tempfile.TemporaryDirectory() as folder:
            if args.small_encoder:
                options += ["--encoder", small_encoder(Path(folder))]
            growth(sources, args.sizes, options)
    elif args.what == "many":
        many(args.passages)
    else:
        bytes_per_passage(Path(rest[0]))


if __name__ == "__main__":
    main()
