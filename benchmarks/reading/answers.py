"""Does a reader gain from what is found? Second of three steps: a reader answers the prompts.

    python benchmarks/reading/answers.py prompts.jsonl.gz --label tuned --out tuned.jsonl [--adapter FOLDER]

Needs neither a store nor what searches one: torch, transformers and, for an adapter, PEFT. `--device` is the
processor or a GPU.
Answers greedily, in batches of prompts of like length, longest first: what does not fit the memory fails at
once. The prompts of `k=3` are also answered without leave to begin with "I do not know": what
the reader would have said. An answer ends where its line does, as in the scaling study; the plain reader at
times begins a new one before it answers ("The answer is:"), so that `--whole` finds more of what it knows.
With `--sure` all prompts with passages are answered without that leave, and no other; `p` says how likely the
reader was to abstain, as `abstention.py` needs it.
"""

import argparse
import gzip
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lm.backends.reader_choice import ReaderChoice
from lm.backends.registry import open_reader
from lm.backends.weights import PLAIN_READER
from lm.prompts import Message, Prompt
from lm.reader import Completion, Reader, Sampling

UNSURE = ("I do not know",)
# The condition that is answered without leave to abstain, too.
SUPPRESSED = "k=3"
# Tokens among which the beginning of an abstention is looked for.
LIKELIEST = 20


@dataclass(frozen=True)
class Task:
    """Lines that are answered in one way."""

    lines: tuple[dict[str, Any], ...]
    sampling: Sampling
    everywhere: bool

    def prompt(self, line: dict[str, Any]) -> Prompt:
        """A line's prompt; with the adapter `everywhere`, as one that holds passages."""
        turns = [Message(turn["role"], turn["content"]) for turn in line["conversation"]]
        return Prompt.of(turns, max(line["passages"], int(self.everywhere)))

    def answered(self, reader: Reader, batch: int) -> Iterator[list[dict[str, Any]]]:
        """The lines of each batch with what the reader answers, in place of the conversation."""
        together: dict[Prompt, list[dict[str, Any]]] = {}
        for line in self.lines:
            together.setdefault(self.prompt(line), []).append(line)
        prompts = sorted(together, key=reader.prompt_tokens, reverse=True)
        for at in range(0, len(prompts), batch):
            some = prompts[at : at + batch]
            completions = reader.generate(some, self.sampling)
            yield [
                {name: value for name, value in line.items() if name != "conversation"}
                | {"answer": completion.text, "suppressed": bool(self.sampling.without)}
                | ({"p": doubt(completion)} if self.sampling.logprobs else {})
                for prompt, completion in zip(some, completions, strict=True)
                for line in together[prompt]
            ]


def doubt(completion: Completion) -> float:
    """How likely the text was to begin as an abstention, by its first token; 0 if others are far likelier."""
    likeliest = completion.positions[0].top if completion.positions else ()
    begins = [one for one in likeliest if one.text and UNSURE[0].startswith(one.text)]
    return math.fsum(math.exp(one.logprob) for one in begins if one.logprob is not None)


def read(path: Path, conditions: Sequence[str]) -> list[dict[str, Any]]:
    """The lines of some conditions, or of all."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rb") as file:
        lines = [json.loads(line) for line in file]
    return [line for line in lines if not conditions or line["condition"] in conditions]


def tasks(lines: Sequence[dict[str, Any]], args: argparse.Namespace) -> Iterator[Task]:
    """What the reader is to answer, and how."""
    stop = () if args.whole else ("\n",)
    if args.sure:
        some = tuple(line for line in lines if line["passages"])
        yield Task(some, Sampling(args.max_tokens, stop=stop, without=UNSURE, logprobs=LIKELIEST), False)
        return
    yield Task(tuple(lines), Sampling(args.max_tokens, stop=stop), args.everywhere)
    some = tuple(line for line in lines if line["condition"] == SUPPRESSED)
    yield Task(some, Sampling(args.max_tokens, stop=stop, without=UNSURE), args.everywhere)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prompts", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--reader", default=PLAIN_READER)
    parser.add_argument("--adapter", help="a folder of PEFT's, attached where there are passages")
    parser.add_argument("--everywhere", action="store_true", help="attach it without passages, too")
    parser.add_argument("--label", required=True, help="what the report calls it; plain and tuned have aims")
    parser.add_argument("--quantization", default="none")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--conditions", nargs="*", default=[])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--max-tokens", type=int, default=32)
    parser.add_argument("--sure", action="store_true", help="tell how likely an abstention was instead")
    parser.add_argument("--whole", action="store_true", help="answers run on behind the end of a line")
    args = parser.parse_args()
    reader = open_reader(ReaderChoice(args.reader, args.quantization, args.adapter, args.device))
    about = {"reader": args.label, "name": reader.name, "quantization": reader.quantization}
    started, count = time.perf_counter(), 0
    with args.out.open("w") as out:
        for task in tasks(read(args.prompts, args.conditions), args):
            for answered in task.answered(reader, args.batch):
                out.writelines(json.dumps(line | about) + "\n" for line in answered)
                count += len(answered)
                print(f"{count:,} answers, {time.perf_counter() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
