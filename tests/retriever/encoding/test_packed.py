from functools import lru_cache
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Dense, Normalize, Pooling, Transformer
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertModel,
    MPNetConfig,
    MPNetModel,
    Qwen3Config,
    Qwen3Model,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from retriever.encoding.checkpoint import Checkpoint
from retriever.encoding.packed import GeluLinear, PackedModel, Parts, _replace, can_pack, gelu_along
from retriever.encoding.usage import DEFAULT_ENCODER

SIZE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": 200,
    "max_position_embeddings": 80,
}
# Two heads of keys for four of queries.
QWEN3 = {**SIZE, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0}
BODIES = {
    "bert": (BertModel, BertConfig(**SIZE), "mean"),
    "bert by its first token": (BertModel, BertConfig(**SIZE), "cls"),
    "bert to length 1": (BertModel, BertConfig(**SIZE), "mean", Normalize()),
    "roberta": (RobertaModel, RobertaConfig(**SIZE, pad_token_id=1), "mean"),
    "xlm-roberta": (XLMRobertaModel, XLMRobertaConfig(**SIZE, pad_token_id=1), "cls"),
    "qwen3": (Qwen3Model, Qwen3Config(**QWEN3), "lasttoken"),
    "qwen3 that looks ahead": (Qwen3Model, Qwen3Config(**QWEN3, is_causal=False), "mean"),
}
LENGTHS = st.lists(st.integers(1, 70), min_size=1, max_size=12)


def model_of(kind, config, pooling, *more, dtype=torch.float32, **options) -> SentenceTransformer:
    """A model with random weights, the same each time, as if loaded from a folder."""
    torch.manual_seed(0)
    with TemporaryDirectory() as folder:
        kind(config).to(dtype).save_pretrained(folder)
        AutoTokenizer.from_pretrained(Checkpoint.find(DEFAULT_ENCODER).folder).save_pretrained(folder)
        body = Transformer(folder, model_kwargs={"dtype": dtype})
    parts = [body, Pooling(config.hidden_size, pooling_mode=pooling, **options), *more]
    return SentenceTransformer(modules=parts, device="cpu").eval()


@lru_cache
def pair(name: str) -> tuple[SentenceTransformer, PackedModel]:
    """The model as it comes, and packed."""
    assert can_pack(model_of(*BODIES[name]), "cpu")
    return model_of(*BODIES[name]), packed_model(model_of(*BODIES[name]), "cpu")


def packed_model(model: SentenceTransformer, device: str) -> PackedModel:
    parts = Parts.of(model, device)
    assert parts is not None
    return PackedModel(parts, device)


def texts_of(lengths: list[int]) -> list[np.ndarray]:
    """Token ids for texts of these lengths; none is a padding token."""
    draw = np.random.default_rng(sum(lengths))
    return [draw.integers(2, 200, length) for length in lengths]


def padded(model: SentenceTransformer, texts: list[np.ndarray]) -> np.ndarray:
    longest, pad = max(map(len, texts)), model[0].auto_model.config.pad_token_id
    ids = np.array([np.pad(t, (0, longest - len(t)), constant_values=pad) for t in texts])
    mask = np.array([np.arange(longest) < len(t) for t in texts], np.int64)
    features = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
    with torch.inference_mode():
        return model(features)["sentence_embedding"].float().numpy()


def packed(model: PackedModel, texts: list[np.ndarray], queries: bool = False) -> np.ndarray:
    with torch.inference_mode():
        return model(np.concatenate(texts), np.array([len(t) for t in texts]), queries).numpy()


@pytest.mark.parametrize("name", BODIES)
@given(lengths=LENGTHS)
@settings(max_examples=25)
def test_packed_passages_get_the_vectors_of_padded_ones(name, lengths):
    as_it_comes, ours = pair(name)
    texts = texts_of(lengths)
    assert np.abs(packed(ours, texts) - padded(as_it_comes, texts)).max() < 2e-5


def test_gelu_is_taken_in_place_where_onednn_does_not_take_it_along():
    body = model_of(*BODIES["bert"])
    packed_model(body, "cpu")
    kinds = [type(module).__name__ for module in body.modules()]
    assert kinds.count("GeluInPlace") == 2
    assert "GELUActivation" not in kinds


