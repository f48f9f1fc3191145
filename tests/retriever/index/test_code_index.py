import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retriever.index.code_index import Assigned


@given(count=st.integers(1, 9), begin=st.integers(0, 9), picked=st.data())
def test_some_of_the_queries_keep_their_own_lists(count, begin, picked):
    vectors, lists = np.arange(count, dtype=np.float32)[:, None], np.arange(2 * count).reshape(-1, 2)
    queries = Assigned(vectors, 2, -lists.astype(np.float32), lists)
    rows = np.array(picked.draw(st.lists(st.integers(0, count - 1), min_size=1)))
    for some, expected in ((queries[rows], rows), (queries[begin:], np.arange(begin, count))):
        assert len(some) == len(expected)
        assert some.nprobe == 2
        assert some.vectors[:, 0].tolist() == expected.tolist()
        assert (some.lists == lists[expected]).all()
        assert (some.distances == -lists[expected]).all()


def test_queries_of_an_index_without_lists_have_none():
    some = Assigned(np.zeros((3, 4), np.float32), 7, None, None)[1:]
    assert (len(some), some.nprobe, some.lists, some.distances) == (2, 7, None, None)
