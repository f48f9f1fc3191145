import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from retriever.index.paged import bits
from retriever.index.paged.bits import by_slot


@given(pages=st.integers(0, 9), shift=st.integers(0, 7), at_once=st.integers(1, 4), seed=st.integers(0, 99))
def test_a_slot_has_the_bit_of_its_row(pages, shift, at_once, seed):
    random = np.random.default_rng(seed)
    kept = random.random(500) < 0.3
    ids = random.integers(0, 500 - shift, (pages, 128))
    packed = torch.from_numpy(np.packbits(kept, bitorder="little"))
    bits._AT_ONCE, before = at_once, bits._AT_ONCE
    try:
        found = by_slot(torch.from_numpy(ids.astype(np.int32)), packed, shift)
    finally:
        bits._AT_ONCE = before
    assert found.shape == (pages, 4)
    slots = np.unpackbits(found.numpy().view(np.uint8), axis=1, bitorder="little").astype(bool)
    assert (slots == kept[ids + shift]).all()
