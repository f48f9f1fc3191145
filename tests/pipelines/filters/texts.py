"""Texts that filters differ on: real ones, and real ones with what web pages have too much of."""

from functools import lru_cache
from pydoc_data.topics import topics

from hypothesis import strategies as st


@lru_cache(maxsize=1)
def real():
    """Some 80 chapters of Python's language reference, as it ships with the interpreter."""
    return tuple(topics[name] for name in sorted(topics))


LINES = (
    "• one more point",
    "- a list item without an end",
    "This line goes on and on ...",
    "# # # ## heading #",
    "We use cookies to make this site better.",
    "Please enable Javascript to view this page.",
    "lorem ipsum dolor sit amet, consectetur.",
    "if (x) { return y; }",
    "A citation stands here.[12]",
    "1234 5678 91011 1213 1415",
    "Home",
    "The same sentence comes again and again to fill the page.",
    'He said: "this is the end of it."',
    "",
    "   ",
)


@st.composite
def pages(draw):
    """Stretches of real text, lines like those above among them, some many times."""
    body = draw(st.sampled_from(real()))
    begin = draw(st.integers(0, max(0, len(body) - 200)))
    lines = body[begin : begin + draw(st.integers(0, 4000))].split("\n")
    for line, times in draw(st.lists(st.tuples(st.sampled_from(LINES), st.integers(1, 40)), max_size=3)):
        at = draw(st.integers(0, len(lines)))
        lines[at:at] = [line] * times
    return "\n".join(lines)
