"""What each quantization of the packaged reader costs and keeps: bytes, perplexity, speed, in one run.

    python benchmarks/reader.py [--tokens 4096]

Perplexity is token-weighted over docstrings of the standard library, in windows of 512 tokens that
are scored from their second token on; bits per byte count the bytes of exactly the scored text.
"""

import argparse
import math
import time

import torch

from lm.backends.quantizations import QUANTIZATIONS
from lm.backends.reader_choice import ReaderChoice
from lm.backends.transformers_reader import TransformersReader
from lm.prompts import Prompt
from lm.reader import Sampling
from pipelines.demo import standard_library

WINDOW = 512


def perplexity(reader: TransformersReader, ids: list[int]) -> tuple[float, float]:
    """Token-weighted perplexity and bits per byte of a text given as ids."""
    nats, tokens, size = 0.0, 0, 0
    for at in range(0, len(ids) - 1, WINDOW):
        window = torch.tensor([ids[at : at + WINDOW]])
        if window.shape[1] < 2:
            continue
        with torch.inference_mode():
            logits = reader._model(window).logits[0, :-1].float()
        nats += torch.nn.functional.cross_entropy(logits, window[0, 1:], reduction="sum").item()
        tokens += window.shape[1] - 1
        size += len(reader._tokenizer.decode(window[0, 1:]).encode())
    return math.exp(nats / tokens), nats / math.log(2) / size


def speeds(reader: TransformersReader, ids: list[int]) -> tuple[float, float]:
    """Tokens a second of prefill (1,024 tokens) and of decoding at batch 1."""
    prompt = reader._tokenizer.decode(ids[:1024])
    started = time.perf_counter()
    reader.generate([Prompt(text=prompt)], Sampling(1))
    prefill = time.perf_counter() - started
    short = reader._tokenizer.decode(ids[:16])
    started = time.perf_counter()
    (completion,) = reader.generate([Prompt(text=short)], Sampling(48))
    decode = time.perf_counter() - started
    return len(reader._tokenizer(prompt)["input_ids"]) / prefill, completion.tokens / decode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=4096)
    args = parser.parse_args()
    text = "\n\n".join(document.text for document in standard_library())
    print(f"{'quantization':>12} {'MB':>7} {'ppl':>7} {'bits/byte':>10} {'prefill/s':>10} {'decode/s':>9}")
    for quantization in QUANTIZATIONS:
        reader = TransformersReader(ReaderChoice(quantization=quantization))
        ids = reader._tokenizer(text[: args.tokens * 8], add_special_tokens=False)["input_ids"]
        found, bits = perplexity(reader, ids[: args.tokens])
        reader.generate([Prompt(text="Hello")], Sampling(2))  # The first call also prepares kernels.
        prefill, decode = speeds(reader, ids)
        print(
            f"{quantization:>12} {reader.measured_bytes / 1e6:>7.1f} {found:>7.2f} {bits:>10.4f} "
            f"{prefill:>10.0f} {decode:>9.1f}"
        )


if __name__ == "__main__":
    main()
