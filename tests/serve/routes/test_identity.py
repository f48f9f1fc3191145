import re

from hypothesis import given
from hypothesis import strategies as st

from serve.routes.identity import identified

HOLDS = re.compile(r"[\x21-\x7e]{1,128}")


@given(st.none() | st.text(max_size=200))
def test_an_id_is_what_a_header_and_a_log_can_hold(sent):
    found = identified(sent)
    assert HOLDS.fullmatch(found)
    assert (found == sent) == (sent is not None and HOLDS.fullmatch(sent) is not None)


def test_a_new_id_is_another_each_time():
    assert identified(None) != identified(None)
