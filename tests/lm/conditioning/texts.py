"""Texts and counts that tests of conditioning share."""

from hypothesis import strategies as st

from lm.conditioning import Source


def count(text: str) -> int:
    """Words stand for tokens."""
    return len(text.split())


words = st.lists(st.sampled_from(["town", "bridge", "Mirn", "1412", "e.g.", "old"]), min_size=1, max_size=6)
sentences = words.map(lambda some: f"The {' '.join(some)} it is.")
texts = st.lists(sentences, min_size=1, max_size=5).map(" ".join)
blanks = st.sampled_from(["", " ", "\n\t "])
sources = st.lists(st.builds(Source, st.sampled_from(["", "Town"]), texts | blanks), max_size=6)
