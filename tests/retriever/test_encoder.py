import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer

from datastore.errors import RalmError
from retriever.checkpoint import DEFAULT_ENCODER, Checkpoint
from retriever.encoder import Encoder, best_dtype, length_sorted_batches, torch_threads
from tests.corpus import documents

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


@given(st.lists(st.integers(0, 300), max_size=60), st.integers(1, 1000))
def test_batches_hold_every_row_once_within_the_budget(lengths, budget):
    batches = list(length_sorted_batches(lengths, budget))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[row] for row in batch)
        assert padded <= budget or len(batch) == 1
