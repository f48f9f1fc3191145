import json
from types import SimpleNamespace

import numpy as np
import pytest

from datastore.schema import Passage
from datastore.view import Condition, View
from lm.reader import Completion
from pipelines.show.answers import answer, hits, loading, serving, shortfall
from retriever.index import Setting
from retriever.loading import in_memory
from retriever.ranking import DENSE, Hit, Method, Ranking
from retriever.search import Retriever
from serve.answerer import Answer, Citation
from tests.given import GivenVectors, make_store, random_vectors

READER = SimpleNamespace(name="small", quantization="int8", bytes=135_000_000)


def hit(row, text="Blue glass.", store=""):
    return Hit(row, 0.5, Passage(text, "travel", f"[{row}]", 0, 0), 1, store)


def answered(*cited):
    citations = tuple(Citation(n, c, hit(n)) for n, c in enumerate(cited, 1))
    return Answer("By lot.", citations, Completion("By lot.", 90, 4, True), {"search": 0.1, "read": 2.0})


def test_a_hit_is_shown_with_its_row_and_a_long_passage_to_a_whole_word(capsys):
    ranking = Ranking((hit(7, "word " * 200), hit(8, store="other")), exhausted=True)
    hits("glass", ranking, "hash", Setting(1, 0), {}, ["Only 2: no more."], (), as_json=False)
    out = capsys.readouterr().out
    assert out.startswith("Only 2: no more.")
    assert "[1] 0.500  travel  [7]  chunk 0, row 7" in out
    assert "word …" in out
    assert "[2] 0.500  travel  [8]  chunk 0, other, row 8" in out


def test_hits_as_json_say_how_they_were_found(capsys):
    ranking, seconds = Ranking((hit(7),), False), {"search": 0.1}
    hits("glass", ranking, "hash", Setting(4, 50), seconds, ["said to people"], ("forum",), as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["left_out"] == ["forum"]
    assert found["setting"] == {"nprobe": 4, "depth": 50}
    assert [one["row"] for one in found["hits"]] == [7]
    assert (found["manifest"], found["exhausted"], found["seconds"]) == ("hash", False, {"search": 0.1})


@pytest.fixture
def retriever(tmp_path):
    store = make_store(tmp_path, np.arange(100), random_vectors(0, 100), "IVF4,PQ4x4")
    return Retriever(store, GivenVectors(random_vectors(1, 1)), in_memory(tmp_path, store.manifest))


@pytest.mark.parametrize(
    ("found", "view", "nprobe", "method", "filtered", "said"),
    [
        (2, View(), 4, DENSE, False, "Only 2: there are no more."),
        (2, View(), 4, DENSE, True, "Only 2: there are no more that the filters keep."),
        (2, View(0.5), 4, DENSE, False, "Only 2: there are no more in this view."),
        (
            2,
            View(0.5),
            1,
            DENSE,
            False,
            "Only 2: there are no more in this view in the 1 list probed (--nprobe 4 ",
        ),
        (2, View(), 1, Method("bm25"), False, "Only 2: no other passage holds a word of the query."),
        (0, View(where=(Condition("year", ">=", "x"),)), 4, DENSE, False, "view; year is 2001, for example."),
    ],
)
def test_a_shortfall_has_a_reason(retriever, found, view, nprobe, method, filtered, said):
    ranking = Ranking(tuple(map(hit, range(found))), exhausted=True)
    assert said in shortfall(retriever, ranking, view, nprobe, method, filtered)


def test_an_answer_shows_what_it_cites_else_what_it_should_have(capsys):
    answer("How?", answered(False, True, False), READER, as_json=False)
    out = capsys.readouterr().out
    assert "row 2" in out
    assert "row 1" not in out
    assert "Read, not cited: 1, 3 " in out
    assert "small, int8, 135.0 MB; search 0.10s, reading 2.00s" in out
    answer("How?", answered(False, False), READER, as_json=False)
    out = capsys.readouterr().out
    assert "row 1" in out
    assert "row 2" not in out


def test_an_answer_as_json_names_all_that_was_read(capsys):
    answer("How?", answered(False, True), READER, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert [one["cited"] for one in found["citations"]] == [False, True]
    assert found["tokens"] == {"prompt": 90, "answer": 4}
    assert found["reader"] == {"name": "small", "quantization": "int8", "bytes": 135_000_000}


def test_loading_is_said_beside_the_output_and_serving_in_it(capsys):
    loading("[x]")
    serving("127.0.0.1", 8000)
    out, err = capsys.readouterr()
    assert err.startswith("Loading [x] ")
    assert out == "ralm answers at http://127.0.0.1:8000 (its API: http://127.0.0.1:8000/docs)\n"
