"""Requests scored together beside one by one: seconds (CPU seconds without a GPU), and how far totals differ.

python benchmarks/scoring.py CORPUS.jsonl.zst [--reader NAME] [--quantization none] [--float32]
"""

import argparse
import time
from collections.abc import Sequence
from itertools import islice

import orjson
import torch

from lm.backends.reader_choice import ReaderChoice
from lm.backends.transformers_reader import TransformersReader
from lm.backends.weights import PLAIN_READER
from lm.prompts import Prompt
from lm.reader import Continuation
from pipelines.readers.bytes.lines import open_stream

CHOICES = (" yes, it was so in the year", " no, it was not", " in the north", " by nobody at all")


def requests(texts: Sequence[str]) -> dict[str, list[Continuation]]:
    """Multiple choice, questions behind examples that all share, and texts that share nothing."""
    stem = "\n\n".join(texts[12:16])[:2000] + "\n\n"
    return {
        "12 questions, 4 choices": [
            Continuation(Prompt(text=text[:600]), choice) for text in texts[:12] for choice in CHOICES
        ],
        "8 questions, 2 choices, behind 2,000 characters": [
            Continuation(Prompt(text=stem + text[:200]), choice)
            for text in texts[:8]
            for choice in CHOICES[:2]
        ],
        "12 texts of 40 to 480 characters": [
            Continuation(Prompt(text=text[: 40 * number]), " yes")
            for number, text in enumerate(texts[:12], 1)
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("--reader", default=PLAIN_READER)
    parser.add_argument("--quantization", default="none")
    parser.add_argument("--float32", action="store_true")
    options = parser.parse_args()
    reader = TransformersReader(ReaderChoice(options.reader, options.quantization))
    if options.float32:
        reader._model.float()
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    with open_stream(options.corpus) as lines:
        texts = [orjson.loads(line)["text"] for line in islice(lines, 16)]
    for name, asked in requests(texts).items():
        reader.loglikelihood(asked[:1])
        begun = clock()
        each = [reader.loglikelihood([one])[0].total for one in asked]
        between = clock()
        together = [one.total for one in reader.loglikelihood(asked)]
        alone, batched = between - begun, clock() - between
        apart = max(abs(one - other) for one, other in zip(each, together, strict=True))
        print(f"{name}: {alone:.1f} s one by one, {batched:.1f} s together ({alone / batched:.1f} times)")
        print(f"    totals differ by at most {apart:.4f} nats")


if __name__ == "__main__":
    main()
