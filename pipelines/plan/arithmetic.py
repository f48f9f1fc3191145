"""Corpus, encoder and rates to bytes, hours, money, energy and carbon: pure functions.

Stages follow one another, as a build's barriers have it; each uses all cores or all GPUs. What is charged is
what works: a GPU that waits while texts are read costs nothing here.

Decisions: docs/decisions/planning.md.
"""

import math
from dataclasses import dataclass
from typing import Literal

from base.errors import RalmError
from pipelines.plan.corpus import CorpusSize
from pipelines.plan.encoder import EncoderShape
from pipelines.plan.figure import Figure
from pipelines.plan.rates import Rates
from retriever.index.probation import require_usable
from retriever.index.sizing import IndexKey, choose_key, list_count

Processors = Literal["cores", "GPUs"]

# What files hold, by their formats (ARCHITECTURE.md, "The bytes").
_VECTOR_BYTES = 2  # A dimension.
_TOKEN_ID_BYTES = 4
_OFFSET_BYTES = 8
_HASH_BYTES = 32  # A document.
# What an index's rates were measured with.
_LISTS, _DIMENSION, _CODES, _GPU_TFLOPS = 65_536, 384, 48, 738.0
# Memory comes in powers of two; beside the index a process holds an eighth as much and a bit.
_SPARE_SHARE, _SPARE_BYTES = 1.125, 2 << 30
_LARGEST_RAM = 4 << 40


@dataclass(frozen=True, slots=True)
class Files:
    """Files of one kind. Those in `work/` go when the store is published."""

    name: str
    bytes: int
    of: str
    in_work: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One stage's work: device-hours, days on all devices, dollars, and kWh with the data centre's share."""

    name: str
    device: Processors
    hours: float
    days: float
    dollars: float
    kwh: float


@dataclass(frozen=True, slots=True)
class Option:
    """An index one could have: memory when loaded, its codes on disk, and the machine that memory needs."""

    key: str
    memory_bytes: int
    disk_bytes: int
    ram_bytes: int
    machines: int
    fits: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of the index: bytes of memory that it may take, recall@10, and its key."""

    memory: int
    recall: float = 0.95
    key: str = "auto"


@dataclass(frozen=True)
class Plan:
    """All that a store would take. `auto` is the key that a build would choose; None if nothing fits."""

    corpus: CorpusSize
    encoder: EncoderShape
    rates: Rates
    key: str
    auto: str | None
    index_memory: int
    files: tuple[Files, ...]
    options: tuple[Option, ...]
    steps: tuple[Step, ...]
    uncounted: tuple[str, ...]

    @property
    def store_bytes(self) -> int:
        """What stays on disk; the source text is the user's own."""
        return sum(one.bytes for one in self.files if not one.in_work)

    @property
    def work_bytes(self) -> int:
        """What `work/` holds at most beside it, at the end of embedding."""
        return sum(one.bytes for one in self.files if one.in_work)

    @property
    def peak_bytes(self) -> int:
        """Disk that the build needs, the source text apart."""
        return self.store_bytes + self.work_bytes

    @property
    def days(self) -> float:
        return sum(step.days for step in self.steps)

    @property
    def disk_dollars(self) -> float:
        """The store for as long as it is kept, and `work/` for as long as it is built."""
        work = self.work_bytes * self.days / 30
        return (self.store_bytes * self.rates.months + work) / 1e12 * self.rates.disk_price

    @property
    def dollars(self) -> float:
        return sum(step.dollars for step in self.steps) + self.disk_dollars

    @property
    def kwh(self) -> float:
        return sum(step.kwh for step in self.steps)

    @property
    def carbon_kg(self) -> float:
        return self.kwh * self.rates.carbon / 1e3

    @property
    def water_l(self) -> float:
        """Litres that cooling takes, by what the machines draw without the data centre's share."""
        return self.kwh / self.rates.pue * self.rates.water

    @property
    def overflow(self) -> bool:
        """Whether the disk that was given is too small."""
        return self.rates.disk_tb.known and self.peak_bytes > self.rates.disk_tb * 1e12

    def hours(self, device: Processors) -> float:
        """Core-hours or GPU-hours of all steps."""
        return sum(step.hours for step in self.steps if step.device == device)


