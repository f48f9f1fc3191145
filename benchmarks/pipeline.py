"""Text filtered and signed a second and core: our stages beside datatrove's and datasketch's, in one run.

    python benchmarks/pipeline.py SOURCE.jsonl... [--size 2e9] [--peer-size 1e7]      (pip install datasketch)

The sources' documents are repeated to `--size` bytes of JSON Lines. Ours reads them, asks the language and
the rules of Gopher, C4 and FineWeb at their published thresholds, and writes what is left, as a build's
`read` stage does; then signs the documents that are long enough for MinHash and writes the bands' keys, as
`near-sign` does. Peers do the same with a part of it: datatrove's reader, filters and writer (its rules over
words between white space, quicker than the tokenizers that it downloads, and with the same language model);
datasketch's MinHash and LSH. One process and one thread each. Tokenizing, which a build does once and keeps,
is apart: our chunks beside `tokenizers` alone. MB are of text and JSON as they are read.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np
import orjson

from datastore.files.layout import Layout
from datastore.files.writing import save_array
from pipelines.config import BuildConfig, NearDuplicates, SourceConfig, checked_config
from pipelines.corpus.read import ReadStage
from pipelines.corpus.sources import resolve
from pipelines.duplicates.dedup import drops_path
from pipelines.duplicates.near import SignStage
from pipelines.passages.cut import chunk, load_tokenizer
from pipelines.readers.bytes.lines import open_stream
from retriever.encoding.usage import DEFAULT_ENCODER

# What is quick to say no comes first.
RULES = ["gopher_quality", "c4", "language", "fineweb", "gopher_repetition"]
# What MinHash is measured on: documents of some pages, as the published rates are.
LONG = 2000


def records(sources: list[Path]) -> Iterator[dict[str, Any]]:
    """The documents of JSON Lines files, a document of each in turn."""
    streams = [open_stream(str(path)) for path in sources]
    while streams:
        for stream in list(streams):
            line = stream.readline()
            if not line:
                streams.remove(stream)
            elif line.strip():
                yield orjson.loads(line)


def repeated(path: Path, sources: list[Path], size: float, shortest: int = 0) -> Path:
    """JSON Lines of about `size` bytes: the sources' documents, again and again."""
    lines = [
        orjson.dumps({"id": str(n), "text": found["text"]}, option=orjson.OPT_APPEND_NEWLINE)
        for n, found in enumerate(records(sources))
        if len(found["text"]) >= shortest
    ]
    with open(path, "wb") as handle:
        written = at = 0
        while written < size:
            written += handle.write(lines[at % len(lines)])
            at += 1
    return path


def filtered(corpus: Path, root: Path) -> tuple[float, dict[str, int]]:
    """Seconds of our `read` stage over a corpus, and what it counted."""
    config = checked_config({"sources": [{"path": str(corpus)}], "filters": RULES, "min_chars": 0})
    stage = ReadStage(Layout(root), config, resolve(config))
    counts: dict[str, int] = {}
    started = time.process_time()
    for number in range(len(stage.sizes())):
        for name, count in stage.run(number).counts.items():
            counts[name] = counts.get(name, 0) + count
    return time.process_time() - started, counts


def filtered_by_datatrove(corpus: Path, root: Path) -> tuple[float, int]:
    """Seconds of datatrove's reader, filters and writer over a corpus, and the documents it kept."""
    from datatrove.data import Document
    from datatrove.pipeline import filters
    from datatrove.pipeline.filters import (
        c4_filters,
        fineweb_quality_filter,
        gopher_quality_filter,
        gopher_repetition_filter,
    )
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    from pipelines.filters.c4 import sentences
    from pipelines.filters.fasttext import load_model

    for module in (fineweb_quality_filter, gopher_quality_filter, gopher_repetition_filter):
        module.split_into_words = lambda text, _: text.split()
    c4_filters.split_into_sentences = lambda line, _: [line] * sentences(line)
    model = load_model(None)

    def english(document: Document) -> bool:
        labels, scores = model.predict(" ".join(document.text[:300].split()))
        return bool(labels) and labels[0] == "__label__en" and scores[0] >= 0.65

    steps = [
        filters.GopherQualityFilter(),
        filters.C4QualityFilter(),
        filters.LambdaFilter(english),
        filters.FineWebQualityFilter(),
        filters.GopherRepetitionFilter(),
        JsonlWriter(str(root / "datatrove"), compression=None),
    ]
    started = time.process_time()
    documents = JsonlReader(str(corpus.parent), glob_pattern=corpus.name).run()
    for step in steps:
        documents = step.run(documents)
    kept = sum(1 for _ in documents)
    return time.process_time() - started, kept


