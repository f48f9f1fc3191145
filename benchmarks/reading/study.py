"""The readers of a study on another machine: prompts are made here, answered there, and figures made here.

    python benchmarks/reading/study.py prompts STUDY.yaml --out demands.jsonl.gz
    python benchmarks/reading/study.py answers demands.jsonl.gz --out answers [--only N]
    cp -r answers/* OUTPUT/answers/ && ralm eval scaling --config STUDY.yaml

OUTPUT is the study's folder. `prompts` searches, and leaves the figures of retrieval there. `answers` needs
neither a store nor what searches one: torch, transformers and what quantizes. It answers for every reader of
the study, or for the one of a number; what is answered already it leaves.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lm.backends.registry import open_reader
from lm.reader import Sampling
from pipelines.evaluate.study.reading.answering import answered
from pipelines.evaluate.study.reading.answers import Answers
from pipelines.evaluate.study.reading.exchange import Answered, Demand, lines_of, read_lines, write_lines
from pipelines.evaluate.study.reading.variants import Variant, card_of
from pipelines.evaluate.study.settings import ReaderSettings, load_study
from pipelines.execution.metering.energy import Meter
from pipelines.execution.progress import for_terminal

# Demands whose energy is metered together.
_METERED = 512


def prompts(args: argparse.Namespace) -> None:
    """Write what every reader of a study is still asked, each demand once, longest first."""
    from pipelines.evaluate.study.running import about, begun

    study = load_study(args.study)
    running = begun(study, for_terminal())
    demands: dict[str, Demand] = {}
    variants = []
    for variant, asked in running.asked(running.search()):
        answers = Answers(study, variant)
        mine = {one.demand.key: one.demand for of_put in asked for one in of_put.askings}
        demands |= mine
        variants.append(
            {
                "settings": variant.settings.model_dump(),
                "quantization": variant.quantization,
                "folder": answers.folder.name,
                "max_tokens": answers.sampling.max_tokens,
                "stop": answers.sampling.stop,
            }
        )
        print(f"{len(variants) - 1}: {answers.folder.name}: {len(mine):,} demands")
    running.folder.describe(about(running))
    ordered = sorted(demands.values(), key=lambda one: (-one.size, one.key))
    write_lines(args.out, [{"variants": variants}, *(one.to_json() for one in ordered)])


def answers(args: argparse.Namespace) -> None:
    """Answer all demands of a file for its readers."""
    first, *rest = read_lines(args.demands)
    demands = [Demand.of(one) for one in rest][: args.limit]
    end = time.perf_counter() + args.seconds
    for number, variant in enumerate(first["variants"]):
        out = args.out / variant["folder"] / "elsewhere.jsonl"
        if (args.only is None or number in args.only) and not out.exists() and time.perf_counter() < end:
            write_lines(out, _answers(variant, demands, args.batch, end))


def _answers(
    content: dict[str, Any], demands: Sequence[Demand], batch: int, end: float
) -> Iterator[dict[str, Any]]:
    """A reader's lines: its card, then an answer each."""
    variant = Variant(ReaderSettings.model_validate(content["settings"]), content["quantization"])
    reader = open_reader(variant.choice)
    sampling = Sampling(content["max_tokens"], stop=tuple(content["stop"]))
    yield card_of(reader, variant)
    started = time.perf_counter()
    for at in range(0, len(demands), _METERED):
        some = demands[at : at + _METERED]
        meter = Meter(on_gpu=True)
        with meter.running():
            found: list[Answered] = answered(reader, some, sampling, batch)
        yield from lines_of(replace(one, joules=meter.drawn.joules / len(some)) for one in found)
        done = at + len(some)
        now = time.perf_counter()
        print(f"{content['folder']}: {done:,} answers, {now - started:.0f} s", file=sys.stderr)
        if now > end:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    steps = parser.add_subparsers(required=True)
    first = steps.add_parser("prompts")
    first.add_argument("study", type=Path)
    first.add_argument("--out", type=Path, required=True)
    first.set_defaults(step=prompts)
    second = steps.add_parser("answers")
    second.add_argument("demands", type=Path)
    second.add_argument("--out", type=Path, required=True)
    second.add_argument("--only", type=int, nargs="*", help="numbers of readers, as `prompts` prints them")
    second.add_argument("--batch", type=int, default=64)
    second.add_argument("--seconds", type=float, default=float("inf"), help="then it ends with what it has")
    second.add_argument("--limit", type=int, help="the first demands, the longest, alone: to try it")
    second.set_defaults(step=answers)
    args = parser.parse_args()
    args.step(args)


if __name__ == "__main__":
    main()
