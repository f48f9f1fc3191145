"""What GPUs could do at most: published dense peaks of matrix products, by the names that PyTorch calls them.

From NVIDIA's data sheets, without sparsity: 16-bit products on tensor cores (bfloat16 and float16 alike), and
float32 on CUDA cores, since PyTorch rounds no float32 product to TF32 unless it is told to. There is no such
number for CPUs here: it would depend on how they are clocked and cooled.

Decisions: docs/decisions/energy.md.
"""

import re

from datastore.generations.manifest import Device, Dtype

# Name as a pattern, TFLOP/s in 16 bits, TFLOP/s in float32.
_PEAKS = (
    (r"NVIDIA B200", 2250.0, 75.0),
    (r"NVIDIA H200 NVL", 835.5, 60.0),
    (r"NVIDIA H200", 989.4, 66.9),
    (r"NVIDIA GH200 .*", 989.4, 66.9),
    (r"NVIDIA H100 80GB HBM3", 989.4, 66.9),
    (r"NVIDIA H100 NVL", 835.5, 60.0),
    (r"NVIDIA H100 PCIe", 756.5, 51.2),
    (r"NVIDIA A100.*", 312.0, 19.5),
    (r"NVIDIA L40S", 362.05, 91.6),
    (r"NVIDIA L40", 181.05, 90.5),
    (r"NVIDIA A40", 149.7, 37.4),
    (r"NVIDIA A10", 125.0, 31.2),
    (r"NVIDIA L4", 121.0, 30.3),
)


def peak_flops(device_name: str, dtype: Dtype) -> float | None:
    """Floating-point operations a second that a device reaches at most; None of one that is not in the table.

    A slice of a GPU (MIG) is not: how much of it a slice has, its name tells only by its memory.
    """
    if " MIG " in device_name:
        return None
    for pattern, half, single in _PEAKS:
        if re.fullmatch(pattern, device_name):
            return 1e12 * (single if dtype == "float32" else half)
    return None


def name_of(device: Device) -> str:
    """What PyTorch calls this process's device."""
    if device == "cpu":
        return "cpu"
    import torch

    return str(torch.cuda.get_device_name())
