"""What looking for evaluation text adds to cutting passages, and what each file of questions costs a corpus.

    python benchmarks/decontamination.py SOURCE.jsonl... --questions QUESTIONS.jsonl... [--every 4]

The `chunk` stage over every n-th document of the sources, with and without the n-grams of the questions, a
split at a time by turns, in one process and thread; seconds are CPU time. MB are of text.
"""

import argparse
import os
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np
import orjson

from datastore.files.layout import Layout
from datastore.files.writing import save_array
from pipelines.config import BuildConfig, EvaluationTexts, SourceConfig
from pipelines.contamination.table import make_table, sought
from pipelines.corpus.read import ReadStage
from pipelines.corpus.sources import resolve
from pipelines.duplicates.dedup import drops_path
from pipelines.passages.chunk import ChunkStage
from pipelines.passages.parts import write_batch
from pipelines.readers.bytes.lines import open_stream


def sample(path: Path, sources: list[Path], every: int) -> float:
    """Write every n-th document of the sources as JSON Lines; the bytes of text."""
    size = 0
    with open(path, "wb") as handle:
        for source in sources:
            with open_stream(str(source)) as stream:
                for number, line in enumerate(stream):
                    if number % every == 0:
                        found = orjson.loads(line)
                        size += len(found["text"].encode())
                        record = {"id": f"{source.name}/{number}", "text": found["text"]}
                        handle.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
    return float(size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", type=Path, nargs="+")
    parser.add_argument("--questions", nargs="+", required=True)
    parser.add_argument("--every", type=int, default=4)
    parser.add_argument("--turns", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        layout = Layout(Path(folder) / "store")
        size = sample(Path(folder) / "sample.jsonl", args.sources, args.every)
        started = time.process_time()
        table = make_table(EvaluationTexts(files=tuple(args.questions)))
        layout.write(layout.contamination, partial(write_batch, batch=table))
        print(f"table made in {time.process_time() - started:.1f} s: {table.num_rows:,} texts")
        config = BuildConfig(
            sources=(SourceConfig(path=str(Path(folder) / "sample.jsonl")),), min_chars=0, split_bytes=1 << 22
        )
        read = ReadStage(layout, config, resolve(config))
        documents = tuple(read.run(number).counts["kept"] for number in range(len(read.sizes())))
        nothing = np.empty((0, 4), np.int64)
        layout.write(drops_path(layout, "id", 0), lambda handle: save_array(handle, nothing))
        plain = ChunkStage(layout, config, documents, {"id": 1})
        checked = ChunkStage(layout, config, documents, {"id": 1}, layout.contamination)
        report(plain, checked, size, args.turns)
        for one in sought(layout.contamination):
            print(f"  {one.file}: {one.sought:,} of {one.texts:,} texts sought")


def report(plain: ChunkStage, checked: ChunkStage, size: float, turns: int) -> None:
    """Print both rates, and what was dropped."""
    seconds = np.full((2, turns, len(plain.documents)), np.inf)
    counts = Counter[str]()
    for turn in range(turns):
        for number in range(len(plain.documents)):
            for which in (0, 1) if turn % 2 else (1, 0):
                stage = checked if which else plain
                started = time.process_time()
                marker = stage.run(number)
                seconds[which, turn, number] = time.process_time() - started
                if which == turn == 1:
                    counts.update(marker.counts)
    # Of each split its quickest turn: what else the machine does makes some slower.
    least = seconds.min(axis=1).sum(axis=1)
    print(f"cut {size / least[0] / 1e6:.3f} MB/s, checked {size / least[1] / 1e6:.3f}: ", end="")
    ratios = np.median(seconds[1] / seconds[0])
    print(f"{least[1] / least[0]:.3f} times the seconds; the median pair of tasks {ratios:.3f}")
    shown = {n: c for n, c in counts.items() if n.startswith(("passages", "dropped", "contam", "removed"))}
    print("  " + ", ".join(f"{name} {count:,}" for name, count in sorted(shown.items())))


if __name__ == "__main__":
    main()
