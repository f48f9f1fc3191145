import pytest
import torch
from transformers import LlamaConfig, MambaConfig

from lm.backends.generation.room import kept_bytes, token_bytes


def test_a_token_takes_keys_and_values_of_each_layer():
    config = LlamaConfig(hidden_size=64, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2)
    assert token_bytes(config, torch.bfloat16) == 2 * 3 * 2 * 16 * 2


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_model_without_heads_has_room_too(dtype):
    assert token_bytes(MambaConfig(hidden_size=32, num_hidden_layers=2), dtype) == 2 * 2 * 32 * dtype.itemsize


def test_what_is_kept_is_bounded():
    assert 0 < kept_bytes(torch.device("cpu")) <= 1 << 32
