import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from serve.schemas.generation.sampling import SamplingFields


@given(st.integers(-(2**70), 2**70))
def test_any_whole_number_becomes_a_seed_that_a_generator_takes(seed):
    found = SamplingFields.model_validate({"seed": seed}).sampled(3).seed
    assert 0 <= found < 2**63
    assert (found - seed) % 2**63 == 0


def test_further_fields_are_handed_on():
    assert SamplingFields().sampled(3, verbatim=True).verbatim
    assert SamplingFields(stop=["a", "b"]).sampled(3).stop == ("a", "b")


@pytest.mark.parametrize("stop", [["a"] * 5, [""], ""])
def test_stops_are_few_and_hold_text(stop):
    with pytest.raises(ValidationError, match="at most 4 stop strings"):
        SamplingFields(stop=stop)
