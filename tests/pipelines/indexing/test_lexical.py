import numpy as np

from datastore.files.layout import Layout
from datastore.shard import open_array
from datastore.store import Datastore
from datastore.verify import verify
from retriever.ranking.lexical import PARTS, index_shard, total_length
from tests.conftest import build_store, tree


def test_every_shard_is_indexed_with_the_mean_length_of_all(store):
    opened = Datastore.open(store)
    texts = [passage.text for passage in opened]
    mean = total_length(texts) / len(texts)
    for number, shard in enumerate(opened.manifest.shards):
        mine = index_shard(texts[shard.first_row : shard.first_row + shard.rows], mean)
        assert len(shard.lexical) == len(PARTS)
        for part, entry in zip(PARTS, shard.lexical, strict=True):
            assert entry.path == str(Layout(store).lexical(number, part).relative_to(store))
            assert np.array_equal(open_array(store / entry.path), mine[part])


def test_words_are_checked_with_the_rest(own_store):
    path = own_store / "lexical" / "00001.weights.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert any("00001.weights.npy is corrupted" in problem for problem in verify(own_store))


def test_how_words_are_hashed_by_python_changes_no_byte(tmp_path, corpus, monkeypatch):
    """bm25s numbers tokens in the order of a set, which differs from process to process."""
    import bm25s

    plain = bm25s.tokenize
    build_store(tmp_path / "one", corpus, limit=12)

    def reversed_numbers(*args, **options):
        found = plain(*args, **options)
        last = max(found.vocab.values(), default=0)
        vocabulary = {token: last - number for token, number in reversed(found.vocab.items())}
        return type(found)(ids=[[last - n for n in one] for one in found.ids], vocab=vocabulary)

    monkeypatch.setattr("bm25s.tokenize", reversed_numbers)
    build_store(tmp_path / "other", corpus, limit=12)
    assert tree(tmp_path / "one") == tree(tmp_path / "other")
