from hypothesis import given
from hypothesis import strategies as st

from lm.backends.remote.events import events

# U+2028 ends a line for Unicode, not for the events of a server.
TEXT = (
    'data: {"a": "ä\u2028\x85"}\r\n\r\n: sign of life\n\n'
    "data: one\ndata:two\n\nevent: x\nid: 3\ndata: [DONE]\n\n"
)
FOUND = ['{"a": "ä\u2028\x85"}', "one\ntwo", "[DONE]"]


@given(st.lists(st.integers(0, len(TEXT.encode())), max_size=8).map(sorted))
def test_events_are_the_same_wherever_they_are_cut(at):
    raw = TEXT.encode()
    chunks = [raw[a:b] for a, b in zip([0, *at], [*at, len(raw)], strict=True)]
    assert [one for one in events(chunks) if one] == FOUND


def test_an_event_without_its_blank_line_is_one_at_the_end():
    assert [*events([b"data: a\n\nda", b"ta: b"])] == ["a", "", "b"]
    assert [*events([b"data: a\n"])] == ["", "a"]


def test_a_chunk_without_an_event_is_told():
    assert [*events([b": ping\n\n", b": ping\n\n"])] == ["", ""]
