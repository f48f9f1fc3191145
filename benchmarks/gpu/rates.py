"""How quickly codes are made: by us, by FAISS on the same GPU, and what the GPU does at best."""

import time
from typing import Any

import faiss
import torch
import torch.nn.functional as F
from drawn import BATCH, drawn_index
from report import Report, seconds

from retriever.index.codec import TorchCodec

# Batches of FAISS's own adding, of which the last is timed.
ADDS = 2


def ceilings(report: Report, device: torch.device) -> None:
    """What the device does at best: of a large matrix product, and of a copy in its memory."""
    left = torch.randn((8192, 8192), device=device).half()
    product = seconds(device, lambda: left @ left)
    large = torch.empty(1 << 32, dtype=torch.uint8, device=device)
    copied = torch.empty_like(large)
    copy = seconds(device, lambda: copied.copy_(large))
    report.add("Ceilings", what="float16 matrix product, TFLOP/s", value=2 * 8192**3 / product / 1e12)
    report.add(
        "Ceilings", what="copy on the device, TB/s read and written", value=2 * len(large) / copy / 1e12
    )


def our_rates(report: Report, key: str, codec: TorchCodec, vectors: torch.Tensor) -> None:
    """Vectors a second of our encoding: its first half, all of it on the device, and to or from the host."""
    host = vectors.cpu().numpy()
    ways = {
        "ours, lists only": lambda: [codec.assign(block) for block in vectors.split(8192)],
        "ours, on the device only": lambda: codec.encode_here(vectors),
        "ours, GPU tensor to codes in host memory": lambda: codec.encode(vectors),
        "ours, host memory to host memory": lambda: codec.encode(host),
    }
    for way, work in ways.items():
        rate = len(vectors) / seconds(codec.device, work)
        report.add("Encoding", dimension=vectors.shape[1], key=key, way=way, rate=rate)


def faiss_rates(report: Report, key: str, trained: Any, vectors: torch.Tensor) -> None:
    """Vectors a second of FAISS's GPU index, with room for all of them reserved in its lists."""
    resources, options = faiss.StandardGpuResources(), faiss.GpuClonerOptions()
    options.useFloat16 = options.useFloat16CoarseQuantizer = True
    options.reserveVecs = ADDS * len(vectors)
    codec, part = TorchCodec(trained, vectors.device), vectors.float()

    def add(index: Any, ids: torch.Tensor) -> None:
        index.add_with_ids_c(len(part), float_pointer(part), id_pointer(ids))

    def add_core(index: Any, ids: torch.Tensor) -> None:
        lists = torch.cat([codec.assign(block) for block in vectors.split(8192)])
        # FAISS works on a stream of its own.
        torch.cuda.synchronize()
        index.add_core(len(part), float_pointer(part), id_pointer(ids), id_pointer(lists))

    for way, work in (("FAISS add", add), ("FAISS add_core, lists from a matrix product", add_core)):
        index = faiss.index_cpu_to_gpu(resources, 0, trained, options)
        for number in range(ADDS):
            ids = torch.arange(len(part), device=part.device) + number * len(part)
            torch.cuda.synchronize()
            started = time.perf_counter()
            work(index, ids)
            torch.cuda.synchronize()
            took = time.perf_counter() - started
        report.add("Encoding", dimension=vectors.shape[1], key=key, way=way, rate=len(part) / took)
        del index


def float_pointer(values: torch.Tensor) -> Any:
    return faiss.cast_integer_to_float_ptr(values.data_ptr())


def id_pointer(values: torch.Tensor) -> Any:
    return faiss.cast_integer_to_idx_t_ptr(values.data_ptr())


def wide_rates(report: Report, lists: int, device: torch.device) -> None:
    """The rates again for 768 dimensions."""
    key, rows = f"IVF{lists},PQ64", BATCH if device.type == "cuda" else 2048
    index = drawn_index(key, 768)
    random = torch.Generator(device).manual_seed(0)
    vectors = F.normalize(torch.randn((rows, 768), generator=random, device=device)).half()
    our_rates(report, key, TorchCodec(index, device), vectors)
    if device.type == "cuda":
        faiss_rates(report, key, index, vectors)


def agreement(report: Report, key: str, trained: Any, vectors: torch.Tensor, codec: TorchCodec) -> None:
    """Share of lists and of codes that are FAISS's own, and what both lose of a vector."""
    some = vectors[:8192]
    ours = codec.encode(some)
    theirs = trained.sa_encode(some.float().cpu().numpy())
    ivf = faiss.extract_index_ivf(trained)
    head = ivf.coarse_code_size()
    same = (ours[:, :head] == theirs[:, :head]).all(1)
    losses = []
    for codes in (ours, theirs):
        rest = trained.sa_decode(codes) - some.float().cpu().numpy()
        losses.append(float((rest**2).sum(1).mean()))
    report.add(
        "Agreement with FAISS on the CPU",
        key=key,
        same_list=float(same.mean()),
        same_codes_in_these=float((ours[same, head:] == theirs[same, head:]).mean()),
        our_squared_error=losses[0],
        its_squared_error=losses[1],
    )
