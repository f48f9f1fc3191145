from random import Random

import torch
from hypothesis import given
from hypothesis import strategies as st

from lm.tuning.packing import IGNORED, Text, batches, rows

texts = st.lists(
    st.integers(2, 40).flatmap(
        lambda n: st.tuples(st.lists(st.integers(1, 9), min_size=n, max_size=n), st.integers(1, n - 1))
    ),
    max_size=40,
).map(lambda found: [Text(tuple(ids), answer) for ids, answer in found])


@given(texts, st.integers(0, 3))
def test_every_text_that_fits_is_in_one_row_once(found, seed):
    packed = rows(found, 32, Random(seed))
    assert all(sum(len(text.ids) for text in row) <= 32 for row in packed)
    inside = sorted(text.ids for row in packed for text in row)
    assert inside == sorted(text.ids for text in found if len(text.ids) <= 32)


@given(texts)
def test_answers_alone_are_learnt_each_from_the_token_before_it(found):
    packed = rows(found, 40, Random(0))
    learnt = []
    for batch in batches(packed, 3, 40, 0):
        assert batch.ids.shape == batch.positions.shape == batch.labels.shape
        for ids, labels in zip(batch.ids.tolist(), batch.labels.tolist(), strict=True):
            for at, label in enumerate(labels):
                if label != IGNORED:
                    assert ids[at + 1] == label
                    learnt.append(label)
    assert sorted(learnt) == sorted(one for text in found for one in text.ids[text.answer :])


def test_positions_begin_anew_with_each_text():
    packed = [[Text((1, 2, 3), 1), Text((4, 5), 1)]]
    (batch,) = batches(packed, 1, 8, 0)
    assert batch.positions.tolist() == [[0, 1, 2, 0, 1, 0, 1, 2]]
    assert batch.learnt == 3


def test_a_seed_gives_the_same_rows():
    found = [Text(tuple(range(1, n)), 1) for n in range(3, 30)]
    assert rows(found, 32, Random("a")) == rows(found, 32, Random("a"))
    assert rows(found, 32, Random("a")) != rows(found, 32, Random("b"))
    assert isinstance(next(batches(rows(found, 32, Random(0)), 2, 32, 0)).ids, torch.Tensor)
