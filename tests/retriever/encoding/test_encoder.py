import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, PreTrainedTokenizerFast

from base.errors import RalmError
from retriever.encoding.checkpoint import Checkpoint
from retriever.encoding.encoder import Encoder, best_dtype, length_sorted_batches
from retriever.encoding.text_encoder import as_float16
from retriever.encoding.threads import torch_threads
from retriever.encoding.usage import AS_STATED, DEFAULT_ENCODER, Usage
from tests.corpus import documents
from tests.encoders import QWEN_PROMPT, bert, modern_bert, qwen3, with_modules, xlm_roberta

TEXTS = [d["text"] for d in documents()]


@pytest.fixture(scope="module")
def encoder():
    return Encoder(Checkpoint.find(DEFAULT_ENCODER), "float32")


@pytest.fixture(scope="module")
def peer(encoder):
    return SentenceTransformer(str(encoder.checkpoint.folder), device="cpu")


def test_queries_are_encoded_as_sentence_transformers_does(encoder, peer):
    ours, theirs = encoder.encode_queries(TEXTS), peer.encode_query(TEXTS)
    assert np.abs(ours - theirs).max() < 1e-5


def test_passages_are_encoded_from_their_ids_as_from_their_text(encoder, peer):
    ids = [tokens.ids for tokens in encoder.tokenizer.tokenize(TEXTS)]
    ours = encoder.encode_passages(ids)
    assert ours.dtype == np.float16
    assert np.abs(ours.astype(np.float32) - peer.encode_document(TEXTS)).max() < 1e-3


def test_the_fast_precision_ranks_like_float32(encoder):
    fast = Encoder(encoder.checkpoint, best_dtype())
    exact = encoder.encode_queries(TEXTS)
    cosine = (fast.encode_queries(TEXTS) * exact).sum(axis=1)
    assert cosine.min() > 0.999


def test_the_same_input_gives_the_same_bytes(encoder):
    with torch_threads(1):
        one, other = encoder.encode_queries(TEXTS), encoder.encode_queries(TEXTS)
    assert one.tobytes() == other.tobytes()


def test_other_weights_than_the_stores_are_refused(encoder):
    card = encoder.card().model_copy(update={"weights_sha256": "0" * 64})
    with pytest.raises(RalmError, match="weights differ"):
        Encoder.open(card)


# Of very different lengths, so that a batch of them is padded a lot.
MIXED = ["bells", *TEXTS[:3], "old library of Arvenholm", " ".join(TEXTS[3:5])]
QUESTIONS = ["what is blue glass", "who", "which towns of Tessaly lie beside a river, and since when?"]
E5, BGE = Usage("query: ", "passage: "), Usage("Represent this sentence: ")
MEAN, CLS = Usage(pooling="mean", similarity="dot"), Usage(pooling="cls", similarity="dot")


