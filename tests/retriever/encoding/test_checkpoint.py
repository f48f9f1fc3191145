import shutil

import pytest

from base.errors import RalmError
from retriever.encoding.checkpoint import Checkpoint
from retriever.encoding.usage import DEFAULT_ENCODER, Usage
from tests.encoders import WIDTH, bert, qwen3, with_modules


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


def test_what_is_given_counts_before_what_a_model_says(packaged, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "config_sentence_transformers.json").write_text(
        '{"prompts": {"query": "query: ", "document": "passage: "}, "similarity_fn_name": "cosine"}'
    )
    found = Checkpoint.find(str(tmp_path), Usage("ask: ", "", "cls", "dot"))
    assert found.usage == Usage("ask: ", "", "cls", "dot")
    assert Checkpoint.find(str(tmp_path)).usage == Usage("query: ", "passage: ", "mean", "cosine")


def test_what_a_model_leaves_to_its_page_is_known_by_its_name(tmp_path):
    """Newer sentence-transformers write empty prompts where nobody has said any."""
    (tmp_path / "config_sentence_transformers.json").write_text('{"prompts": {"query": "", "document": ""}}')
    assert Checkpoint("intfloat/e5-small-v2", tmp_path).prompts == {
        "query": "query: ",
        "passage": "passage: ",
    }
    assert Checkpoint("intfloat/e5-small-v2", tmp_path, Usage(query_prompt="")).prompts["query"] == ""
    assert Checkpoint("facebook/dragon-plus-query-encoder", tmp_path).usage == Usage("", "", "cls", "dot")


def test_pooling_is_for_models_that_have_none(tmp_path):
    plain, own = bert(tmp_path / "plain"), with_modules(bert(tmp_path / "own"), "cls")
    assert Checkpoint.find(str(plain)).pooling == "mean"
    assert Checkpoint.find(str(plain), Usage(pooling="cls")).pooling == "cls"
    assert Checkpoint.find(str(own)).pooling is None
    with pytest.raises(RalmError, match="has a pooling of its own"):
        _ = Checkpoint.find(str(own), Usage(pooling="cls")).pooling


def test_a_plain_decoder_is_pooled_at_its_last_token(tmp_path):
    (tmp_path / "config.json").write_text('{"architectures": ["Qwen3ForCausalLM"]}')
    assert Checkpoint.find(str(tmp_path)).pooling == "last"


def test_the_size_of_vectors_is_known_before_a_model_is_loaded(packaged, tmp_path):
    assert packaged.dimension == 384
    assert Checkpoint.find(str(bert(tmp_path / "plain"))).dimension == WIDTH
    assert Checkpoint.find(str(qwen3(tmp_path / "qwen"))).dimension == WIDTH
    (tmp_path / "config.json").write_text("{}")
    assert Checkpoint.find(str(tmp_path)).dimension is None


def test_a_card_brings_back_the_encoder_as_it_was_used(tmp_path):
    folder = str(bert(tmp_path / "plain"))
    used = Usage("q: ", "p: ", "cls", "dot")
    card = Checkpoint.find(folder, used).card(WIDTH, "float32")
    assert Checkpoint.of(card).usage == used
    # A card from before pooling stood in it.
    early = card.model_copy(update={"pooling": None, "name": folder})
    assert Checkpoint.of(early).usage.pooling == "mean"
    with pytest.raises(RalmError, match="its weights differ"):
        Checkpoint.of(card.model_copy(update={"weights_sha256": "0" * 64}))


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
