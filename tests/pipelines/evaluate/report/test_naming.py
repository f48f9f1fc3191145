from dataclasses import replace

from pipelines.evaluate.report.naming import differing, facets, name, names
from pipelines.evaluate.report.style import MOST_LINES
from pipelines.evaluate.tables import Cell

CELL = Cell(1.0, k=3, method="dense", reader="small", quantization="int8", conditioning="prepend")


def test_a_line_is_called_by_what_tells_it_from_the_others():
    cells = [CELL, replace(CELL, quantization="nf4"), replace(CELL, quantization="nf4", k=5)]
    assert differing(cells) == ["quantization", "k"]
    assert names(cells) == ["int8, k = 3", "nf4, k = 3", "nf4, k = 5"]
    assert names([CELL]) == ["small, k = 3"]
    assert names([Cell(1.0, k=5)]) == ["k = 5"]


def test_what_is_empty_has_words():
    cells = [CELL, replace(CELL, adapter="tuned", where="year>1900", filter="overlap", domains="books")]
    assert names(cells) == [
        "not tuned, all domains, no condition, no filter",
        "with tuned, of books, where year>1900, overlap",
    ]


def test_the_lm_alone_has_no_passages_to_name():
    alone = Cell(0.0, reader="small", quantization="int8", conditioning="none")
    assert name(alone, ["reader", "conditioning", "k", "fraction"]) == "small, LM alone"


def test_more_lines_than_a_chart_holds_become_several_charts():
    cells = [
        replace(CELL, reader=reader, quantization=quantization, k=k)
        for reader in ("a", "b")
        for quantization in ("int8", "nf4")
        for k in (1, 3, 5)
    ]
    found = facets(cells)
    assert [shared for shared, _ in found] == ["a", "b"]
    assert [cell for _, some in found for cell in some] == cells
    assert max(len(some) for _, some in found) <= MOST_LINES
    assert facets(cells[:3]) == [("", cells[:3])]


def test_the_whole_store_is_called_so():
    cells = [Cell(one, reader="r", k=1) for one in (0.0, 0.1, 1.0)]
    assert [name(cell, ["fraction"]) for cell in cells] == ["LM alone", "0.1 of the store", "the whole store"]
