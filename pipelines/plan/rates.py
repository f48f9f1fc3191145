"""What a plan reckons with: each number with its unit and where it comes from.

Rates are measured (`benchmarks/RESULTS.md`, by section) or published; what is neither is not a number (NaN)
and is left out of the sums until it is given. Prices are examples: they change monthly.

Decisions: docs/decisions/planning.md.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from base.errors import RalmError
from base.names import did_you_mean
from pipelines.config import read_mapping
from pipelines.execution.metering.energy import CORE_WATTS, GPU_WATTS
from pipelines.plan.encoder import MINILM
from pipelines.plan.figure import Figure
from pipelines.plan.machine import Machine

RESULTS = "RESULTS.md: "
_CORPORA = f"{RESULTS}Results"
_GPU_BUILD = f"{RESULTS}a build on a GPU"
_GPU_INDEX = f"{RESULTS}the index on a GPU"
_ON_GPU = f"{RESULTS}text in, vectors on disk"
_STORE = f"{RESULTS}a built store"
_EMBEDDING = f"{RESULTS}embedding"

# The development corpora as one store: what the measured builds were of.
_TOKENS, _PASSAGES, _DOCUMENTS, _TEXT = 24_264_660, 142_709, 78_738, 106_187_927
_LENGTH = _TOKENS / _PASSAGES
_SPECIAL_TOKENS = 2
# MiniLM, from token ids to vectors, loaded.
_GPU_TFLOPS, _GPU_TOKENS_A_SECOND = 738.0, 5.93e6


# The GPU that speeds are measured of: of another one they must be given.
KNOWN_GPU = "H100"


@dataclass(frozen=True)
class Rates:
    """Corpus, machines, prices, power and speeds. Speeds are of one core or one GPU, of kind `gpu`."""

    gpu: str = KNOWN_GPU

    # The corpus, where only its tokens are known.
    token_bytes: Figure = Figure(_TEXT / _TOKENS, "bytes of text a token", _STORE, 1e-3)
    document_tokens: Figure = Figure(_TOKENS / _DOCUMENTS, "tokens a document", _CORPORA, 1)
    passage_fill: Figure = Figure(
        _LENGTH / (MINILM.max_tokens - _SPECIAL_TOKENS), "of the encoder's tokens", _CORPORA, 1e-3, 1
    )
    # The store.
    passage_overhead: Figure = Figure(141.4, "bytes a passage, not text", _STORE)
    bm25_bytes: Figure = Figure(537.6 / _LENGTH, "bytes a token", _STORE)
    near_bytes: Figure = Figure(85.7 / 107, "of the bytes of text", f"{RESULTS}the development corpora")
    # The machines.
    gpus: Figure = Figure(8, "GPUs", "assumed: --gpus")
    cores: Figure = Figure(128, "cores", "assumed: --cores", 1)
    disk_tb: Figure = Figure(math.nan, "TB of disk", "not given: not compared", 1e-6)
    # Speeds of a core.
    read_speed: Figure = Figure(107 / 4.1, "MB a second", _GPU_BUILD, 1e-6)
    filter_speed: Figure = Figure(5.2, "MB a second", f"{RESULTS}text filtered and signed", 1e-6)
    near_duplicate_speed: Figure = Figure(
        107 / 22.8, "MB a second", f"{RESULTS}the development corpora", 1e-6
    )
    chunk_speed: Figure = Figure(_TOKENS / 83.3, "tokens a second", _GPU_BUILD, 1)
    bm25_speed: Figure = Figure(_TOKENS / 88.7, "tokens a second", _STORE, 1)
    core_gflops: Figure = Figure(
        41.2 * 160 * MINILM.flops(160) / 1e9, "GFLOP/s when embedding", _EMBEDDING, 1e-3
    )
    # Speeds of a GPU. The index's are of 65,536 lists, 384 dimensions and codes of 48 bytes.
    gpu_tflops: Figure = Figure(_GPU_TFLOPS, "TFLOP/s, matrix product", _GPU_INDEX, 1e-3)
    mfu: Figure = Figure(
        _GPU_TOKENS_A_SECOND * MINILM.flops(_LENGTH) / (_GPU_TFLOPS * 1e12),
        "of that when embedding",
        _ON_GPU,
        1e-6,
        1,
    )
    list_product_ns: Figure = Figure(0.068e3, "ns a vector: list product", _GPU_INDEX)
    list_scores_ns: Figure = Figure(0.146e3, "ns a vector: list scores", _GPU_INDEX)
    code_ns: Figure = Figure(0.058e3, "ns a vector: product codes", _GPU_INDEX)
    train_seconds: Figure = Figure(11.8, "s to train", _GPU_INDEX)
    gpu_memory: Figure = Figure(80, "GB a GPU", "NVIDIA's H100 SXM data sheet", 1)
    # Of an H200, whose memory is quicker: an H100's was not measured.
    scan_speed: Figure = Figure(2.35, "TB of codes a second, H200", f"{RESULTS}a trillion tokens", 1e-3)
    # Prices.
    gpu_price: Figure = Figure(2.99, "$ a GPU-hour", "Lambda's list price, H100, 3/2026")
    core_price: Figure = Figure(0.045, "$ a core-hour", "AWS's list price, c7i, a vCPU")
    disk_price: Figure = Figure(23, "$ a TB-month", "Amazon S3 Standard's list price")
    ssd_price: Figure = Figure(80, "$ a TB-month of SSD", "Amazon EBS gp3's list price")
    memory_price: Figure = Figure(0.00827, "$ a GiB-hour, cores too", "AWS's list price, r7i")
    months: Figure = Figure(1, "months the store is kept", "assumed: --months")
    # Power.
    gpu_watts: Figure = Figure(GPU_WATTS, "W a GPU", "NVIDIA's H100 SXM data sheet")
    core_watts: Figure = Figure(CORE_WATTS, "W a core", "codecarbon 3.3.2, unknown CPU")
    memory_watts: Figure = Figure(3 / 8 + CORE_WATTS / 8, "W a GiB, cores too", "codecarbon 3.3.2")
    ssd_watts: Figure = Figure(1.2, "W a TB of SSD", "Cloud Carbon Footprint, SSD")
    pue: Figure = Figure(1.58, "PUE", "Uptime Institute, 2023 survey", 1)
    water: Figure = Figure(1.8, "l of water a kWh of machines", "LBNL 2016, US data centers")
    carbon: Figure = Figure(475, "g of CO2 a kWh", "IEA 2019, world (codecarbon 3.3.2)")

    def given(self, values: Mapping[str, Any], source: str) -> "Rates":
        """With these numbers instead. Raises RalmError naming the one that is wrong."""
        changed: dict[str, Any] = {}
        names = list(self.figures())
        for name, value in values.items():
            if name not in names:
                near = did_you_mean(str(name), ["gpu", *names])
                raise RalmError(
                    f"{source}: unknown setting {name!r}: valid are gpu, {', '.join(names)}{near}"
                )
            changed[name] = _checked(name, value, getattr(self, name), source)
        return replace(self, **changed)

    def figures(self) -> dict[str, Figure]:
        """All numbers by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Figure)}