@given(lengths=LENGTHS)
@settings(max_examples=25)
def test_a_passage_does_not_see_its_neighbours(lengths):
    _, ours = pair("bert")
    texts = texts_of(lengths)
    alone = np.concatenate([packed(ours, [text]) for text in texts])
    assert np.abs(packed(ours, texts) - alone).max() < 2e-5


# The second is filled up to a multiple of 64 tokens, the third is one.
@pytest.mark.parametrize("lengths", [[3, 3, 40, 7], [*[41] * 30, 7, 1], [64] * 17])
def test_weights_in_onednns_order_multiply_as_before(lengths):
    kind, config, pooling = BODIES["bert"]
    as_it_comes = model_of(kind, config, pooling)
    half = model_of(kind, config, pooling, dtype=torch.bfloat16)
    ours = packed_model(half, "cpu")
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():
        kinds = [type(module).__name__ for module in half.modules()]
        assert kinds.count("ReorderedLinear") == 12
        assert not {"Linear", "GELUActivation"} & {*kinds}
    texts = texts_of(lengths)
    one, other = packed(ours, texts), padded(as_it_comes, texts)
    cosine = (one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert cosine.min() > 0.9995


def test_a_linear_layer_takes_gelu_along():
    torch.manual_seed(0)
    linear = torch.nn.Linear(24, 40)
    states = 3 * torch.randn(2, 7, 24)
    with torch.inference_mode():
        found = GeluLinear(linear)(states)
        expected = torch.nn.functional.gelu(linear(states))
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 5e-4


def test_gelu_is_taken_along_in_every_layer_and_once():
    kind, config, pooling = BODIES["bert"]
    model = model_of(kind, config, pooling)
    texts = texts_of([3, 40, 7])
    before = padded(model, texts)
    _replace(model[0].auto_model, gelu_along)
    kinds = [type(module).__name__ for module in model.modules()]
    assert kinds.count("GeluLinear") == 2
    assert np.abs(padded(model, texts) - before).max() < 2e-3


def test_models_that_need_their_padding_or_more_steps_are_left_alone():
    bert = (BertModel, BertConfig(**SIZE))
    assert can_pack(model_of(*bert, "mean", Normalize()), "cpu")
    assert not can_pack(model_of(*bert, "mean", Dense(32, 16)), "cpu")
    assert not can_pack(model_of(*bert, "max"), "cpu")
    assert not can_pack(model_of(*bert, "mean", include_prompt=False), "cpu")
    assert not can_pack(model_of(MPNetModel, MPNetConfig(**SIZE, pad_token_id=1), "mean"), "cpu")
    # A GPU's kernel for passages of different lengths takes half precision alone.
    assert not can_pack(model_of(*bert, "mean"), "cuda")


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["bert", "roberta", "qwen3"])
def test_a_gpu_gives_the_same_vectors(name):
    kind, config, pooling = BODIES[name]
    as_it_comes = model_of(kind, config, pooling)
    half = model_of(kind, config, pooling, dtype=torch.bfloat16).to("cuda")
    assert can_pack(half, "cuda")
    ours = packed_model(half, "cuda")
    for lengths in ([1, 70, 3, 3, 40, 7], [2], [70] * 40):
        texts = texts_of(lengths)
        with torch.inference_mode():
            one = ours(np.concatenate(texts), np.array(lengths)).cpu().numpy()
        other = padded(as_it_comes, texts)
        cosine = (one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
        assert cosine.min() > 0.999


def test_queries_of_any_number_of_tokens_meet_few_matrix_products(monkeypatch):
    kind, config, pooling = BODIES["bert"]
    ours, met = packed_model(model_of(kind, config, pooling, dtype=torch.bfloat16), "cpu"), set[int]()
    states = ours._states

    def watched(ids, positions, places):
        met.add(ids.shape[1])
        return states(ids, positions, places)

    monkeypatch.setattr(ours, "_states", watched)
    for count in range(1, 30):
        texts = texts_of([5] * count)
        one, other = packed(ours, texts, queries=True), packed(ours, texts)
        cosine = (one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
        assert cosine.min() > 0.9995
    if torch.ops.mkldnn._is_mkldnn_bf16_supported():
        filled = {-(-5 * count // 16) * 16 for count in range(1, 30)}
        assert met == filled | {5 * count for count in range(1, 30)}
