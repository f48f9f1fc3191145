import pytest

from pipelines.execution.metering.peaks import name_of, peak_flops


@pytest.mark.parametrize(
    ("name", "half", "single"),
    [
        ("NVIDIA H100 80GB HBM3", 989.4e12, 66.9e12),
        ("NVIDIA H100 PCIe", 756.5e12, 51.2e12),
        ("NVIDIA H200", 989.4e12, 66.9e12),
        ("NVIDIA A100-SXM4-80GB", 312e12, 19.5e12),
        ("NVIDIA A100 80GB PCIe", 312e12, 19.5e12),
        ("NVIDIA L40S", 362.05e12, 91.6e12),
        ("NVIDIA L4", 121e12, 30.3e12),
    ],
)
def test_peaks_are_those_of_the_data_sheets(name, half, single):
    assert peak_flops(name, "bfloat16") == peak_flops(name, "float16") == pytest.approx(half)
    assert peak_flops(name, "float32") == pytest.approx(single)


@pytest.mark.parametrize(
    "name", ["cpu", "NVIDIA H100 80GB HBM3 MIG 1g.10gb", "NVIDIA L40X", "Some H100", "NVIDIA A10G"]
)
def test_what_is_not_in_a_data_sheet_has_no_peak(name):
    assert peak_flops(name, "bfloat16") is None


def test_a_cpu_is_called_that():
    assert name_of("cpu") == "cpu"


@pytest.mark.gpu
def test_a_gpu_is_called_as_pytorch_calls_it():
    import torch

    assert name_of("cuda") == torch.cuda.get_device_name()
