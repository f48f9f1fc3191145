from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, create_model

from base.fields import later

VALUES = st.none() | st.booleans() | st.integers() | st.text() | st.tuples(st.integers())


@given(st.dictionaries(st.sampled_from("abc"), VALUES), VALUES)
def test_a_file_from_before_a_field_is_read_and_written_as_the_same(early, default):
    fields = dict.fromkeys(early, (Any, ...))
    wider = create_model("Wider", **fields, new=(Any, later(default)))
    holder = create_model("Holder", inner=(wider, ...), new=(Any, later(default)))
    found = holder.model_validate({"inner": early})
    assert found.inner.new == found.new == default
    assert found.model_dump() == {"inner": early}


@given(VALUES, VALUES)
def test_what_a_later_field_holds_is_written(default, value):
    wider = create_model("Wider", new=(Any, later(default)))
    assert wider(new=value).model_dump() == ({} if value == default else {"new": value})


def test_its_description_and_its_bounds_are_those_of_any_field():
    class Settings(BaseModel):
        most: int = later(4, "how many", ge=1)

    assert Settings.model_fields["most"].description == "how many"
    assert Settings().model_dump() == {}
    assert Settings(most=2).model_dump() == {"most": 2}
