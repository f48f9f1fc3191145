import json
from dataclasses import replace
from types import SimpleNamespace

from rich.console import Console

from datastore.schema import Passage
from lm.reader import Completion
from lm.support import Support
from pipelines.show.answers import answer, hits, loading, serving
from retriever.results import Hit
from serve.answering.answers import Answer, Citation
from serve.schemas.hits import HitModel

READER = SimpleNamespace(name="small", quantization="int8", adapter="tuned", measured_bytes=135_000_000)


def hit(row, text="Blue glass.", store=""):
    return Hit(row, 0.5, Passage(text, "travel", f"[{row}]", 0, 0), 1, store)


def shown(*args, **kwargs):
    return HitModel.of(hit(*args, **kwargs))


def answered(*cited):
    citations = tuple(Citation(n, c, hit(n)) for n, c in enumerate(cited, 1))
    return Answer(
        "By lot.",
        citations,
        Completion("By lot.", 90, 4, True),
        {"queue": 0.0, "encode": 0.1, "prefill": 1.5, "decode": 0.5},
    )


def test_a_hit_is_shown_with_its_row_and_a_long_passage_to_a_whole_word(capsys):
    hits([shown(7, "word " * 200), shown(8, store="other")], ["a note", "Only 2: no more."])
    out = capsys.readouterr().out
    assert out.startswith("a note\nOnly 2: no more.\n[1] 0.500  travel  [7]\n")
    assert " chunk 0, row 7 " in out
    assert "word …" in out
    assert "[2] 0.500  travel  [8]\n" in out
    assert " chunk 0, other, row 8 " in out


def test_a_hit_is_shown_with_title_and_metadata_on_a_line(capsys, monkeypatch):
    metadata = {
        "url": "https://example.org/" + "x" * 80,
        "title": "The [old] bridge",
        "year": 1787,
        "note": None,
    }
    passage = Passage("Blue glass.", "travel", "7", 0, 0, metadata)
    hits([HitModel.of(Hit(7, 0.5, passage, 1))], [])
    _, about, *_ = capsys.readouterr().out.splitlines()
    assert about.strip() == f"The [old] bridge  url=https://example.org/{'x' * 19}…  year=1787"
    monkeypatch.setattr("pipelines.show.answers.console", Console(width=40, highlight=False))
    hits([HitModel.of(Hit(7, 0.5, passage, 1))], [])
    _, about, *_ = capsys.readouterr().out.splitlines()
    assert len(about) <= 40
    assert about.endswith("…")


def test_an_answer_shows_how_far_a_passage_supports_it(capsys, monkeypatch):
    found = answered(True, False)
    first, second = found.citations
    first = replace(first, support=(Support("By [lot].", 0.75, 2.34), Support("Yearly " * 20, 1.0, None)))
    found = replace(found, citations=(first, second), seconds={**found.seconds, "support": 1.25})
    answer("How?", found, READER, as_json=False)
    out = capsys.readouterr().out
    assert "“By [lot].”: 75% of its words, +2.3 bits a token by reading it\n" in out
    assert "…”: 100% of its words\n" in out
    assert "measuring support 1.25s" in out
    monkeypatch.setattr("pipelines.show.answers.console", Console(width=40, highlight=False))
    answer("How?", found, READER, as_json=False)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert "    bits a token by reading it" in lines
    answer("How?", found, READER, as_json=True)
    one, other = json.loads(capsys.readouterr().out)["citations"]
    assert one["support"][0] == {"sentence": "By [lot].", "words": 0.75, "gain": 2.34}
    assert one["support"][1]["gain"] is None
    assert other["support"] is None


def test_an_answer_shows_what_it_cites_else_what_it_should_have(capsys):
    answer("How?", answered(False, True, False), READER, as_json=False)
    out = capsys.readouterr().out
    assert "row 2" in out
    assert "row 1" not in out
    assert "Read, not cited: 1, 3 " in out
    assert "small, int8, 135.0 MB, adapter tuned; search 0.10s, reading 2.00s" in out
    answer("How?", answered(False, False), READER, as_json=False)
    out = capsys.readouterr().out
    assert "row 1" in out
    assert "row 2" not in out
    assert "Nothing is cited: no passage holds most of a sentence's words." in out
    assert "Read too: 2 " in out  # What is shown is not said to be hidden.
    answer("How?", answered(True, True), READER, as_json=False)
    out = capsys.readouterr().out
    assert "Read" not in out
    assert "Nothing is cited" not in out
    answer("How?", answered(), READER, as_json=False)
    assert "Nothing is cited" not in capsys.readouterr().out


def test_an_answer_that_is_cut_or_is_none_says_so(capsys):
    found = answered(False)
    cut = replace(found, completion=Completion("By lot.", 90, 96, False))
    answer("How?", cut, READER, as_json=False)
    assert "The answer is cut: it has 96 tokens, the most it may take." in capsys.readouterr().out
    answer("How?", replace(found, text="I do not know."), READER, as_json=False)
    out = capsys.readouterr().out
    assert "The passages do not tell the reader. The nearest passage that was read:" in out
    assert "is cut" not in out
    assert "most of a sentence's words" not in out


def test_a_long_question_is_cut_with_a_sign_and_an_adapter_is_named(capsys):
    answer("How come? " * 100, answered(True), replace_adapter("my-adapter"), as_json=False)
    out = capsys.readouterr().out
    assert "…" in out.splitlines()[0]
    assert "small, int8, 135.0 MB, adapter my-adapter; search" in out


def replace_adapter(name):
    return SimpleNamespace(**(vars(READER) | {"adapter": name}))


def test_neither_an_answer_nor_a_passage_moves_the_cursor(capsys):
    one = Citation(1, True, hit(1, "Blue \x1b[2J glass."))
    found = replace(answered(), text="By \x1b[1A lot.", citations=(one,))
    answer("How \x9b?", found, READER, as_json=False)
    out = capsys.readouterr().out
    assert "By \ufffd[1A lot." in out
    assert "Blue \ufffd[2J glass." in out
    assert not {"\x1b", "\x9b"} & set(out)


def test_an_answer_as_json_names_all_that_was_read(capsys):
    answer("How?", answered(False, True), READER, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert [one["cited"] for one in found["citations"]] == [False, True]
    assert found["tokens"] == {"prompt": 90, "answer": 4}
    assert found["reader"] == {
        "name": "small",
        "quantization": "int8",
        "adapter": "tuned",
        "bytes": 135_000_000,
    }


def test_loading_is_said_beside_the_output_and_serving_in_it(capsys):
    loading("[x]")
    serving("127.0.0.1", 8000)
    out, err = capsys.readouterr()
    assert err == "Loading [x] ...\n"
    assert out == "ralm answers at http://127.0.0.1:8000 (its API: http://127.0.0.1:8000/docs)\n"


def test_a_conversion_is_said_where_there_is_one(capsys, monkeypatch):
    monkeypatch.setattr("pipelines.show.answers.to_convert", lambda name: name == "new")
    loading("new")
    assert capsys.readouterr().err == "Loading new (it is converted first, once: up to a minute) ...\n"
