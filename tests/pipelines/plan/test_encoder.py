import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from base.errors import RalmError
from pipelines.plan.encoder import MINILM, EncoderShape
from retriever.encoding.checkpoint import Checkpoint
from retriever.encoding.usage import DEFAULT_ENCODER


def test_the_packaged_encoder_is_the_one_the_rates_were_measured_with():
    assert EncoderShape.of(Checkpoint.find(DEFAULT_ENCODER)) == MINILM


def test_operations_are_two_a_parameter_and_those_of_attention():
    shape = EncoderShape("x", 4, 1000, 10, 64)
    assert shape.flops(100) == 2 * 1000 + 4 * 10 * 100


def make_folder(path, **config):
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 512}))
    return Checkpoint("given", path)


def test_parameters_are_counted_from_the_header_alone(tmp_path):
    found = make_folder(tmp_path, num_hidden_layers=2, hidden_size=8)
    tensors = {
        "embeddings.word_embeddings.weight": np.zeros((100, 8)),
        "layer.0.dense.weight": np.zeros((8, 8)),
        "layer.0.dense.bias": np.zeros(8),
        "pooler.dense.weight": np.zeros((8, 8)),
    }
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text('{"word_embedding_dimension": 8}')
    (tmp_path / "2_Dense").mkdir()
    (tmp_path / "2_Dense" / "config.json").write_text('{"in_features": 8, "out_features": 3}')
    assert EncoderShape.of(found) == EncoderShape("given", 3, 72, 16, 512)


def test_without_a_header_parameters_follow_from_layers_and_width(tmp_path):
    found = make_folder(tmp_path, num_hidden_layers=12, hidden_size=768, intermediate_size=3072)
    assert EncoderShape.of(found) == EncoderShape("given", 768, 12 * 12 * 768**2, 12 * 768, 512)


def test_a_given_encoder_has_the_layers_of_its_parameters():
    found = EncoderShape.given("bert", 768, 12 * 12 * 768**2, 512)
    assert found.layers_width == 12 * 768


def test_a_folder_that_says_too_little_names_what_to_give(tmp_path):
    with pytest.raises(RalmError, match="give --dimension and --encoder-parameters"):
        EncoderShape.of(make_folder(tmp_path))
    found = make_folder(tmp_path, num_hidden_layers=2, hidden_size=8)
    (tmp_path / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(RalmError, match="is not a safetensors file"):
        EncoderShape.of(found)
