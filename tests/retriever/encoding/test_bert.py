"""BERT without transformers: the same vectors to the last bit, and nothing that is not understood."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from retriever.encoding import bert
from retriever.encoding.checkpoint import Checkpoint
from retriever.encoding.encoder import Encoder
from retriever.encoding.usage import DEFAULT_ENCODER, Usage
from tests import encoders


def both(checkpoint, dtype, monkeypatch):
    """The encoder as it is loaded here, and by sentence-transformers."""
    ours = Encoder(checkpoint, dtype)
    with monkeypatch.context() as patch:
        patch.setattr("retriever.encoding.encoder.load_bert", lambda *_: None)
        return ours, Encoder(checkpoint, dtype)


def require_alike(ours, theirs):
    assert ours._model is None
    assert theirs._model is not None
    random = np.random.default_rng(0)
    ids = [random.integers(5, 90, n).astype(np.int32) for n in (1, 100, 7, 7, 60, 2, *[50] * 30)]
    assert np.array_equal(ours.encode_passages(ids), theirs.encode_passages(ids))
    queries = ["who built the old bridge?", "glass", "the mayor of Bralgate " * 20]
    assert np.array_equal(ours.encode_queries(queries), theirs.encode_queries(queries))
    lengths = np.array([3, 70])
    assert ours.flops(lengths) == theirs.flops(lengths)
    assert ours.card() == theirs.card()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_packaged_encoder_gives_the_same_bytes(dtype, monkeypatch, one_thread):
    require_alike(*both(Checkpoint.find(DEFAULT_ENCODER), dtype, monkeypatch))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_other_models_give_the_same_bytes(dtype, tmp_path, monkeypatch, one_thread):
    plain = encoders.bert(tmp_path / "plain")
    for usage in (Usage(), Usage(pooling="cls", similarity="dot"), Usage(pooling="last")):
        require_alike(*both(Checkpoint.find(str(plain), usage), dtype, monkeypatch))
    for pooling, normalize in (("mean", True), ("cls", False), ("last", True)):
        folder = encoders.with_modules(shutil.copytree(plain, tmp_path / pooling), pooling, normalize)
        require_alike(*both(Checkpoint.find(str(folder)), dtype, monkeypatch))
    multilingual = encoders.xlm_roberta(tmp_path / "xlm")
    require_alike(*both(Checkpoint.find(str(multilingual)), dtype, monkeypatch))


def test_a_model_that_was_trained_for_another_task_is_found_in_it(tmp_path, monkeypatch, one_thread):
    folder = encoders.bert(tmp_path / "model")
    weights = {f"bert.{name}": tensor for name, tensor in load_file(folder / "model.safetensors").items()}
    weights["cls.predictions.bias"] = torch.zeros(3)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    require_alike(*both(Checkpoint.find(str(folder)), "float32", monkeypatch))


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "mpnet"},
        {"hidden_act": "relu"},
        {"position_embedding_type": "relative_key"},
        {"is_decoder": True},
        {"num_hidden_layers": 1},
        {"num_hidden_layers": 3},
        {"intermediate_size": 65},
        {"auto_map": {"AutoModel": "code.Model"}},
    ],
)
def test_another_configuration_is_left_to_the_libraries(change, tmp_path):
    folder = encoders.bert(tmp_path / "model")
    assert bert.load(Checkpoint.find(str(folder)), "float32") is not None
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    assert bert.load(Checkpoint.find(str(folder)), "float32") is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "modules.json",
            '[{"path": "", "type": "mine.Transformer"}, {"path": "1_Pooling", "type": "mine.Pooling"}]',
        ),
        ("1_Pooling/config.json", '{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true}'),
        ("1_Pooling/config.json", '{"pooling_mode": "max"}'),
        ("1_Pooling/config.json", '{"pooling_mode": "mean", "include_prompt": false}'),
        (
            "sentence_bert_config.json",
            '{"max_seq_length": 128, "model_args": {"dtype": "float16"}}',
        ),
        ("config.json", "{"),
        ("model.safetensors", "damaged"),
        ("more.safetensors", "another part"),
    ],
)
def test_other_files_are_left_to_the_libraries(name, content, tmp_path):
    folder = encoders.with_modules(encoders.bert(tmp_path / "model"), "mean")
    assert bert.load(Checkpoint.find(str(folder)), "float32") is not None
    (folder / name).write_text(content)
    assert bert.load(Checkpoint.find(str(folder)), "float32") is None
