from types import SimpleNamespace

import pytest
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from lm.backends.architecture import Call, cache_layers, turns_by_length
from tests.lm.models import tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    def of(kind):
        return AutoModelForCausalLM.from_pretrained(tiny_model(tmp_path_factory.mktemp(kind), kind))

    return of


def test_a_call_is_that_of_the_model_below_an_adapter(model):
    llama = model("llama")
    plain = Call.of(llama)
    assert plain.cache in ("cache", "past_key_values")
    assert plain.places
    assert plain.few_logits
    adapted = get_peft_model(llama, LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"))
    assert Call.of(adapted) == plain


def test_a_call_says_what_a_model_does_not_take():
    class Odd:
        def forward(self, input_ids, cache_params=None): ...

    assert Call.of(Odd()) == Call(None, False, False)


def test_layers_of_a_cache(model):
    assert cache_layers(model("llama").config) == {DynamicLayer}
    assert DynamicSlidingWindowLayer in cache_layers(model("mistral-sliding").config)


@pytest.mark.parametrize(
    ("told", "turns"),
    [
        ({}, False),
        ({"rope_parameters": {"rope_type": "default"}}, False),
        ({"rope_parameters": {"rope_type": "llama3"}}, False),
        ({"rope_parameters": {"rope_type": "dynamic"}}, True),
        ({"rope_scaling": {"type": "longrope"}}, True),
        (
            {"rope_parameters": {"full": {"rope_type": "longrope"}, "sliding": {"rope_type": "default"}}},
            True,
        ),
    ],
)
def test_positions_may_depend_on_the_length_of_a_text(told, turns):
    assert turns_by_length(SimpleNamespace(**told)) is turns
