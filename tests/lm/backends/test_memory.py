import pytest
import torch

from lm.backends.memory import measured_bytes


@pytest.mark.parametrize(("double", "constants"), [(False, 32 / 64), (True, 8 / 64 + 32 / (64 * 256))])
def test_the_constants_of_4_bits_are_counted_those_of_constants_too(double, constants):
    from bitsandbytes.functional import quantize_4bit
    from bitsandbytes.nn import Params4bit

    layer = torch.nn.Linear(1024, 1024, bias=False)
    packed, state = quantize_4bit(layer.weight.data, quant_type="nf4", compress_statistics=double)
    layer.weight = Params4bit(packed, requires_grad=False, quant_state=state, bnb_quantized=True)
    bits = 8 * measured_bytes(layer) / (1024 * 1024)
    # The table of 16 values, and one of 256 for doubly quantized constants, are beside them.
    assert 4 + constants <= bits < 4 + constants + 0.02


def test_a_weight_that_two_modules_share_is_counted_once():
    one, other = torch.nn.Linear(64, 64, bias=False), torch.nn.Linear(64, 64, bias=False)
    assert measured_bytes(torch.nn.ModuleList([one, other])) == 2 * 64 * 64 * 4
    other.weight = one.weight
    assert measured_bytes(torch.nn.ModuleList([one, other])) == 64 * 64 * 4
    # A view of the same memory is no other memory.
    other.weight = torch.nn.Parameter(one.weight.data[:10])
    assert measured_bytes(torch.nn.ModuleList([one, other])) == 64 * 64 * 4


def test_what_is_nowhere_takes_nothing():
    assert measured_bytes(torch.nn.Linear(64, 64, device="meta")) == 0
