import numpy as np
import orjson

from datastore.files.layout import Layout
from datastore.schema import identity_hash
from pipelines.corpus.ingestion import Held
from pipelines.duplicates.signed import Signed, documents_of, first_of, places_of


def written(root, sets, identities, split=0, dropped=()):
    """A split of documents with these n-grams and identities; of some it is known what stays for them."""
    signed = Signed(Layout(root))
    keys = np.array([(7 + row, row) for row in range(len(sets))][::-1], np.uint64).reshape(-1, 2)
    sets = [np.array(one, np.uint32) for one in sets]
    signed.write(split, keys, sets, np.array(identities, np.uint64).reshape(-1, 2))
    pairs = np.array(dropped, np.int64).reshape(-1, 2)
    signed.write_kept(*(documents_of(split, column) for column in pairs.T))
    return tuple(sorted((root / "near").iterdir()))


def test_documents_are_numbered_in_corpus_order_those_of_the_store_first():
    rows = np.array([0, 5], np.int64)
    numbers = [documents_of(split, rows) for split in (-2, -1, 0, 1)]
    assert (np.diff(np.concatenate(numbers)) > 0).all()
    for split, documents in zip((-2, -1, 0, 1), numbers, strict=True):
        splits, found = places_of(documents)
        assert splits.tolist() == [split, split]
        assert found.tolist() == [0, 5]
        assert documents[0] == first_of(split)


def test_what_is_written_is_read_from_the_job_and_from_the_store(tmp_path):
    sets, identities = [[3, 4], [], [9]], [(1, 2), (3, 4), (5, 6)]
    files = written(tmp_path / "before", sets, identities)
    written(tmp_path / "now", [[8]], [(7, 7)])
    signed = Signed(Layout(tmp_path / "now"), Held(near=files))
    assert list(signed.splits_before) == [-1]
    before = documents_of(-1, np.arange(3))
    assert [signed.grams(document).tolist() for document in before.tolist()] == sets
    assert signed.grams(0).tolist() == [8]
    assert signed.keys(-1).tolist() == [[7, 0], [8, 1], [9, 2]]
    both = np.concatenate([before, documents_of(0, np.zeros(1, np.int64))])
    assert signed.identities(both).tolist() == [[1, 2], [3, 4], [5, 6], [7, 7]]


def test_what_stays_for_a_document_is_known_by_its_whole_identity(tmp_path):
    """Identities whose first halves are the same are told apart."""
    identities = [(1, 1), (9, 1), (9, 2), (9, 3), (9, 4)]
    files = written(tmp_path / "s", [[1]] * 5, identities, dropped=[(1, 0), (3, 2)])
    signed = Signed(Layout(tmp_path / "now"), Held(near=files))
    assert signed.roots(documents_of(-1, np.arange(5))).tolist() == [[1, 1], [1, 1], [9, 2], [9, 2], [9, 4]]
    assert signed.roots(np.empty(0, np.int64)).shape == (0, 2)


def test_what_stayed_for_a_document_takes_it_along_when_it_is_taken_down(tmp_path):
    names = [("d", str(n)) for n in range(4)]
    identities = [identity_hash(*name) for name in names]
    files = written(tmp_path / "s", [[1]] * 4, identities, dropped=[(1, 0), (3, 2)])
    gone = tmp_path / "gone.jsonl"
    gone.write_bytes(orjson.dumps({"domain": "d", "id": "0"}) + b"\n")
    before = documents_of(-1, np.array([3, 1, 0, 1, 2]))
    asked = np.concatenate([before, documents_of(0, np.arange(2))])
    signed = Signed(Layout(tmp_path / "now"), Held(near=files, takedowns=(gone,)))
    assert signed.gone(asked).tolist() == [False, True, True, True, False, False, False]
    assert not Signed(Layout(tmp_path / "now"), Held(near=files)).gone(asked).any()
