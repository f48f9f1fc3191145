from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from lm.conditioning import Chunk, Source
from lm.conditioning.neighbours import widened
from lm.conditioning.packing import fill
from tests.lm.conditioning.texts import count

SIZES = (3, 7)


def chunks(document: int) -> list[Chunk]:
    """A document of chunks that are told apart, a blank between each two."""
    found, at = [], 0
    for number in range(SIZES[document]):
        text = f"d{document}c{number} it is."
        found.append(Chunk(number, at, text))
        at += len(text) + 1
    return found


def source(document: int, number: int, reach: int) -> Source:
    all_of_it = chunks(document)
    around = tuple(all_of_it[max(0, number - reach) : number + reach + 1])
    return Source("T", all_of_it[number].text, 0.0, (str(document),), number, around)


places = st.lists(
    st.integers(0, 1).flatmap(lambda d: st.tuples(st.just(d), st.integers(0, SIZES[d] - 1))),
    min_size=1,
    max_size=5,
    unique=True,
)


@given(places, st.integers(1, 3), st.integers(0, 80))
def test_passages_are_all_kept_widened_within_the_budget_and_no_word_stands_twice(found, reach, budget):
    sources = [source(document, number, reach) for document, number in found]
    blocks = fill(sources, count, budget)
    blocks = [block for block in blocks if block.whole]
    wider = widened(blocks, sources, count, budget)
    assert sum(count(block.written) for block in wider) <= budget
    read = " ".join(block.text for block in wider).split()
    marks = [word for word in read if word.startswith("d")]
    assert len(marks) == len(set(marks))
    assert {sources[block.rank].text.split()[0] for block in blocks} <= set(marks)
    assert [block.number for block in wider] == list(range(1, len(wider) + 1))
    assert [block.rank for block in wider] == sorted(block.rank for block in wider)
    allowed = {f"d{d}c{n}" for d, m in found for n in range(m - reach, m + reach + 1)}
    assert set(marks) <= allowed
    for block in wider:
        whole = " ".join(one.text for one in chunks(int(sources[block.rank].document[0])))
        assert block.text in whole


def test_the_nearest_come_first_and_those_of_the_best_passage():
    sources = [source(1, 3, 2), source(0, 0, 2)]
    blocks = fill(sources, count, 100)
    # A block of one chunk is of 5 words, each chunk more of 3.
    assert [one.text.split()[::3] for one in widened(blocks, sources, count, 13)] == [
        ["d1c2", "d1c3"],
        ["d0c0"],
    ]
    texts = [one.text.split()[::3] for one in widened(blocks, sources, count, 20)]
    assert texts == [["d1c2", "d1c3", "d1c4"], ["d0c0", "d0c1"]]


def test_stretches_that_meet_are_one_under_the_better_ones_number():
    sources = [source(0, 2, 1), source(1, 5, 1), source(1, 3, 1)]
    wider = widened(fill(sources, count, 100), sources, count, 100)
    assert [(one.number, one.rank, one.text.split()[::3]) for one in wider] == [
        (1, 0, ["d0c1", "d0c2"]),
        (2, 1, ["d1c2", "d1c3", "d1c4", "d1c5", "d1c6"]),
    ]


def test_a_passage_without_a_document_stays_as_it_is():
    sources = [Source("", "One it is."), Source("", "Two it is.")]
    blocks = fill(sources, count, 100)
    assert widened(blocks, sources, count, 100) == blocks


def test_chunks_are_joined_as_they_lay():
    one, two, three = Chunk(0, 0, "abc"), Chunk(1, 3, "def"), Chunk(2, 5, "fghi")
    lain = Source("", "def", 0.0, ("d",), 1, (one, two, replace(three, start=7)))
    (block,) = widened(fill([lain], count, 100), [lain], count, 100)
    assert block.text == "abcdef fghi"
    overlapping = replace(lain, around=(one, two, three))
    (block,) = widened(fill([overlapping], count, 100), [overlapping], count, 100)
    assert block.text == "abcdefghi"
