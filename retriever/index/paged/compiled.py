"""The scan in CUDA C++, a query's table in shared memory: two to three times as fast as Triton's.

NVRTC compiles it and the driver starts it, both through NVIDIA's own bindings (`cuda.bindings`), which
PyTorch for CUDA brings. Where they are missing, Triton scans.

Decisions: docs/decisions/gpu.md.
"""

import ctypes
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch

from base.errors import RalmError
from retriever.index.paged.pages import PAGE, Pages
from retriever.index.paged.scan import Asked

_THREADS = 256
# Bytes of shared memory that a block may have on every GPU since Ampere.
_MOST_SHARED = 96 << 10
# A warp scores a page: each lane four rows, whose bytes one load of 16 brings.
_SOURCE = r"""
__device__ __forceinline__ float value(unsigned short half) {
    float found;
    asm("cvt.f32.f16 %0, %1;" : "=f"(found) : "h"(half));
    return found;
}
extern "C" __global__ void __launch_bounds__(THREADS) scan(
    const uint4* __restrict__ codes, const int* __restrict__ page_ids,
    const long long* __restrict__ starts, const long long* __restrict__ counts,
    const long long* __restrict__ lists, const float* __restrict__ bases,
    const unsigned short* __restrict__ tables, const long long* __restrict__ offsets,
    const unsigned* __restrict__ bits, float* __restrict__ best, int width, int probes, int each) {
    extern __shared__ __align__(16) unsigned short table[];
    const long long task = blockIdx.x, query = task / probes, list = lists[task];
    const int count = (int)counts[list], held = (count + 127) / 128, first = blockIdx.y * each;
    if (first >= held) return;
    const int last = min(first + each, held);
    const uint4* its = (const uint4*)(tables + query * (COLUMNS * 1024));
    for (int n = threadIdx.x; n < COLUMNS * 128; n += THREADS) ((uint4*)table)[n] = its[n];
    __syncthreads();
    const int lane = threadIdx.x % 32;
    const int* mine = page_ids + starts[list];
    float* out = best + query * width + offsets[task];
    for (int at = first + threadIdx.x / 32; at < last; at += THREADS / 32) {
        const long long page = mine[at];
        const uint4* here = codes + page * (COLUMNS * 32) + lane;
        float a = 0, b = 0, c = 0, d = 0;
#pragma unroll
        for (int column = 0; column < COLUMNS; column++) {
            const uint4 four = __ldcs(here + column * 32);
#pragma unroll
            for (int n = 0; n < 4; n++) {
                const unsigned short* part = table + (column * 4 + n) * 256;
                a += value(part[(four.x >> (8 * n)) & 255]);
                b += value(part[(four.y >> (8 * n)) & 255]);
                c += value(part[(four.z >> (8 * n)) & 255]);
                d += value(part[(four.w >> (8 * n)) & 255]);
            }
        }
        const unsigned kept = bits ? bits[page * 4 + lane / 8] >> (lane % 8 * 4) : 15;
        const int slot = at * 128 + lane * 4;
        float top = __int_as_float(0xff800000);
        if (slot < count && kept & 1) top = fmaxf(top, a);
        if (slot + 1 < count && kept & 2) top = fmaxf(top, b);
        if (slot + 2 < count && kept & 4) top = fmaxf(top, c);
        if (slot + 3 < count && kept & 8) top = fmaxf(top, d);
#pragma unroll
        for (int away = 16; away; away >>= 1) top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, away));
        if (lane == 0) out[at] = top + bases[task];
    }
}
"""
assert PAGE == 128  # As the source has it.


@dataclass(frozen=True, slots=True)
class Maxima:
    """Where a scan writes: `best` [n, width], the column of each list's first page int64 [n, p].

    A block of threads scans `each` pages of a list, and a list takes `blocks` of them at most.
    """

    best: torch.Tensor
    offsets: torch.Tensor
    each: int
    blocks: int


def fits(pages: Pages, asked: Asked) -> bool:
    """Whether these are codes and tables that the compiled scan takes."""
    shared = asked.tables[0].nbytes
    half = asked.tables.dtype == torch.float16
    return bool(half and shared <= _MOST_SHARED and pages.codes.is_cuda and _at_hand())


def launch(pages: Pages, asked: Asked, bits: torch.Tensor | None, to: Maxima) -> None:
    """Start the scan on the current stream. Raises RalmError if it cannot be compiled or started."""
    from cuda.bindings import driver

    found, (count, probes) = pages.directory, asked.lists.shape
    given: tuple[torch.Tensor | None, ...] = (
        pages.codes,
        found.page_ids,
        found.start,
        found.count,
        asked.lists,
        asked.bases,
        asked.tables,
        to.offsets,
        bits,
        to.best,
    )
    numbers = to.best.shape[1], probes, to.each
    values = tuple(0 if tensor is None else tensor.data_ptr() for tensor in given) + numbers
    kinds = (ctypes.c_void_p,) * len(given) + (ctypes.c_int,) * len(numbers)
    stream = driver.CUstream(torch.cuda.current_stream(pages.device).cuda_stream)
    kernel = _kernel(pages.device, pages.codes.shape[1])
    grid, block, shared = (count * probes, to.blocks, 1), (_THREADS, 1, 1), asked.tables[0].nbytes
    _checked(driver.cuLaunchKernel(kernel, *grid, *block, shared, stream, (values, kinds), 0))


@cache
def _kernel(device: torch.device, columns: int) -> Any:
    """The scan of codes of so many columns, on a device that is the current one."""
    from cuda.bindings import driver

    major, minor = torch.cuda.get_device_capability(device)
    module = _checked(driver.cuModuleLoadData(binary(columns, f"sm_{major}{minor}")))
    kernel = _checked(driver.cuModuleGetFunction(module, b"scan"))
    most = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    _checked(driver.cuFuncSetAttribute(kernel, most, columns * 2048))
    return kernel


def binary(columns: int, architecture: str) -> bytes:
    """Machine code of the scan. Raises RalmError."""
    from cuda.bindings import nvrtc

    program = _checked(nvrtc.nvrtcCreateProgram(_SOURCE.encode(), b"scan.cu", 0, [], []))
    options = f"-arch={architecture}", f"-DCOLUMNS={columns}", f"-DTHREADS={_THREADS}", "-std=c++17"
    _checked(nvrtc.nvrtcCompileProgram(program, len(options), [option.encode() for option in options]))
    code = b" " * _checked(nvrtc.nvrtcGetCUBINSize(program))
    _checked(nvrtc.nvrtcGetCUBIN(program, code))
    return bytes(code)


@cache
def _at_hand() -> bool:
    return find_spec("cuda") is not None and find_spec("cuda.bindings") is not None


def _checked(result: tuple[Any, ...]) -> Any:
    """What a call gives beside its status. Raises RalmError."""
    status, *given = result
    if int(status):
        raise RalmError(f"The GPU's scan is not compiled or started ({status.name}): report this as a bug.")
    return given[0] if given else None
