import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from retriever.encoding.attention import Places, Projections, attended

HEADS, WIDTH = 4, 8


def drawn(tokens, heads=HEADS):
    random = torch.Generator().manual_seed(tokens)
    return torch.randn(1, heads, tokens, WIDTH, generator=random)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kept", [HEADS, 2])
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6), more=st.integers(0, 5))
def test_each_passage_attends_to_itself_alone(causal, kept, lengths, more):
    tokens = sum(lengths)
    queries, keys, values = (
        drawn(tokens + more),
        drawn(tokens + more, kept) + 1,
        drawn(tokens + more, kept) - 1,
    )
    places = Places.of(np.array(lengths), "cpu")
    found = attended(Projections(queries, keys, values, WIDTH**-0.5, causal), places)
    assert found.shape == (1, tokens + more, HEADS, WIDTH)
    at = 0
    for length in lengths:
        q, k, v = (x[:, :, at : at + length] for x in (queries, keys, values))
        k, v = (x.repeat_interleave(HEADS // kept, 1) for x in (k, v))
        scores = q @ k.transpose(2, 3) * WIDTH**-0.5
        if causal:
            scores = scores.masked_fill(~torch.ones(length, length, dtype=torch.bool).tril(), -torch.inf)
        expected = (scores.softmax(-1) @ v).transpose(1, 2)
        assert torch.allclose(found[:, at : at + length], expected, atol=1e-5)
        at += length
    # What fills a batch up attends to nothing.
    assert (found[:, tokens:] == 0).all()


def test_neighbours_of_one_length_are_one_run():
    assert Places.of(np.array([3, 3, 1, 3]), "cpu").runs == ((0, 2, 3), (6, 1, 1), (7, 1, 3))
