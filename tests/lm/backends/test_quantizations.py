import pytest

from base.errors import RalmError
from lm.backends import quantizations
from lm.backends.quantizations import DEFAULT_QUANTIZATION, QUANTIZATIONS, quantization


def test_each_is_written_as_its_name():
    assert [quantization(name).name for name in QUANTIZATIONS] == list(QUANTIZATIONS)
    assert quantization(DEFAULT_QUANTIZATION).package == "torchao"


def test_a_threshold_may_be_written_behind_what_has_one():
    assert quantization("llm-int8").threshold == 6.0
    found = quantization("llm-int8:4.0")
    assert (found.name, found.threshold) == ("llm-int8:4.0", 4.0)
    assert found.config(None, found.threshold).llm_int8_threshold == 4.0


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("int3", "Unknown quantization 'int3': valid are none, int8, llm-int8, nf4, nf4-double, fp4"),
        ("nf-4", "did you mean nf4?"),
        ("llm-int8:", "must be a number from 0 on, as in llm-int8:4.0"),
        ("llm-int8:-1", "must be a number from 0 on"),
        ("llm-int8:inf", "must be a number from 0 on"),
        ("nf4:4.0", "The quantization nf4 takes no threshold: write nf4."),
    ],
)
def test_what_is_none_is_a_sentence(written, said):
    with pytest.raises(RalmError) as caught:
        quantization(written)
    assert said in str(caught.value)


def test_double_quantization_is_a_bit_in_the_configuration():
    import torch

    for name, double in (("nf4", False), ("nf4-double", True), ("fp4", False), ("fp4-double", True)):
        config = quantization(name).config(torch.bfloat16, None)
        assert config.bnb_4bit_use_double_quant is double
        assert config.bnb_4bit_quant_type == name[:3]
    # QLoRA, section 3: from 0.5 to 0.127 bits of constants a weight.
    saved = quantization("nf4").bits - quantization("nf4-double").bits
    assert saved == pytest.approx(0.373, abs=0.001)


def test_a_missing_package_names_itself_and_its_command(monkeypatch):
    monkeypatch.setattr(quantizations, "find_spec", lambda _: None)
    with pytest.raises(RalmError, match=r"nf4 needs bitsandbytes: run `pip install bitsandbytes`"):
        quantization("nf4").require_package()
    quantization("none").require_package()
