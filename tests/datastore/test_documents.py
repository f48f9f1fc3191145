import tempfile
from itertools import groupby
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from datastore.documents import count_documents, documents_from, find_document, rows_around
from datastore.files.layout import Layout
from datastore.schema import Passage, passage_key
from datastore.store import Datastore
from datastore.takedown import Takedown, Takedowns, take_down
from tests.vectors import make_store

# Of each document: how many passages it was cut into, which were never kept, whether it is taken down.
DOCUMENT = st.tuples(st.integers(1, 9), st.sets(st.integers(0, 8)), st.booleans())


def names(number):
    """Ids repeat in another domain."""
    return "ab"[number % 2], f"doc {number // 2}"


def sought(store, domain, doc_id):
    return find_document(store, passage_key(domain, doc_id, 0), lambda *found: found == (domain, doc_id))


@given(st.lists(DOCUMENT, min_size=1, max_size=12), st.integers(1, 6))
@settings(max_examples=40)
def test_a_document_is_found_by_its_identity_whatever_is_left_of_it(documents, per_shard):
    passages = [
        Passage(f"{number} {chunk}", *names(number), chunk, 10 * chunk)
        for number, (chunks, lost, _) in enumerate(documents)
        for chunk in range(chunks)
        if chunk not in lost
    ]
    if not passages:
        return
    with tempfile.TemporaryDirectory() as folder:
        vectors = np.ones((len(passages), 8), np.float16)
        rows = list(range(len(passages)))
        make_store(Path(folder), rows, vectors, per_shard=per_shard, of=passages.__getitem__)
        gone = {Takedown(*names(number)) for number, (*_, down) in enumerate(documents) if down}
        take_down(Layout(Path(folder)), Takedowns(frozenset(gone)))
        store = Datastore.open(folder)
        expected = {
            identity: [row for row, _ in mine]
            for identity, mine in groupby(enumerate(passages), lambda one: (one[1].domain, one[1].doc_id))
            if Takedown(*identity) not in gone
        }
        for number in range(len(documents)):
            found = sought(store, *names(number))
            assert (None if found is None else list(found)) == expected.get(names(number))
        assert count_documents(store) == len(expected)
        assert [list(one) for one in documents_from(store, 0)] == list(expected.values())
        backwards = [list(one) for one in documents_from(store, store.rows - 1, -1)]
        assert backwards == list(expected.values())[::-1]
        for mine in expected.values():
            assert all(list(rows_around(store, row)) == mine for row in mine)


def test_a_key_is_no_proof(long_store):
    """Those of two documents may collide: whoever looks for one knows its identity."""
    store = Datastore.open(long_store)
    first = store.passage(0)
    assert find_document(store, first.key, lambda *found: found == (first.domain, first.doc_id)) == (
        rows_around(store, 0)
    )
    assert find_document(store, first.key, lambda *_: False) is None


def test_for_documents_that_are_not_there_the_ids_are_read_once(monkeypatch, tmp_path):
    passages = [
        Passage(f"{number} {chunk}", *names(number), chunk, 0) for number in (1, 2) for chunk in (1, 2)
    ]
    vectors = np.ones((4, 8), np.float16)
    make_store(tmp_path, range(4), vectors, of=passages.__getitem__)
    store = Datastore.open(tmp_path)
    read, shards = [], store.shard_passages
    monkeypatch.setattr(store, "shard_passages", lambda: read.append(1) or shards())
    assert [sought(store, *names(number)) for number in (0, 1, 2, 3)] == [None, range(2), range(2, 4), None]
    assert read == [1]