def make_plan(corpus: CorpusSize, encoder: EncoderShape, rates: Rates, index: Wish) -> Plan:
    """Reckon it all. An index that was not asked for is the one a build would choose, or the smallest."""
    auto = _choose(corpus.passages, encoder.dimension, index)
    keys = _keys(corpus.passages, encoder.dimension)
    key = auto or min(keys, key=lambda one: one.bytes(corpus.passages, encoder.dimension))
    if index.key != "auto":
        key = IndexKey.parse(index.key)
        key.check(encoder.dimension)
        require_usable(key, encoder.dimension)
    if key.text not in [one.text for one in keys]:
        keys = [*keys, key]
    steps, uncounted = _steps(corpus, encoder, rates, key)
    return Plan(
        corpus=corpus,
        encoder=encoder,
        rates=rates,
        key=key.text,
        auto=auto.text if auto else None,
        index_memory=index.memory,
        files=_files(corpus, encoder, rates, key),
        options=tuple(_option(one, corpus.passages, encoder.dimension, index.memory) for one in keys),
        steps=steps,
        uncounted=uncounted,
    )


def _choose(passages: int, dimension: int, index: Wish) -> IndexKey | None:
    """What `auto` takes; None where it would refuse."""
    try:
        return choose_key(passages, dimension, index.memory, index.recall)
    except RalmError:
        return None


def _keys(passages: int, dimension: int) -> list[IndexKey]:
    """Indexes to compare, largest first: exact, a byte a dimension, a bit and two floats, 4-bit codes."""
    codes = ["SQ8", *(f"PQ{dimension // n}x4fs" for n in (4, 8) if dimension % n == 0), "RaBitQ"]
    keys = [IndexKey.parse("Flat")]
    keys += [IndexKey.parse(f"IVF{list_count(passages)},{code}") for code in codes]
    return sorted(keys, key=lambda one: -one.bytes(passages, dimension))


def _option(key: IndexKey, passages: int, dimension: int, index_memory: int) -> Option:
    memory = key.bytes(passages, dimension)
    ram, machines = machine(memory)
    return Option(
        key.text, memory, codes_bytes(key, passages, dimension), ram, machines, memory <= index_memory
    )


def machine(index_bytes: int) -> tuple[int, int]:
    """RAM of a machine that holds an index, in bytes; several of the largest if one is too small."""
    wanted = index_bytes * _SPARE_SHARE + _SPARE_BYTES
    if wanted > _LARGEST_RAM:
        return _LARGEST_RAM, math.ceil(wanted / _LARGEST_RAM)
    return 1 << math.ceil(math.log2(wanted)), 1


def codes_bytes(key: IndexKey, passages: int, dimension: int) -> int:
    """A store's code files: each code with its list number. Exact indexes read the vectors themselves."""
    if key.exact:
        return 0
    if not key.has_lists:
        return key.bytes(passages, dimension)
    number = max(1, math.ceil((key.nlist - 1).bit_length() / 8))
    return passages * (key.code_bytes(dimension) + number)


def _files(corpus: CorpusSize, encoder: EncoderShape, rates: Rates, key: IndexKey) -> tuple[Files, ...]:
    passages, documents = corpus.passages, corpus.documents
    vector = _VECTOR_BYTES * encoder.dimension
    return (
        Files(
            "passages/",
            math.ceil(corpus.text_bytes + passages * rates.passage_overhead),
            "text, domain, id, metadata, key",
        ),
        Files("vectors/", passages * vector, f"float16, {encoder.dimension} dimensions"),
        Files("index/", codes_bytes(key, passages, encoder.dimension), f"codes of {key.text}"),
        Files("lexical/", math.ceil(corpus.tokens * rates.bm25_bytes), "BM25"),
        Files("documents/", documents * _HASH_BYTES, f"hashes, {_HASH_BYTES} bytes a document"),
        Files(
            "near/", math.ceil(corpus.text_bytes * rates.near_bytes), "to find near-duplicates of additions"
        ),
        Files(
            "work/documents/",
            math.ceil(corpus.text_bytes + documents * rates.passage_overhead),
            "what is read and kept",
            in_work=True,
        ),
        Files("work/hashes/", documents * _HASH_BYTES, "to compare documents by", in_work=True),
        Files(
            "work/chunks/",
            corpus.tokens * _TOKEN_ID_BYTES + passages * _OFFSET_BYTES,
            "token ids, tokenized once",
            in_work=True,
        ),
    )


