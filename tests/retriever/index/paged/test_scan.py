import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from retriever.index.paged import scan
from retriever.index.paged.pages import PAGE
from retriever.index.paged.scan import Asked, Chosen, Room, page_maxima, page_scores
from tests.retriever.index.paged.test_pages import filled

pytestmark = pytest.mark.usefixtures("one_thread")


def asked(queries, lists, seed):
    """Queries that probe those lists, with tables and bases that are drawn."""
    random = np.random.default_rng(seed)
    tables = torch.from_numpy(random.standard_normal((queries, 8, 256)).astype(np.float32))
    tables[:, 6:] = 0
    probed = torch.from_numpy(np.array([random.permutation(5)[:lists] for _ in range(queries)]))
    bases = torch.from_numpy(random.standard_normal((queries, lists)).astype(np.float32))
    return Asked(tables, probed, bases)


@given(
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=3),
    lists=st.integers(1, 5),
    at_once=st.sampled_from([PAGE, 3 * PAGE, 1 << 20]),
    masked=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_pages_maximum_is_the_best_score_of_its_rows_that_count(sizes, lists, at_once, masked, seed):
    pages, lists_of, codes = filled(sizes, seed)
    queries = asked(3, lists, seed)
    found = pages.directory
    kept = torch.from_numpy(np.random.default_rng(seed).random((pages.used, PAGE)) < 0.3)
    packed = np.packbits(kept.numpy(), axis=1, bitorder="little").view(np.int32)
    bits = torch.from_numpy(packed) if masked else None
    width = int(found.held[queries.lists].sum(1).max()) + 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "_AT_ONCE", at_once)
        best = page_maxima(pages, queries, Room(width, 9), bits)
    for query in range(3):
        expected = []
        for number, base in zip(queries.lists[query].tolist(), queries.bases[query], strict=True):
            start, count = int(found.start[number]), int(found.count[number])
            for n, page in enumerate(found.page_ids[start : start + int(found.held[number])].tolist()):
                there = min(PAGE, count - n * PAGE)
                rows = pages.rows_of(page * PAGE + torch.arange(there))
                assert (lists_of[rows] == number).all()
                score = queries.tables[query, torch.arange(6), codes[rows].long()].sum(1) + base
                score[~kept[page, :there] & torch.tensor(masked)] = -torch.inf
                expected.append(float(score.max()))
                chosen = Chosen(torch.tensor([[page]]), torch.tensor([[there]]), base.view(1, 1))
                scores = page_scores(pages, queries.tables[query : query + 1], chosen, bits)[0, 0]
                assert torch.allclose(scores[:there], score, atol=1e-5)
                assert scores[there:].isinf().all()
                assert scores.max() == best[query, len(expected) - 1]
        assert best[query, : len(expected)].tolist() == pytest.approx(expected, abs=1e-5)
        assert best[query, len(expected) :].isinf().all()