def by_transformers(folder, texts, pooling, normalize):
    """Vectors as the families' own pages compute them, with nothing but transformers."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.padding_side = "left" if pooling == "last" else "right"
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    mask = batch["attention_mask"]
    with torch.inference_mode():
        tokens = AutoModel.from_pretrained(folder, dtype=torch.float32)(
            input_ids=batch["input_ids"], attention_mask=mask
        ).last_hidden_state
    if pooling == "mean":
        vectors = tokens.masked_fill(mask[..., None] == 0, 0.0).sum(1) / mask.sum(1, keepdim=True)
    else:
        vectors = tokens[:, 0 if pooling == "cls" else -1]
    return (torch.nn.functional.normalize(vectors, dim=1) if normalize else vectors).numpy()


@pytest.fixture(scope="module")
def families(tmp_path_factory):
    """Folder, usage that is given, prompts, pooling and normalization of each family."""
    root = tmp_path_factory.mktemp("families")
    mean = with_modules(bert(root / "mean", 1), "mean")
    cls = with_modules(bert(root / "cls", 2), "cls")
    stated = with_modules(
        bert(root / "stated", 3), "mean", prompts={"query": "query: ", "passage": "passage: "}
    )
    plain = bert(root / "plain", 4, scale=5)
    qwen = qwen3(root / "qwen")
    return {
        "E5": (mean, E5, "query: ", "passage: ", "mean", True),
        "E5 with prompts in its configuration": (stated, AS_STATED, "query: ", "passage: ", "mean", True),
        "multilingual E5": (xlm_roberta(root / "xlm"), E5, "query: ", "passage: ", "mean", True),
        "BGE": (cls, BGE, "Represent this sentence: ", "", "cls", True),
        "GTE": (mean, AS_STATED, "", "", "mean", True),
        "GTE of ModernBERT": (modern_bert(root / "modern"), AS_STATED, "", "", "cls", True),
        "Contriever": (plain, MEAN, "", "", "mean", False),
        "DRAGON": (plain, CLS, "", "", "cls", False),
        "Qwen3": (qwen, AS_STATED, QWEN_PROMPT, "", "last", True),
    }


FAMILIES = [
    "E5",
    "E5 with prompts in its configuration",
    "multilingual E5",
    "BGE",
    "GTE",
    "GTE of ModernBERT",
    "Contriever",
    "DRAGON",
    "Qwen3",
]


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_is_embedded_as_its_page_says(families, family):
    folder, usage, query_prompt, passage_prompt, pooling, normalize = families[family]
    mine = Encoder(Checkpoint.find(str(folder), usage), "float32")
    ids = [tokens.ids for tokens in mine.tokenizer.tokenize(MIXED)]
    passages = by_transformers(folder, [passage_prompt + text for text in MIXED], pooling, normalize)
    scale = np.abs(passages).max()
    assert np.abs(mine.encode_passages(ids) - passages).max() < 1e-3 * scale
    queries = by_transformers(folder, [query_prompt + text for text in QUESTIONS], pooling, normalize)
    assert np.abs(mine.encode_queries(QUESTIONS) - queries).max() < 1e-5 * scale
    assert (np.abs(np.linalg.norm(queries, axis=1) - 1).max() < 1e-5) == normalize


def test_a_piece_of_prompt_and_query_together_is_one(families):
    """A byte-level tokenizer joins ":" and "wh"; apart they would be other pieces and another vector."""
    tokenizer = Encoder(Checkpoint.find(str(families["Qwen3"][0])), "float32").tokenizer
    (joined,) = tokenizer.query_ids(["what"])
    alone = [tokens.ids for tokens in tokenizer.tokenize([QWEN_PROMPT, "what"])]
    assert joined.tolist() != np.concatenate(alone).tolist()


def test_an_encoder_that_needs_its_own_code_is_refused(tmp_path):
    folder = bert(tmp_path / "gte")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "new", "auto_map": {"AutoConfig": "configuration.NewConfig"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(RalmError, match=r"gte cannot be loaded: .*runs no code that a checkpoint"):
        Encoder(Checkpoint.find(str(folder)), "float32")


def test_vectors_that_float16_does_not_hold_are_refused(tmp_path):
    assert as_float16(np.array([[65_504.0, -1.0]], np.float32), "x").tolist() == [[65_504.0, -1.0]]
    huge = Encoder(Checkpoint.find(str(bert(tmp_path / "huge", scale=1e6)), CLS), "float32")
    ids = [tokens.ids for tokens in huge.tokenizer.tokenize(MIXED)]
    with pytest.raises(RalmError, match=r"huge gives vectors .* float16 does not hold .*similarity: cosine"):
        huge.encode_passages(ids)
    cosine = Encoder(Checkpoint.find(huge.checkpoint.name, Usage(pooling="cls")), "float32")
    assert np.isfinite(cosine.encode_passages(ids)).all()


def test_operations_are_counted_without_embeddings_and_pooler(tmp_path, encoder):
    from pipelines.plan.encoder import MINILM

    assert encoder.flops(np.array([158])) == pytest.approx(160 * MINILM.flops(160), rel=1e-3)
    decoder = Encoder(Checkpoint.find(str(qwen3(tmp_path / "qwen"))), "float32")
    # Of a layer: queries and output 32 x 64, keys and values 32 x 32, three matrices 32 x 64 and the norms.
    layer = 2 * 32 * 64 + 2 * 32 * 32 + 3 * 32 * 64 + 2 * 16 + 2 * 32
    weights = 2 * layer + 32
    assert decoder.flops(np.array([9])) == 2 * weights * 10 + 4 * 2 * 64 * 100


@given(st.lists(st.integers(0, 300), max_size=60), st.integers(1, 1000))
def test_batches_hold_every_row_once_within_the_budget(lengths, budget):
    batches = list(length_sorted_batches(lengths, budget))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[row] for row in batch)
        assert padded <= budget or len(batch) == 1