def signed(corpus: Path, root: Path) -> tuple[float, int]:
    """Seconds of our `near-sign` stage over a corpus, and its documents."""
    layout, settings = Layout(root), NearDuplicates()
    config = BuildConfig(sources=(SourceConfig(path=str(corpus)),), min_chars=0)
    read = ReadStage(layout, config, resolve(config))
    documents = tuple(read.run(number).counts["kept"] for number in range(len(read.sizes())))
    for by in ("id", "text"):
        layout.write(drops_path(layout, by, 0), lambda handle: save_array(handle, np.empty((0, 4), np.int64)))
    stage = SignStage(layout, settings, documents, 1)
    started = time.process_time()
    for number in range(len(documents)):
        stage.run(number)
    return time.process_time() - started, sum(documents)


def signed_by_datasketch(corpus: Path) -> tuple[float, int]:
    """Seconds of datasketch's signatures and LSH, and the documents."""
    from datasketch import MinHash, MinHashLSH

    texts = [orjson.loads(line)["text"] for line in corpus.read_bytes().splitlines()]
    lsh = MinHashLSH(num_perm=128, params=(16, 8))
    started = time.process_time()
    for number, text in enumerate(texts):
        words = text.lower().split()
        signature = MinHash(num_perm=128)
        signature.update_batch({" ".join(words[at : at + 13]).encode() for at in range(len(words) - 12)})
        lsh.insert(str(number), signature)
    return time.process_time() - started, len(texts)


def tokenized(corpus: Path) -> tuple[float, float, float]:
    """Seconds of our chunks and of `tokenizers` alone over a corpus, and its bytes of text."""
    texts = [orjson.loads(line)["text"] for line in corpus.read_bytes().splitlines()]
    tokenizer = load_tokenizer(DEFAULT_ENCODER)
    room = tokenizer.room("passage")
    started = time.process_time()
    for text in texts:
        for _ in chunk(text, tokenizer, room):
            pass
    ours = time.process_time() - started
    started = time.process_time()
    for text in texts:
        tokenizer.tokenize([text])
    return ours, time.process_time() - started, float(sum(len(text.encode()) for text in texts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", type=Path, nargs="+")
    parser.add_argument("--size", type=float, default=2e9)
    parser.add_argument("--peer-size", type=float, default=1e7)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        whole = repeated(root / "whole.jsonl", args.sources, args.size)
        part = repeated(root / "part.jsonl", args.sources, args.peer_size)
        pages = repeated(root / "pages.jsonl", args.sources, args.size / 4, LONG)
        few = repeated(root / "few.jsonl", args.sources, args.peer_size, LONG)
        report_filters(whole, part, root)
        report_near_duplicates(pages, few, root)
        ours, alone, size = tokenized(part)
        print(
            f"chunks with token ids: {size / ours / 1e6:.2f} MB/s, tokenizers alone {size / alone / 1e6:.2f}"
        )


def report_filters(whole: Path, part: Path, root: Path) -> None:
    """Print our rate, what was counted, and datatrove's rate."""
    seconds, counts = filtered(whole, root / "whole")
    mine = whole.stat().st_size / seconds / 1e6
    print(f"filters: {mine:.2f} MB/s a core, {counts['documents'] / seconds:,.0f} documents/s")
    print("  " + ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())), flush=True)
    seconds, kept = filtered_by_datatrove(part, root)
    _, ours = filtered(part, root / "part")
    peer = part.stat().st_size / seconds / 1e6
    print(f"  datatrove: {peer:.2f} MB/s, ours is {mine / peer:.1f} times that; it keeps {kept:,} documents")
    print(f"  of a part of which ours keeps {ours['kept']:,}", flush=True)


def report_near_duplicates(pages: Path, few: Path, root: Path) -> None:
    """Print our rate of signatures and bands, and datasketch's."""
    seconds, count = signed(pages, root / "pages")
    mine = pages.stat().st_size / seconds / 1e6
    print(f"signatures and bands: {mine:.2f} MB/s a core, {count / seconds:,.0f} documents/s")
    seconds, count = signed_by_datasketch(few)
    peer = few.stat().st_size / seconds / 1e6
    print(
        f"  datasketch: {peer:.2f} MB/s, {count / seconds:,.0f} documents/s; ours is {mine / peer:.1f} times"
    )


if __name__ == "__main__":
    main()
