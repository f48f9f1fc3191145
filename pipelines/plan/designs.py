"""Where a plan's index may be searched from: memory of GPUs, of hosts, or SSDs; and what a month costs.

Pure arithmetic over the plan's rates. What a search takes is said only where it was measured.

Decisions: docs/decisions/planning.md.
"""

import math
from dataclasses import dataclass

from pipelines.plan.arithmetic import Plan, codes_bytes, machine
from pipelines.plan.rates import KNOWN_GPU, Rates
from retriever.index.sizing import FLAT_ROWS, IndexKey, list_count

# What pages hold beside codes: ids of 4 bytes, and half a page a list (RESULTS.md: 68.36 bytes for 64).
_ID_BYTES, _PAGES = 4, 1.006
# What of a GPU's memory codes may take: a search takes the rest.
_SHARE = 0.85
# Lists that a query probes: at so many nothing more was found in 3.5 billion rows.
PROBED = 64
_HOURS = 730
# Memory of a machine whose codes lie on its SSDs, in bytes: centroids, and pages that are read.
_SSD_RAM = 64 << 30


@dataclass(frozen=True, slots=True)
class Design:
    """One way to search: codes of a key `on` these machines; what a query reads of them, and a month's bill.

    `queries_a_second` of large batches, in all; NaN where it was not measured.
    """

    name: str
    key: str
    bytes: int
    on: str
    query_bytes: int
    dollars: float
    kwh: float
    queries_a_second: float


def designs(plan: Plan) -> tuple[Design, ...]:
    """Ways to search an index of the plan's passages; none where they are few enough to be scanned whole."""
    if plan.corpus.passages <= FLAT_ROWS:
        return ()
    found = (_on_gpus(plan), _in_memory(plan), _on_ssd(plan))
    return tuple(one for one in found if one is not None)


def vectors_dollars(plan: Plan) -> float:
    """A month of the vectors on SSDs: candidates are scored by them, however codes are searched."""
    return 2 * plan.encoder.dimension * plan.corpus.passages / 1e12 * plan.rates.ssd_price


def _on_gpus(plan: Plan) -> Design | None:
    """Product codes of 8 bits in pages; None where nothing is known of the GPU's memory."""
    rates, passages = plan.rates, plan.corpus.passages
    assumed = rates.gpu_memory.source == Rates().gpu_memory.source
    key = _key(plan, 6, "") or _key(plan, 8, "") or _key(plan, 4, "")
    if not rates.gpus or (rates.gpu != KNOWN_GPU and assumed) or key is None:
        return None
    each = key.code_bytes(plan.encoder.dimension)
    size = math.ceil(passages * (each + _ID_BYTES) * _PAGES)
    gpus = math.ceil(size / (_SHARE * rates.gpu_memory * 1e9))
    read = _read(passages, key, each)
    return Design(
        "GPU memory",
        key.text,
        size,
        f"{gpus} x {rates.gpu_memory:g} GB",
        read,
        gpus * rates.gpu_price * _HOURS,
        gpus * rates.gpu_watts / 1e3 * _HOURS * rates.pue,
        gpus * rates.scan_speed * 1e12 / read,
    )


def _in_memory(plan: Plan) -> Design | None:
    """Fast-scan codes of 4 bits in the memory of hosts."""
    key = _key(plan, 4, "x4fs")
    if key is None:
        return None
    size = key.bytes(plan.corpus.passages, plan.encoder.dimension)
    ram, machines = machine(size)
    unit = f"{ram >> 30} GiB" if ram < 1 << 40 else f"{ram >> 40} TiB"
    return _on_hosts(plan, ("CPU memory", key, size, f"{machines} x {unit}"), ram * machines, 0.0)


def _on_ssd(plan: Plan) -> Design | None:
    """Fast-scan codes of 4 bits, memory-mapped from SSDs (`--index-in disk`)."""
    key = _key(plan, 4, "x4fs")
    if key is None:
        return None
    size = codes_bytes(key, plan.corpus.passages, plan.encoder.dimension) + 8 * plan.corpus.passages
    return _on_hosts(plan, ("SSD", key, size, f"{size / 1e12:.2g} TB"), _SSD_RAM, size / 1e12)


def _on_hosts(plan: Plan, what: tuple[str, IndexKey, int, str], ram: int, ssd: float) -> Design:
    """A design on machines with so much RAM, and so many TB of SSDs."""
    rates, (name, key, size, on) = plan.rates, what
    each = key.code_bytes(plan.encoder.dimension)
    gib = ram / 2**30
    return Design(
        name,
        key.text,
        size,
        on,
        _read(plan.corpus.passages, key, each),
        gib * rates.memory_price * _HOURS + ssd * rates.ssd_price,
        (gib * rates.memory_watts + ssd * rates.ssd_watts) / 1e3 * _HOURS * rates.pue,
        math.nan,
    )


def _key(plan: Plan, dimensions: int, kind: str) -> IndexKey | None:
    """Product codes with a part for so many dimensions; None if these do not come out even."""
    parts, rest = divmod(plan.encoder.dimension, dimensions)
    lists = list_count(plan.corpus.passages)
    return None if rest else IndexKey.parse(f"IVF{lists},PQ{parts}{kind}")


def _read(passages: int, key: IndexKey, each: int) -> int:
    """Bytes of codes in the lists that a query probes."""
    return math.ceil(passages / key.nlist * min(PROBED, key.nlist) * each)
