"""What each quantization of a reader costs and keeps, in one run: bytes, perplexity, speed.

    python benchmarks/reader.py [--reader FOLDER] [--device cuda] [--quantizations none,int8,nf4-double]
        [--tokens 4096] [--text FILE] [--lora 16]

`none` is 1.0 for all speeds. It is measured first and last: the second time shows how quiet the machine was.
Bits are those of a weight of the layers' linear maps, constants and padding included. Perplexity is
token-weighted over a text (docstrings of the standard library) in windows of 512 tokens. Speeds are tokens a
second of a plain loop over the model, the best of several runs: prompts of 256 tokens read at once, then
tokens one by one. `--lora` measures a random adapter of that rank on all linear maps, too; its perplexity is
that of the reader without it. The run ends with an error if NF4 with double quantization takes more than
1.1 times the bits it should.
"""

import argparse
import ast
import json
import sys
import sysconfig
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from base.errors import RalmError
from lm.backends.memory import measured_bytes
from lm.backends.quantizations import QUANTIZATIONS, STORED, quantization
from lm.backends.reader_choice import ReaderChoice
from lm.backends.transformers_reader import TransformersReader
from lm.backends.weights import PLAIN_READER
from lm.reader import Windows, bits_per_byte, perplexity

PROMPT, ANSWER, WINDOW, BATCHES = 256, 32, 512, (1, 16)
# What double quantization may take beyond half a byte and its constants.
MOST = 1.1


@dataclass(frozen=True)
class Measured:
    """A row of the table. Speeds are tokens a second at batch 1 and 16."""

    name: str
    kernel: str
    size: int
    bits: float
    perplexity: float
    bits_per_byte: float
    prefill: tuple[float, ...]
    decode: tuple[float, ...]


def docstrings() -> Iterator[str]:
    """Docstrings of the standard library's public modules, in the order of their paths."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.glob("*.py")):
        if text := ast.get_docstring(ast.parse(path.read_bytes())):
            yield text


def linear_weights(model: torch.nn.Module) -> dict[str, int]:
    """The linear maps inside the layers of a model that is not quantized, and their weights."""
    head = model.get_output_embeddings()
    return {
        name: module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    }


def bits_of(model: torch.nn.Module, weights: dict[str, int]) -> float:
    """Bits that a weight of these maps takes, an adapter's included."""
    named = {name.removeprefix("base_model.model."): module for name, module in model.named_modules()}
    held = torch.nn.ModuleList(named[name] for name in weights)
    return 8 * measured_bytes(held) / sum(weights.values())


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """How long work takes on a device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def speeds(model: torch.nn.Module, batch: int, repeats: int) -> tuple[float, float]:
    """Tokens a second of prefill and of decoding, the best of several runs."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(10, model.config.vocab_size, (batch, PROMPT), generator=generator).to(model.device)
    prefill = decode = 0.0
    for _ in range(repeats + 1):  # The first one warms up.
        with torch.no_grad():
            read: list = []
            took = seconds(lambda: read.append(model(ids, use_cache=True, logits_to_keep=1)), model.device)  # noqa: B023

            def write() -> None:
                out = read[0]  # noqa: B023
                for _ in range(ANSWER):
                    token = out.logits[:, -1:].argmax(dim=-1)
                    out = model(token, past_key_values=out.past_key_values, use_cache=True)

            prefill = max(prefill, batch * PROMPT / took)
            decode = max(decode, batch * ANSWER / seconds(write, model.device))
    return prefill, decode


def measure(
    reader: TransformersReader, name: str, text: str, weights: dict[str, int], repeats: int
) -> Measured:
    """The row of a reader."""
    scored = reader.loglikelihood_rolling([text], Windows(WINDOW))
    rates = [speeds(reader._model, batch, repeats) for batch in BATCHES]
    return Measured(
        name,
        kernel_of(reader.quantization),
        reader.measured_bytes,
        bits_of(reader._model, weights),
        perplexity(scored),
        bits_per_byte(scored),
        tuple(prefill for prefill, _ in rates),
        tuple(decode for _, decode in rates),
    )


