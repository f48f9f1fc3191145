"""Questions that are asked at once, beside one at a time; and the same passages asked about again.

    python benchmarks/service/throughput.py [--model FOLDER] [--quantization none] [--device cuda]
        [--questions 64] [--alone 16] [--prompt 600] [--answer 64] [--rows 16] [--peers static,continuous]

No store is needed: prompts are sentences of words drawn by a seed, their lengths and those of the answers
vary by a fifth. An answer is as long as it is asked to be: tokens that end a text are taken from the reader.
Each way of asking gets prompts of its own, so that none goes on from what another has read. Peers are
transformers' own: `generate` in batches sorted by length (each as long as its longest answer), and
`generate_batch` (continuous batching). Prints seconds, answers and tokens a second, and their ratio to one at
a time in the same run; on a CPU that is shared, CPU seconds an answer tell more.
"""

import argparse
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch

from lm.backends.reader_choice import ReaderChoice
from lm.backends.transformers_reader import TransformersReader
from lm.backends.weights import PLAIN_READER
from lm.batching import BatchingReader
from lm.prompts import Prompt
from lm.reader import Sampling

TEXT = (
    "the old bridge of grey stone was built by Ansel Mirn in a year when the river stood high and people who "
    "make blue glass sold it on markets along its banks to travellers from towns beyond the hills"
)


@dataclass(frozen=True)
class Question:
    """A prompt, and the tokens that its answer is to have."""

    prompt: Prompt
    answer: int


@dataclass
class Workload:
    """Draws questions for a reader: `prompt` and `answer` tokens on average, give or take a fifth."""

    reader: TransformersReader
    prompt: int
    answer: int
    drawn: random.Random

    def text(self, tokens: int) -> str:
        """Sentences of about so many tokens."""
        some, words = TEXT.split(), list[str]()
        while len(words) < tokens:
            words += [*self.drawn.sample(some, self.drawn.randint(6, 12)), "."]
        return self.reader._tokenizer.decode(
            self.reader._tokenizer(" ".join(words), add_special_tokens=False)["input_ids"][:tokens]
        )

    def questions(self, count: int) -> list[Question]:
        """Questions that share no beginning."""
        return [
            Question(Prompt(text=self.text(self._about(self.prompt))), self._about(self.answer))
            for _ in range(count)
        ]

    def _about(self, mean: int) -> int:
        return round(self.drawn.uniform(0.8, 1.2) * mean)


def one_at_a_time(reader: TransformersReader, questions: list[Question]) -> int:
    """Tokens of the answers."""
    return sum(reader.generate([one.prompt], Sampling(one.answer))[0].tokens for one in questions)


def at_once(reader: TransformersReader, questions: list[Question]) -> int:
    """A thread for each question, all behind one reader that reads together what waits together."""
    together = BatchingReader(reader)

    def ask(one: Question) -> int:
        return together.generate([one.prompt], Sampling(one.answer))[0].tokens

    with ThreadPoolExecutor(len(questions)) as pool:
        return sum(pool.map(ask, questions))


def static(reader: TransformersReader, questions: list[Question]) -> int:
    """transformers' `generate` on batches of like length."""
    tokenizer = reader._tokenizer
    tokenizer.padding_side = "left"
    ordered = sorted(questions, key=lambda one: len(one.prompt.text))
    for at in range(0, len(ordered), reader.room.rows):
        batch = ordered[at : at + reader.room.rows]
        texts = [one.prompt.text for one in batch]
        inputs = tokenizer(texts, return_tensors="pt", padding=True).to(reader._model.device)
        most = max(one.answer for one in batch)
        with torch.no_grad():
            reader._model.generate(
                **inputs,
                max_new_tokens=most,
                min_new_tokens=most,
                do_sample=False,
                pad_token_id=tokenizer.pad_token_id,
            )
    return sum(one.answer for one in questions)


