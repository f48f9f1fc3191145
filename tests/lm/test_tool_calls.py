import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm.prompts import ToolCall
from lm.tool_calls import ToolCalls, calls_in

CALL = '<tool_call>\n{"name": "river_of", "arguments": {"town": "Orl"}}\n</tool_call>'
FOUND = ToolCall("", "river_of", '{"town": "Orl"}')


def test_calls_are_taken_out_of_the_text():
    assert calls_in(CALL) == ("", (FOUND,))
    assert calls_in(f"I look.\n{CALL}\n{CALL}") == ("I look.", (FOUND, FOUND))
    assert calls_in(CALL.removesuffix("</tool_call>")) == ("", (FOUND,))
    assert calls_in('<tool_call>{"name": "f", "parameters": "{}"}</tool_call>')[1] == (
        ToolCall("", "f", "{}"),
    )


@pytest.mark.parametrize(
    "text", ["By lot.", "<tool_call>no</tool_call>", "<tool_call>{}</tool_call>", "<tool_"]
)
def test_what_is_no_call_stays_text(text):
    assert calls_in(text) == (text, ())


@given(st.sampled_from([CALL, f"I look.{CALL}", "a < b <tool", "<tool_call>{}", "By lot."]), st.data())
def test_a_stream_gives_the_same_however_it_is_cut(text, data):
    at = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    found = ToolCalls()
    pieces = [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)]
    assert ("".join(found.without(pieces)), found.calls) == calls_in(text)