def _steps(
    corpus: CorpusSize, encoder: EncoderShape, rates: Rates, key: IndexKey
) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """The work of every stage, and the names of those that nobody has measured."""
    megabytes = corpus.text_bytes / 1e6
    on_cores: list[tuple[str, float, Figure]] = [
        ("read", megabytes, rates.read_speed),
        ("filters", megabytes, rates.filter_speed),
        ("near-duplicates", megabytes, rates.near_duplicate_speed),
        ("tokenize and cut", corpus.tokens, rates.chunk_speed),
    ]
    steps = [_step(name, "cores", work / speed, rates) for name, work, speed in on_cores if speed.known]
    uncounted = [name for name, _, speed in on_cores if not speed.known]
    steps.append(_embedding(corpus, encoder, rates))
    if key.has_lists and key.on_gpu and rates.gpus:
        training = training_seconds(key, encoder.dimension, rates)
        steps.append(_step("train the index", "GPUs", training, rates, alone=True))
        each = encoding_seconds(key, encoder.dimension, rates)
        steps.append(_step("encode", "GPUs", corpus.passages * each, rates))
    elif not key.exact:
        where = " on cores" if key.on_gpu else ""
        uncounted.append(f"training and encoding {key.text}{where}")
    steps.append(_step("BM25", "cores", corpus.tokens / rates.bm25_speed, rates))
    return tuple(steps), tuple(uncounted)


def _embedding(corpus: CorpusSize, encoder: EncoderShape, rates: Rates) -> Step:
    operations = corpus.tokens * encoder.flops(corpus.passage_tokens)
    if rates.gpus:
        return _step("embed", "GPUs", operations / (rates.gpu_tflops * 1e12 * rates.mfu), rates)
    return _step("embed", "cores", operations / (rates.core_gflops * 1e9), rates)


def training_seconds(key: IndexKey, dimension: int, rates: Rates) -> float:
    """Seconds on one GPU: the sample grows with the lists, and each of it is compared with all of them."""
    return (
        rates.train_seconds
        * (key.nlist / _LISTS) ** 2
        * dimension
        / _DIMENSION
        * _slower_than_measured(rates)
    )


def encoding_seconds(key: IndexKey, dimension: int, rates: Rates) -> float:
    """Seconds a vector on one GPU: a product with every centroid, its scores, and the product codes."""
    lists = key.nlist / _LISTS
    product, scores = rates.list_product_ns * lists * dimension / _DIMENSION, rates.list_scores_ns * lists
    codes = rates.code_ns * key.code_bytes(dimension) / _CODES
    return (product + scores + codes) * 1e-9 * _slower_than_measured(rates)


def _slower_than_measured(rates: Rates) -> float:
    return _GPU_TFLOPS / rates.gpu_tflops


def _step(name: str, device: Processors, seconds: float, rates: Rates, alone: bool = False) -> Step:
    """Device-seconds of one stage as hours, days, dollars and energy; `alone` on one device."""
    hours = seconds / 3600
    count, price, watts = (
        (rates.gpus, rates.gpu_price, rates.gpu_watts)
        if device == "GPUs"
        else (rates.cores, rates.core_price, rates.core_watts)
    )
    days = hours / (1 if alone else count) / 24
    return Step(name, device, hours, days, hours * price, hours * watts / 1e3 * rates.pue)
