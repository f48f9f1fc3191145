import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from retriever.index.paged.pages import PAGE, Pages

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = torch.device("cpu")


def filled(sizes, seed, nlist=5, code_bytes=6):
    """Pages with batches of such sizes; the list and the code of each row."""
    random = np.random.default_rng(seed)
    rows = sum(sizes)
    lists = torch.from_numpy(np.minimum(random.geometric(0.5, rows) - 1, nlist - 1))
    codes = torch.from_numpy(random.integers(0, 256, (rows, code_bytes), np.uint8))
    pages, at = Pages(nlist, -(-code_bytes // 4), rows, CPU), 0
    for size in sizes:
        part = slice(at, at + size)
        pages.write(pages.place(lists[part]), codes[part], torch.arange(at, at + size))
        at += size
    return pages, lists, codes


@given(sizes=st.lists(st.integers(1, 300), min_size=1, max_size=5), seed=st.integers(0, 99))
def test_every_code_lies_in_a_page_of_its_list_with_its_id(sizes, seed):
    pages, lists, codes = filled(sizes, seed)
    found, seen = pages.directory, []
    assert found.count.tolist() == torch.bincount(lists, minlength=5).tolist()
    assert found.lengths.tolist() == found.held.tolist() == (-(-found.count // PAGE)).tolist()
    assert sorted(found.page_ids.tolist()) == list(range(pages.used))
    for number in range(5):
        count, start = int(found.count[number]), int(found.start[number])
        its = found.page_ids[start : start + int(found.held[number])].long()
        slots = (its[:, None] * PAGE + torch.arange(PAGE)).flatten()[:count]
        ids = pages.rows_of(slots)
        assert (lists[ids] == number).all()
        held = np.ascontiguousarray(pages.codes[its].transpose(1, 2)).view(np.uint8).reshape(-1, 8)[:count]
        assert (held[:, :6] == codes[ids].numpy()).all()
        assert not held[:, 6:].any()
        seen += ids.tolist()
    assert sorted(seen) == list(range(sum(sizes)))


def test_ids_of_32_bits_have_no_sign():
    pages = Pages(1, 1, 2, CPU)
    where = pages.place(torch.zeros(2, dtype=torch.int64))
    pages.write(where, torch.zeros((2, 4), dtype=torch.uint8), torch.tensor([7, (1 << 32) - 1]))
    assert pages.rows_of(where.slots).tolist() == [7, (1 << 32) - 1]


def test_more_than_there_is_room_for_is_refused():
    pages = Pages(2, 1, 10, CPU)
    with pytest.raises(MemoryError, match="4 pages are needed and 3 are there"):
        pages.place(torch.arange(2).repeat(200))


def test_bytes_are_those_of_codes_and_ids_and_hardly_more():
    pages = Pages(4, 16, 100_000, CPU)
    assert 68 <= pages.bytes / 100_000 < 69
