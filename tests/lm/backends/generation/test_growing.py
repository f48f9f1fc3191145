import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM
from transformers.cache_utils import DynamicLayer

from lm.backends.generation.growing import _ROOM, GrowingLayer
from lm.backends.generation.rows import Forward
from tests.lm.models import tiny_model


def states(rows, tokens, seed):
    drawn = torch.Generator().manual_seed(seed)
    return torch.randn(rows, 2, tokens, 3, generator=drawn), torch.randn(rows, 2, tokens, 5, generator=drawn)


def leave_out(layer, rows, spare):
    """What a batch does as texts end."""
    layer.batch_select_indices(torch.tensor(rows))
    layer.keys, layer.values = layer.keys[:, :, spare:], layer.values[:, :, spare:]


def add_rows(layer, keys, values):
    layer.keys, layer.values = torch.cat([layer.keys, keys]), torch.cat([layer.values, values])


@given(
    st.lists(
        st.one_of(st.integers(1, 3), st.integers(_ROOM - 2, _ROOM + 2), st.sampled_from(("fewer", "more"))),
        max_size=12,
    )
)
def test_it_holds_what_a_dynamic_layer_holds(happenings):
    layers, rows = (GrowingLayer(), DynamicLayer()), 3
    for seed, happens in enumerate([4, *happenings]):
        length = layers[0].get_seq_length()
        for layer in layers:
            if happens == "fewer":
                leave_out(layer, list(range(1, rows)) or [0], 1 if length > 1 else 0)
            elif happens == "more":
                add_rows(layer, *states(2, length, seed))
            else:
                layer.update(*states(rows, happens, seed))
        rows = len(layers[0].keys)
        assert torch.equal(layers[0].keys, layers[1].keys)
        assert torch.equal(layers[0].values, layers[1].values)
        assert layers[0].get_seq_length() == layers[1].get_seq_length()
        assert layers[0].get_mask_sizes(1) == layers[1].get_mask_sizes(1)


def test_a_token_goes_where_there_is_room():
    layer = GrowingLayer()
    layer.update(*states(2, 5, 0))
    before = layer.keys.data_ptr(), layer.values.data_ptr()
    for seed in range(_ROOM):
        layer.update(*states(2, 1, seed))
        assert (layer.keys.data_ptr(), layer.values.data_ptr()) == before
    layer.update(*states(2, 1, 0))
    assert layer.keys.data_ptr() != before[0]


def test_a_batch_of_a_model_with_keys_and_values_alone_grows(tmp_path):
    def cache(kind):
        model = AutoModelForCausalLM.from_pretrained(tiny_model(tmp_path / kind, kind)).eval()
        return Forward(model, pad=0).cache()

    assert {type(layer) for layer in cache("llama").layers} == {GrowingLayer}
    assert GrowingLayer not in {type(layer) for layer in cache("mistral-sliding").layers}
