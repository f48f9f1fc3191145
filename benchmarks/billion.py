"""A trillion tokens' worth of passages in the project's own paged index, filled and searched in one command.

    python benchmarks/billion.py SAMPLE.npy QUERIES.npy --vectors 3.5e9 --gpus 2 [--code PQ64] [--lists 65536]

SAMPLE holds real embeddings (float16 or float32 [n, d], of length 1), QUERIES those of real questions.
Vectors are drawn around the sample's, with the noise that makes as many of them as hard to find by their
codes as the sample's own (shown first). They are drawn, assigned, encoded and appended to pages on the GPUs;
any is drawn again from its number, so exact answers are known and candidates are scored exactly. 3.5 billion
passages of 286 tokens are a trillion tokens. `--gpus 0` runs on the CPU, with few vectors. Tables go to
$OUT/billion_*.md and .json if OUT is set.
"""

import argparse
import os
import resource
import time
from pathlib import Path

import numpy as np
import torch
from gpu.report import Report
from trillion.drawn import Drawn
from trillion.filling import Share, everywhere, shares, wait
from trillion.reads import time_reads
from trillion.searches import measure_recall, time_searches, time_views
from trillion.training import compared, trained

from retriever.index.paged.index import PagedIndex
from retriever.index.sizing import IndexKey

TOKENS = 286


def fill(report: Report, given: list[Share], until: float) -> None:
    """Fill all parts at once; the clock runs from the first vector drawn to the last code in its page."""
    started = time.perf_counter()
    done = everywhere(given, lambda share: share.fill(until))
    took = time.perf_counter() - started
    for share, batches in zip(given, done, strict=True):
        share.batches = batches
    rows = sum(share.part.rows for share in given)
    report.add("Fill", vectors=rows, tokens=rows * TOKENS, seconds=took, vectors_a_second=rows / took)


def show_memory(report: Report, index: PagedIndex, given: list[Share]) -> None:
    """Bytes of a row, what is left on the devices, and the most that the process took of the host."""
    free = [torch.cuda.mem_get_info(s.part.device)[0] / 1e9 for s in given if s.part.device.type == "cuda"]
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    report.add(
        "Memory",
        bytes_a_row=index.bytes / index.rows,
        gb_free_on_gpus=" ".join(f"{one:.1f}" for one in free) or "-",
        host_peak_gb=host,
        rows_a_list=index.rows / index.nlist,
        most_on_first=int(given[0].part.pages.directory.count.max()),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sample", type=Path)
    parser.add_argument("queries", type=Path)
    parser.add_argument("--vectors", type=float, default=1e6)
    parser.add_argument("--gpus", type=int, default=0)
    parser.add_argument("--code", default="PQ64")
    parser.add_argument("--lists", type=int, default=65_536)
    parser.add_argument("--noise", type=float, help="instead of comparing with real vectors")
    parser.add_argument(
        "--around", type=int, default=20_000, help="vectors of the sample that are drawn around"
    )
    parser.add_argument("--questions", type=int, default=256, help="those that recall is measured with")
    parser.add_argument("--batch", type=int, default=1 << 20)
    parser.add_argument("--train", type=int, default=4, help="batches that lists and words are learned from")
    parser.add_argument("--stored", type=int, default=0, help="batches of vectors written to disk and read")
    parser.add_argument("--depth", type=int, default=1000)
    parser.add_argument(
        "--seconds", type=float, default=450, help="the fill ends 120 s before, searches then"
    )
    args = parser.parse_args()
    until = time.perf_counter() + args.seconds
    devices = [torch.device("cuda", n) for n in range(args.gpus)] or [torch.device("cpu")]
    real, asked = np.load(args.sample), np.load(args.queries).astype(np.float32)
    report, key = Report(), IndexKey.parse(f"IVF{args.lists},{args.code}")
    name = torch.cuda.get_device_name(devices[0]) if args.gpus else "CPU"
    report.add("Run", key=key.text, devices=len(devices), device=name, torch=torch.__version__)
    questions = torch.from_numpy(asked[: args.questions]).half()
    noise = args.noise
    if noise is None:
        found = compared(real, questions.to(devices[0]), args.code)
        noise = found.noise
        by_noise = {f"noise_{one}": value for one, value in found.drawn.items()}
        report.add("Recall@10 of codes alone", vectors=found.rows, real=found.real, **by_noise)
    drawn = [Drawn(real[: args.around], noise, args.batch, device) for device in devices]
    started = time.perf_counter()
    # Batches that no row is of.
    codebook = trained(key, torch.cat([drawn[0](10**9 + n) for n in range(args.train)]))
    wait(devices[0])
    report.add(
        "Training", noise=noise, vectors=args.train * args.batch, seconds=time.perf_counter() - started
    )
    if args.gpus:
        torch.cuda.empty_cache()  # Pages need it.
    batches = max(1, round(args.vectors / args.batch / len(devices))) * len(devices)
    given = shares(codebook, drawn, questions, batches)
    fill(report, given, until - 120)
    started = time.perf_counter()
    index = PagedIndex(key, [share.part for share in given])
    report.add("Sorting pages by list", seconds=time.perf_counter() - started)
    show_memory(report, index, given)
    measure_recall(report, index, given, asked[: args.questions], args.depth)
    time_searches(report, index, asked, sorted({min(100, args.depth), args.depth}), until)
    time_views(report, index, asked)
    if args.stored:
        time_reads(report, drawn[0], args.stored)
    if out := os.environ.get("OUT"):
        report.write(Path(out), f"billion_{args.code}_{len(devices)}")


if __name__ == "__main__":
    main()