def kernel_of(written: str) -> str:
    """What multiplies by weights that are kept so."""
    return written if written.startswith(STORED) else quantization(written).kernel


def shown(row: Measured, plain: Measured) -> str:
    """A row for people; speeds as shares of the plain reader's."""
    shares = [
        f"{own:,.0f} ({own / its:.2f})"
        for owns, theirs in ((row.prefill, plain.prefill), (row.decode, plain.decode))
        for own, its in zip(owns, theirs, strict=True)
    ]
    cells = [row.name, row.kernel, f"{row.size / 1e6:,.1f}", f"{row.bits:.2f}"]
    return "| " + " | ".join([*cells, f"{row.perplexity:.2f}", f"{row.bits_per_byte:.4f}", *shares]) + " |"


def random_adapter(choice: ReaderChoice, rank: int, folder: str) -> str:
    """A folder with an adapter of all linear maps, whose weights are random."""
    from peft import LoraConfig, get_peft_model

    model = TransformersReader(choice)._model
    adapted = get_peft_model(model, LoraConfig(r=rank, target_modules="all-linear", task_type="CAUSAL_LM"))
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.01)
    adapted.peft_config["default"].base_model_name_or_path = choice.name
    adapted.save_pretrained(folder)
    return folder


def readers(args: argparse.Namespace) -> Iterator[tuple[str, ReaderChoice]]:
    """What is measured, by name: `none` first and last."""
    names = [name for name in args.quantizations.split(",") if name != "none"]
    for name in ("none", *names, "none"):
        yield name, ReaderChoice(args.reader, name, device=args.device)
    with tempfile.TemporaryDirectory() as folder:
        if args.lora:
            random_adapter(ReaderChoice(args.reader, "none", device=args.device), args.lora, folder)
            for name in args.adapted.split(","):
                yield f"{name}, LoRA", ReaderChoice(args.reader, name, folder, args.device)


def rows(args: argparse.Namespace, text: str) -> Iterator[Measured]:
    """A row for each reader that this machine can load, one at a time in memory."""
    weights: dict[str, int] = {}
    for name, choice in readers(args):
        try:
            reader = TransformersReader(choice)
        except RalmError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            continue
        weights = weights or linear_weights(reader._model)
        yield measure(reader, name, text, weights, args.repeats)
        del reader
        torch.cuda.empty_cache()


def checked(found: list[Measured]) -> None:
    """Raise SystemExit if doubly quantized NF4 takes more than its constants explain."""
    for row in found:
        if row.name == "nf4-double" and row.bits > MOST * quantization(row.name).bits:
            should = quantization(row.name).bits
            raise SystemExit(f"nf4-double takes {row.bits:.2f} bits a weight, not {should:.2f}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reader", default=PLAIN_READER)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quantizations", default=",".join(q for q in QUANTIZATIONS if q != STORED))
    parser.add_argument("--tokens", type=int, default=4096, help="of the text, for the perplexity")
    parser.add_argument("--text", type=Path, help="a file of plain text")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, help="of the CPU")
    parser.add_argument("--lora", type=int, default=0, help="rank of a random adapter")
    parser.add_argument("--adapted", default="int8", help="quantizations that are measured with it, too")
    parser.add_argument("--json", type=Path, help="write the rows to a file")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    if args.threads:
        torch.set_num_threads(args.threads)
    whole = args.text.read_text() if args.text else "\n\n".join(docstrings())
    text = whole[: 4 * args.tokens]  # A token is about four characters.
    print("| quantization | kernel | MB | bits | perplexity | bits/byte |", end="")
    print(" prefill 1 | prefill 16 | decode 1 | decode 16 |\n|" + " --- |" * 2 + " ---: |" * 8)
    found: list[Measured] = []
    for row in rows(args, text):
        found.append(row)
        print(shown(row, found[0]), flush=True)
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in found], indent=1))
    checked(found)


if __name__ == "__main__":
    main()
