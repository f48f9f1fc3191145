"""Hashed words against the plain definition of `retriever.words`."""

from hypothesis import given
from hypothesis import strategies as st

from pipelines.contamination import word_hashes as module
from pipelines.contamination.word_hashes import word_hashes
from retriever.words import words


@given(st.text(max_size=60) | st.text("Σσς aA_9'-.,İ\x1c\x85\u00a0\u200d\u0301", max_size=40))
def test_a_texts_words_are_hashed_as_they_are_found(text):
    hashes = word_hashes(text).tolist()
    assert hashes == [number for word in words(text) for number in word_hashes(word).tolist()]
    assert len(hashes) == len(words(text))
    assert len(set(hashes)) == len(set(words(text)))


def test_a_row_of_dots_is_no_word_however_long():
    assert word_hashes("." * 2000).tolist() == []
    assert word_hashes("one" + ".," * 1000).tolist() == word_hashes("one").tolist()


def test_what_is_forgotten_is_hashed_again(monkeypatch):
    before = word_hashes("one old lighthouse, and don't").tolist()
    monkeypatch.setattr(module, "_MOST_TOKENS", 0)
    assert word_hashes("one old lighthouse, and don't").tolist() == before
