from dataclasses import replace

import numpy as np
import pytest
import torch

from retriever.index.paged.loading import codebook_of
from retriever.index.paged.part import Part
from retriever.index.paged.scan import Room
from tests.vectors import drawn_index, embeddings

pytestmark = pytest.mark.usefixtures("one_thread")


def part_of(rows, first=0, key="IVF64,PQ16"):
    """A part of these rows, encoded on the spot a few at a time."""
    part = Part(codebook_of(drawn_index(key, dimension=32)), rows, first)
    vectors = torch.from_numpy(embeddings(rows, 2, 32))
    for some in vectors.split(700):
        part.add(some)
    return part


def searched(part, lists, k, bits=None):
    queries = torch.from_numpy(embeddings(len(lists), 3, 32).astype(np.float32))
    asked = part.asked(queries, torch.from_numpy(lists), torch.zeros(lists.shape))
    return part.search(asked, k, part.room(lists), bits)


def test_rows_are_numbered_from_the_parts_first():
    part, lists = part_of(2000, first=5000), np.arange(64)[None].repeat(2, 0)
    scores, rows = searched(part, lists, 2000)
    assert sorted(rows[0].tolist()) == list(range(5000, 7000))
    assert (scores.diff(dim=1) <= 0).all()


def test_fewer_than_k_are_filled_up():
    part, lists = part_of(2000), np.array([[3, 5], [0, 1]])
    scores, rows = searched(part, lists, 1500)
    counts = part.pages.directory.count[torch.from_numpy(lists)].sum(1)
    assert scores.shape == rows.shape == (2, 1500)
    assert ((rows >= 0).sum(1) == counts).all()
    assert (scores.isinf() == (rows < 0)).all()


def test_a_search_deeper_begins_with_the_same_hits():
    part, lists = part_of(3000), np.arange(64)[None].repeat(3, 0)
    few, rows = searched(part, lists, 10)
    many, others = searched(part, lists, 400)
    assert torch.equal(few, many[:, :10])
    assert torch.equal(rows, others[:, :10])


def test_a_score_beyond_float16_is_a_hit():
    part, lists = part_of(300), np.array([[0]])
    asked = part.asked(torch.ones(1, 32), torch.from_numpy(lists), torch.zeros(lists.shape))
    asked = replace(asked, tables=torch.full_like(asked.tables, torch.inf))
    count = int(part.pages.directory.count[0])
    scores, rows = part.search(asked, count + 1, part.room(lists))
    assert (scores[0] == torch.inf).tolist() == (rows[0] >= 0).tolist() == [True] * count + [False]


def test_room_is_what_lists_hold():
    part = part_of(3000)
    held = part.pages.directory.lengths
    lists = np.array([[0, 1, 2], [3, 4, 5]])
    assert part.room(lists) == Room(int(held[lists].sum(1).max()), int(held[lists].max()))
    assert part.most_room(64) == Room(int(held.sum()), int(held.max()))
    assert part.most_room(2).width >= part.room(lists[:, :2]).width


@pytest.mark.parametrize("first", [0, 3, 8, 1001])
def test_bits_are_those_of_the_parts_rows(first):
    part, lists = part_of(900, first), np.arange(64)[None]
    kept = np.random.default_rng(1).random(first + 900 + 50) < 0.2
    bits = part.bits(np.packbits(kept, bitorder="little"))
    _, rows = searched(part, lists, 900, bits)
    found = rows[rows >= 0].tolist()
    assert sorted(found) == [row for row in np.flatnonzero(kept) if first <= row < first + 900]


def test_codes_are_taken_as_vectors_are():
    one, other = part_of(1500), Part(codebook_of(drawn_index("IVF64,PQ16", dimension=32)), 1500)
    vectors = torch.from_numpy(embeddings(1500, 2, 32))
    lists = other.codebook.assign(vectors)
    other.add_codes(lists, other.codebook.encode(vectors, lists))
    probed = np.arange(64)[None]
    for mine, its in zip(searched(one, probed, 50), searched(other, probed, 50), strict=True):
        assert torch.equal(mine, its)
