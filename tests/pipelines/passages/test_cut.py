import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datastore.store import Datastore
from pipelines.config import BuildConfig, SourceConfig
from pipelines.passages.cut import Cutter, chunk, cuts, load_tokenizer, longest_text, pieces
from retriever.encoding.tokenizer import Tokens
from retriever.encoding.usage import DEFAULT_ENCODER
from tests.conftest import build_store
from tests.corpus import write_lines

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
texts = st.lists(words, max_size=120).map(" ".join) | st.text("ab. \n!界\x00", max_size=400)


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(DEFAULT_ENCODER)


@settings(deadline=None)
@given(text=texts, room=st.integers(8, 40))
def test_chunks_hold_every_token_and_every_word_in_order(tokenizer, text, room):
    chunks = list(chunk(text, tokenizer, room))
    (whole,) = tokenizer.tokenize([text])
    assert [i for c in chunks for i in c.ids.tolist()] == whole.ids.tolist()
    assert all(0 < len(c.ids) <= room for c in chunks)
    at = int(whole.starts[0]) if len(whole.ids) else len(text)
    for c in chunks:
        assert not text[at : c.start].strip()
        assert c.start <= c.end
        at = c.end
    if chunks:
        assert not text[at:].strip()


@settings(deadline=None)
@given(
    text=st.lists(st.sampled_from(["word", "an", "ox.", "Go!", "fish"]), min_size=1, max_size=200).map(
        " ".join
    )
)
def test_a_chunks_ids_are_those_of_its_text(tokenizer, text):
    for c in chunk(text, tokenizer, 16):
        (alone,) = tokenizer.tokenize([text[c.start : c.end]])
        assert alone.ids.tolist() == c.ids.tolist()


def test_chunks_end_at_sentences(tokenizer):
    text = "The first sentence is here. The second one follows it. A third comes at the end of it all."
    found = [text[c.start : c.end] for c in chunk(text, tokenizer, 16)]
    assert found == [
        "The first sentence is here. The second one follows it.",
        "A third comes at the end of it all.",
    ]


def test_a_word_longer_than_a_chunk_is_cut_anywhere():
    tokens = Tokens(
        np.arange(30, dtype=np.int32), np.arange(30), np.arange(1, 31), np.array([True] + [False] * 29)
    )
    assert cuts("x" * 30, tokens, 12) == [0, 12, 24, 30]


@given(st.text("ab \n", max_size=200), st.integers(1, 30))
def test_pieces_cover_a_text(text, limit):
    spans = list(pieces(text, limit))
    assert "".join(text[a:b] for a, b in spans) == text
    assert all(b - a <= limit for a, b in spans)


def test_passages_say_where_they_stand_in_their_document(tmp_path):
    text = " \n " + "The quick brown fox jumps over the lazy dog, said number {}. ".join(map(str, range(90)))
    source = write_lines(tmp_path / "a.jsonl", [{"id": "x", "text": text, "year": 1999}])
    build_store(tmp_path / "store", source, chunk_tokens=32)
    passages = list(Datastore.open(tmp_path / "store"))
    assert [p.chunk for p in passages] == list(range(len(passages)))
    assert all(text[p.start : p.start + len(p.text)] == p.text for p in passages)
    assert all(p.metadata == {"year": 1999} for p in passages)
    assert len(passages) > 20


ENDLESS = [
    "a" * 50_000,
    ("x" * 3_000 + " ") * 9,
    "an ordinary beginning. " + "y" * 30_000 + " and an end",
    "word" + " " * 40_000 + "another",
    "ก" * 9_000 + "1" * 9_000 + "-" * 9_000 + "z" * 9_000,
]


@pytest.mark.parametrize("room", [8, 32, 254])
@pytest.mark.parametrize("text", ENDLESS, ids=range(len(ENDLESS)))
def test_no_passage_is_of_endless_length_and_nothing_is_lost(tokenizer, text, room):
    chunks = list(chunk(text, tokenizer, room))
    assert all(c.end - c.start <= longest_text(room) for c in chunks)
    assert all(0 < len(c.ids) <= room for c in chunks)
    at = 0
    for c in chunks:
        assert not text[at : c.start].strip()
        at = c.end
    assert not text[at:].strip()
    # Their ids are those of their own text: of the lonely ones, which are cut by characters.
    for c in chunks:
        (alone,) = tokenizer.tokenize([text[c.start : c.end]])
        assert alone.ids.tolist() == c.ids.tolist() or len(c.ids) == room


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a" * 1_999, "b" * 2_001, "c.", "\n", "ก" * 700, " " * 2_500]), max_size=9))
def test_bounded_passages_hold_all_that_is_no_white_space(tokenizer, parts):
    text = " ".join(parts)
    chunks = list(chunk(text, tokenizer, 8))
    assert all(c.end - c.start <= 2_000 for c in chunks)
    assert "".join("".join(text[c.start : c.end].split()) for c in chunks) == "".join(text.split())


def test_an_endless_word_makes_passages_that_are_bounded(tmp_path):
    source = write_lines(tmp_path / "a.jsonl", [{"id": "x", "text": "a" * 300_000}])
    manifest = build_store(tmp_path / "s", source)
    passages = list(Datastore.open(tmp_path / "s"))
    assert "".join(p.text for p in passages) == "a" * 300_000
    assert max(len(p.text) for p in passages) == longest_text(254) == 12_700
    assert manifest.counts["unknown_tokens.a.jsonl"] == manifest.counts["tokens"] == len(passages)


def test_a_configuration_says_how_long_chunks_may_be():
    text = "The first sentence is here. The second one follows it. A third comes at the end of it all. " * 9
    for asked, most in ((8, 8), (None, None), (10_000, None)):
        config = BuildConfig(sources=(SourceConfig(path="a.jsonl"),), chunk_tokens=asked)
        cutter = Cutter.of(config)
        assert cutter.room == cutter.tokenizer.room("passage")
        expected = chunk(text, cutter.tokenizer, most or cutter.room)
        assert [(c.start, c.end) for c in cutter.chunks(text)] == [(c.start, c.end) for c in expected]
