"""The scan of `scan.py` and the encoding of vectors into pages, as Triton kernels (Tillet, Kung, Cox 2019).

Each function stands for its namesake there and adds up in the same order. PyTorch for CUDA brings Triton.

Decisions: docs/decisions/gpu.md.
"""

import torch
import triton
import triton.language as tl

from retriever.index.paged import compiled, scan
from retriever.index.paged.codebook import WORD, Codebook
from retriever.index.paged.pages import PAGE, Pages, Placement
from retriever.index.paged.scan import Asked, Chosen, Room

# Pages that a program scans, few or many at a time: small batches need all the programs that there can be.
_FEW, _MANY, _MANY_PROBES = 16, 64, 4096
_PAGES_AT_ONCE = 4
# Dimensions of a part that a matrix unit takes in one step, and rows that a program encodes.
_INNER, _ROWS = 16, 32


# Numbers that change from search to search: Triton would compile a kernel anew for those that 16 divides.
_CHANGING = ["width", "probes", "each", "count", "scale"]


@triton.jit(do_not_specialize=_CHANGING)
def _scan(  # noqa: PLR0913
    codes,
    page_ids,
    starts,
    counts,
    lists,
    bases,
    tables,
    offsets,
    bits,
    best,
    width,
    probes,
    COLUMNS: tl.constexpr,
    PAGE: tl.constexpr,
    AT_ONCE: tl.constexpr,
    EACH: tl.constexpr,
    MASKED: tl.constexpr,
) -> None:
    """Program (t, s): the s-th EACH pages of the list that is the t-th of all that queries probe."""
    task = tl.program_id(0)
    query = (task // probes).to(tl.int64)
    number = tl.load(lists + task)
    count = tl.load(counts + number).to(tl.int32)
    held = (count + PAGE - 1) // PAGE
    first = tl.program_id(1) * EACH
    if first < held:
        last = tl.minimum(first + EACH, held)
        start = tl.load(starts + number)
        base = tl.load(bases + task)
        offset = tl.load(offsets + task)
        table = tables + query * (COLUMNS * 1024)
        slot = tl.arange(0, PAGE)
        for at in range(first, last, AT_ONCE):
            each = at + tl.arange(0, AT_ONCE)
            page = tl.load(page_ids + start + each, mask=each < last, other=0).to(tl.int64)
            here = codes + page[:, None] * (COLUMNS * PAGE) + slot[None, :]
            sums = tl.zeros([AT_ONCE, PAGE], tl.float32)
            for column in tl.static_range(COLUMNS):
                word = tl.load(here + column * PAGE, eviction_policy="evict_first")
                for n in tl.static_range(4):
                    value = table + (column * 4 + n) * 256 + ((word >> (8 * n)) & 255)
                    sums += tl.load(value, eviction_policy="evict_last").to(tl.float32)
            counted = each[:, None] * PAGE + slot[None, :] < count
            if MASKED:
                word = tl.load(bits + page[:, None] * (PAGE // 32) + (slot // 32)[None, :])
                counted = counted & (((word >> (slot % 32)[None, :]) & 1) == 1)
            sums = tl.where(counted, sums + base, float("-inf"))
            tl.store(best + query * width + offset + each, tl.max(sums, 1), mask=each < last)


@triton.jit(do_not_specialize=_CHANGING)
def _score(  # noqa: PLR0913
    codes,
    chosen,
    valid,
    bases,
    tables,
    bits,
    scores,
    each,
    COLUMNS: tl.constexpr,
    PAGE: tl.constexpr,
    MASKED: tl.constexpr,
) -> None:
    """Program t: every score of the t-th page chosen; `each` pages for a query."""
    task = tl.program_id(0)
    query = (task // each).to(tl.int64)
    page = tl.load(chosen + task).to(tl.int64)
    slot = tl.arange(0, PAGE)
    here = codes + page * (COLUMNS * PAGE) + slot
    table = tables + query * (COLUMNS * 1024)
    sums = tl.zeros([PAGE], tl.float32)
    for column in tl.static_range(COLUMNS):
        word = tl.load(here + column * PAGE)
        for n in tl.static_range(4):
            value = table + (column * 4 + n) * 256 + ((word >> (8 * n)) & 255)
            sums += tl.load(value).to(tl.float32)
    counted = slot < tl.load(valid + task)
    if MASKED:
        word = tl.load(bits + page * (PAGE // 32) + slot // 32)
        counted = counted & (((word >> (slot % 32)) & 1) == 1)
    sums = tl.where(counted, sums + tl.load(bases + task), float("-inf"))
    tl.store(scores + task.to(tl.int64) * PAGE + slot, sums)


@triton.jit(do_not_specialize=_CHANGING)
def _encode(  # noqa: PLR0913
    vectors,
    order,
    lists,
    slots,
    ids,
    centroids,
    words,
    halves,
    codes,
    its_ids,
    count,
    scale,
    D: tl.constexpr,
    COLUMNS: tl.constexpr,
    WIDTH: tl.constexpr,
    INNER: tl.constexpr,
    PAGE: tl.constexpr,
    ROWS: tl.constexpr,
    BY_RESIDUAL: tl.constexpr,
) -> None:
    """Program t: codes of ROWS vectors, which lie in order of their lists, straight into their pages."""
    at = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    there = at < count
    row = tl.load(order + at, mask=there, other=0)
    number = tl.load(lists + at, mask=there, other=0)
    slot = tl.load(slots + at, mask=there, other=0)
    tl.store(its_ids + slot, tl.load(ids + row, mask=there, other=0).to(tl.int32), mask=there)
    here = codes + (slot // PAGE) * (COLUMNS * PAGE) + slot % PAGE
    inner = tl.arange(0, INNER)
    value = tl.arange(0, 256)
    inside = there[:, None] & (inner < WIDTH)[None, :]
    for column in range(COLUMNS):
        word = tl.zeros([ROWS], tl.int32)
        for n in tl.static_range(4):
            part = column * 4 + n
            mine = (part * WIDTH + inner)[None, :]
            rest = tl.load(vectors + row[:, None] * D + mine, mask=inside, other=0.0).to(tl.float32)
            if BY_RESIDUAL:
                rest -= tl.load(centroids + number[:, None] * D + mine, mask=inside, other=0.0)
            its = tl.load(words + part * (INNER * 256) + inner[:, None] * 256 + value[None, :])
            near = tl.dot((rest * scale).to(its.dtype), its, input_precision="ieee")
            near -= tl.load(halves + part * 256 + value)[None, :]
            word = word | (tl.argmax(near, 1) << (8 * n))
        tl.store(here + column * PAGE, word, mask=there)


def page_maxima(pages: Pages, asked: Asked, room: Room, bits: torch.Tensor | None) -> torch.Tensor:
    """See `scan.page_maxima`."""
    found = pages.directory
    count, probes = asked.lists.shape
    best = torch.full((count, room.width), -torch.inf, device=pages.device)
    if not best.numel():
        return best
    held = found.held[asked.lists]
    offsets = held.cumsum(1) - held
    each = _MANY if count * probes >= _MANY_PROBES else _FEW
    if compiled.fits(pages, asked):
        to = compiled.Maxima(best, offsets, each, triton.cdiv(room.longest, each))
        compiled.launch(pages, asked, bits, to)
        return best
    _scan[count * probes, triton.cdiv(room.longest, each)](
        pages.codes,
        found.page_ids,
        found.start,
        found.count,
        asked.lists,
        asked.bases,
        asked.tables,
        offsets,
        found.page_ids if bits is None else bits,
        best,
        room.width,
        probes,
        pages.codes.shape[1],
        PAGE,
        _PAGES_AT_ONCE,
        each,
        bits is not None,
        num_warps=4,
    )
    return best


def page_scores(
    pages: Pages, tables: torch.Tensor, chosen: Chosen, bits: torch.Tensor | None
) -> torch.Tensor:
    """See `scan.page_scores`."""
    count, each = chosen.pages.shape
    scores = torch.empty((count, each, PAGE), device=pages.device)
    if scores.numel():
        _score[(count * each,)](
            pages.codes,
            chosen.pages,
            chosen.valid,
            chosen.bases,
            tables,
            chosen.pages if bits is None else bits,
            scores,
            each,
            pages.codes.shape[1],
            PAGE,
            bits is not None,
            num_warps=4,
        )
    return scores


def encode(
    pages: Pages, where: Placement, codebook: Codebook, vectors: torch.Tensor, ids: torch.Tensor
) -> None:
    """See `scan.encode`, which takes parts of 4 bits, of many dimensions, or that fill no word."""
    parts, values, width = codebook.words.shape
    if values != 256 or width > _INNER or parts % WORD:
        scan.encode(pages, where, codebook, vectors, ids)
        return
    words, halves = codebook.padded(_INNER)
    vectors, ids = vectors.contiguous(), ids.contiguous()
    _encode[(triton.cdiv(len(vectors), _ROWS),)](
        vectors,
        where.order,
        where.lists,
        where.slots,
        ids,
        codebook.centroids,
        words,
        halves,
        pages.codes,
        pages.ids,
        len(vectors),
        codebook.scale,
        vectors.shape[1],
        pages.codes.shape[1],
        width,
        _INNER,
        PAGE,
        _ROWS,
        codebook.by_residual,
        num_warps=4,
        num_stages=1,
    )


assert WORD == 4  # As the kernels take words apart.
