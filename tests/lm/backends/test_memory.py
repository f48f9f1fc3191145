import pytest
import torch

from base.errors import RalmError
from lm.backends.devices import best_dtype
from lm.backends.memory import expected_bytes, measured_bytes, require_memory
from lm.backends.reader_choice import ReaderChoice
from lm.backends.registry import require_memory as require_of_any
from tests.lm.models import WIDE, tiny_model, tiny_reader


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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("models") / "m", WIDE)


def test_a_configuration_foretells_what_weights_take(folder):
    reader = tiny_reader(folder)
    expected = expected_bytes(ReaderChoice(str(folder), "none"), best_dtype())
    assert expected == pytest.approx(reader.measured_bytes, rel=0.02)
    whole, eight, four = (
        expected_bytes(ReaderChoice(str(folder), one), torch.bfloat16) for one in ("none", "int8", "nf4")
    )
    assert four < eight < whole
    assert expected_bytes(ReaderChoice(str(folder), None), torch.bfloat16) == eight
    assert expected_bytes(ReaderChoice("no/such-model"), torch.bfloat16) is None


def test_a_reader_too_large_for_memory_is_refused_by_its_configuration_alone(folder, tmp_path, monkeypatch):
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    monkeypatch.setattr("lm.backends.memory.available_memory", lambda: 10_000)
    choice = ReaderChoice(str(tmp_path), device="cpu")
    with pytest.raises(RalmError, match=r"would take \d+.* as int8, but 10.0 KB are free here: choose"):
        require_memory(choice)
    with pytest.raises(RalmError, match="or fewer bits, --quantization nf4"):
        require_of_any(choice)
    with pytest.raises(RalmError, match=r"as nf4, .* choose a smaller one\.$"):
        require_memory(ReaderChoice(str(tmp_path), "nf4", device="cpu"))
    # Packaged ones are small, and what a server holds is its own.
    require_of_any(ReaderChoice())
    require_of_any(ReaderChoice("http://localhost:1/v1"))
    monkeypatch.setattr("lm.backends.memory.available_memory", lambda: None)
    require_memory(choice)