def continuous(reader: TransformersReader, questions: list[Question]) -> int:
    """transformers' `generate_batch`, with a cache that holds a batch of ours."""
    from transformers import GenerationConfig
    from transformers.generation.configuration_utils import ContinuousBatchingConfig

    most = max(one.answer for one in questions)
    ids = [reader._tokenizer(one.prompt.text)["input_ids"] for one in questions]
    # A block is 256 tokens, and each text may leave the better part of one empty.
    blocks = reader.room.rows * (max(map(len, ids)) + most + 255) // 256 + 8
    with torch.no_grad():
        found = reader._model.generate_batch(
            ids,
            generation_config=GenerationConfig(
                max_new_tokens=most, do_sample=False, eos_token_id=-1, pad_token_id=0
            ),
            continuous_batching_config=ContinuousBatchingConfig(num_blocks=blocks, max_batch_tokens=2048),
            progress_bar=False,
        )
    return sum(len(one.generated_tokens) for one in found.values())


WAYS: dict[str, Callable[[TransformersReader, list[Question]], int]] = {
    "one at a time": one_at_a_time,
    "at once": at_once,
    "static": static,
    "continuous": continuous,
}


def finished() -> None:
    """Wait for what a GPU still computes."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def measure(name: str, work: Workload, count: int, base: float | None) -> float:
    """Answers a second of one way of asking."""
    questions = work.questions(count)
    finished()
    started, used = time.perf_counter(), time.process_time()
    tokens = WAYS[name](work.reader, questions)
    finished()
    seconds, used = time.perf_counter() - started, time.process_time() - used
    rate = tokens / seconds
    ratio = f"{rate / base:>7.2f}" if base else f"{1:>7.2f}"
    print(
        f"{name:>14} {count:>9} {seconds:>8.1f} {used / count:>12.2f} {count / seconds:>10.2f} {rate:>9.1f} "
        f"{ratio}",
        flush=True,
    )
    return rate


def first_pieces(work: Workload) -> None:
    """Seconds to a first piece: passages that are new, and the same with another question behind them."""
    reader, times = work.reader, []
    passages, rounds = work.text(work.prompt - 30), 3
    for at in range(1 + rounds):
        prompt = Prompt(text=f"{passages} Question {at}: {work.text(25)}")
        started = time.perf_counter()
        stream = reader.stream(prompt, Sampling(8))
        next(iter(stream))
        times.append(time.perf_counter() - started)
        stream.close()
        reader.generate([Prompt(text="x")], Sampling(1))  # Until the stream has left the model.
    again = sorted(times[1:])[rounds // 2]
    print(f"first piece: {times[0]:.3f} s; same passages again: {again:.3f} s, {times[0] / again:.1f} times")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=PLAIN_READER)
    parser.add_argument("--quantization", default="none")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--questions", type=int, default=64)
    parser.add_argument("--alone", type=int, default=0, help="questions asked one at a time; 0: a quarter")
    parser.add_argument("--prompt", type=int, default=600)
    parser.add_argument("--answer", type=int, default=64)
    parser.add_argument("--rows", type=int, default=0, help="rows of a batch; 0: the reader's own")
    parser.add_argument("--peers", default="static")
    args = parser.parse_args()
    reader = TransformersReader(ReaderChoice(args.model, args.quantization, device=args.device))
    reader._vocabulary.ends = frozenset()
    if args.rows:
        reader.room = replace(reader.room, rows=args.rows)
    work = Workload(reader, args.prompt, args.answer, random.Random(0))
    print(
        f"{reader.name}, {reader.quantization}, {reader._model.dtype}, {reader._model.device}, {reader.room}"
    )
    print(
        f"{'':>14} {'questions':>9} {'seconds':>8} {'CPU s/answer':>12} {'answers/s':>10} {'tokens/s':>9} "
        f"{'ratio':>7}"
    )
    reader.generate([one.prompt for one in work.questions(2)], Sampling(2))  # Kernels are prepared.
    base = measure("one at a time", work, args.alone or max(1, args.questions // 4), None)
    for name in ("at once", *(one for one in args.peers.split(",") if one)):
        measure(name, work, args.questions, base)
    first_pieces(work)


if __name__ == "__main__":
    main()
