import shutil

import pytest

from datastore.errors import RalmError
from retriever.checkpoint import DEFAULT_ENCODER, Checkpoint


@pytest.fixture(scope="module")
def packaged():
    return Checkpoint.find(DEFAULT_ENCODER)


def test_the_packaged_encoder_is_found_and_describes_itself(packaged):
    assert packaged.max_tokens == 256
    assert packaged.prompts == {"query": "", "passage": ""}
    assert packaged.normalized
    assert len(packaged.weights_sha256) == 64


def test_a_folder_is_an_encoder_and_other_weights_have_another_hash(packaged, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(packaged.folder, folder)
    assert Checkpoint.find(str(folder)).weights_sha256 == packaged.weights_sha256
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert Checkpoint.find(str(folder)).weights_sha256 != packaged.weights_sha256


def test_a_models_own_prompts_and_similarity_are_read(packaged, tmp_path):
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 512}')
    (tmp_path / "config_sentence_transformers.json").write_text(
        '{"prompts": {"query": "query: ", "document": "passage: "}, "similarity_fn_name": "dot"}'
    )
    found = Checkpoint.find(str(tmp_path))
    assert found.prompts == {"query": "query: ", "passage": "passage: "}
    assert not found.normalized
    assert found.max_tokens == 512


def test_an_unknown_name_lists_the_valid_ones():
    with pytest.raises(RalmError, match=f"no encoder 'nobody/nothing'.*{DEFAULT_ENCODER}"):
        Checkpoint.find("nobody/nothing")


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(RalmError, match=r"no config\.json"):
        Checkpoint.find(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(RalmError, match="no weights"):
        _ = Checkpoint.find(str(tmp_path)).weights_sha256
    with pytest.raises(RalmError, match="how many tokens"):
        _ = Checkpoint.find(str(tmp_path)).max_tokens