def _checked(name: str, value: Any, before: Figure, source: str) -> Figure:
    if isinstance(value, bool) or not isinstance(value, int | float) or not before.allows(value):
        bounds = f"from {before.least:g}" + ("" if math.isinf(before.most) else f" to {before.most:g}")
        raise RalmError(f"{source}: {name} must be a number {bounds} ({before.unit}), not {value!r}.")
    return before.given(float(value), source)


# Of no use to a plan without GPUs.
OF_GPUS = frozenset(
    """
    gpu_tflops mfu list_product_ns list_scores_ns code_ns train_seconds gpu_memory scan_speed
    gpu_price gpu_watts
    """.split()  # noqa: SIM905
)
# The source of a number that was counted here.
THIS_MACHINE = "this machine's"
_OF_A_GPU = ("gpu_tflops", "gpu_watts", "gpu_price")


@dataclass(frozen=True, slots=True)
class Flags:
    """The kind of GPU and the rates that a command line gives, by the names that `Rates` has for them."""

    gpu: str | None = None
    gpus: float | None = None
    gpu_tflops: float | None = None
    gpu_price: float | None = None
    gpu_watts: float | None = None
    mfu: float | None = None
    cores: float | None = None
    core_price: float | None = None
    core_watts: float | None = None
    disk_tb: float | None = None
    disk_price: float | None = None
    months: float | None = None
    pue: float | None = None
    carbon: float | None = None

    def given(self) -> dict[str, float]:
        """The rates that are given."""
        return {name: value for name, value in asdict(self).items() if name != "gpu" and value is not None}


def load_rates(file: Path | None, flags: Flags, here: Machine | None = None) -> Rates:
    """A file's settings over the defaults, flags over those.

    `here`, if given, is the machine that is meant where neither says of which size it is. Raises RalmError
    for a wrong rate, and for a GPU of which too little is known.
    """
    content = read_mapping(file, "file of hardware", "gpus: 16") if file else {}
    kind = content.pop("gpu", KNOWN_GPU)
    kind = flags.gpu or kind
    of_flags = flags.given()
    missing = [name for name in _OF_A_GPU if name not in content and name not in of_flags]
    if kind != KNOWN_GPU and missing:
        wanted = ", ".join("--" + name.replace("_", "-") for name in missing)
        raise RalmError(f"Of the GPU {kind!r} nothing is measured (only {KNOWN_GPU}): give {wanted}.")
    rates = Rates(gpu=kind).given(content, f"given: {file}" if file else "")
    if here is not None and file is None:
        rates = rates.given({"cores": here.cores}, THIS_MACHINE)
        if flags.gpu is None:
            rates = rates.given({"gpus": here.of_kind(kind)}, THIS_MACHINE)
    for name, value in of_flags.items():
        rates = rates.given({name: value}, f"given: --{name.replace('_', '-')}")
    return rates
