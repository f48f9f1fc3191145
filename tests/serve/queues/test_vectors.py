"""Vectors of queries that are kept."""

import numpy as np

from serve.queues.vectors import QueryVectors


class CountingEncoder:
    """Makes a vector of a text's letters, and writes down its batches."""

    def __init__(self):
        self.batches = []

    def knows(self, queries):
        return np.array([query != "?" for query in queries])

    def encode_queries(self, queries):
        self.batches.append(list(queries))
        return np.array([[len(query), query.count("a")] for query in queries], np.float32)


def test_each_text_is_encoded_once_and_new_ones_together():
    encoder, vectors = CountingEncoder(), QueryVectors(10_000)
    first = vectors.of(encoder, ["a", "bb", "a"])
    second = vectors.of(encoder, ["bb", "?", "ca"])
    assert encoder.batches == [["a", "bb"], ["?", "ca"]]
    assert first.encode_queries(["bb", "a", "a"]).tolist() == [[2, 0], [1, 1], [1, 1]]
    assert second.encode_queries(["ca", "bb"]).tolist() == [[2, 1], [2, 0]]
    assert second.knows(["?", "bb"]).tolist() == [False, True]
    assert (vectors.kept.lookups.hits, vectors.kept.lookups.misses) == (1, 4)


def test_without_room_all_is_encoded_and_nothing_kept():
    encoder, vectors = CountingEncoder(), QueryVectors(0)
    for _ in range(2):
        assert vectors.of(encoder, ["a"]).encode_queries(["a"]).tolist() == [[1, 1]]
    assert encoder.batches == [["a"], ["a"]]
    assert vectors.kept.bytes == 0


def test_another_encoder_makes_its_own():
    one, other, vectors = CountingEncoder(), CountingEncoder(), QueryVectors(10_000)
    vectors.of(one, ["a"])
    vectors.of(other, ["a"])
    assert other.batches == [["a"]]


def test_a_vector_that_is_kept_holds_no_other():
    encoder, vectors = CountingEncoder(), QueryVectors(10_000)
    vectors.of(encoder, ["a", "bb"])
    assert vectors.kept.of(encoder).get("a").vector.base is None
