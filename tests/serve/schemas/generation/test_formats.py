import json

import pytest
from pydantic import TypeAdapter, ValidationError

from serve.schemas.generation.formats import ResponseFormat

FORMAT = TypeAdapter(ResponseFormat)


def test_a_format_is_the_schema_that_a_text_is_kept_to():
    schema = {"type": "object", "properties": {"a": {"const": None}}}
    named = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "description": None}}
    assert json.loads(FORMAT.validate_python(named).schema_text) == schema
    assert json.loads(FORMAT.validate_python({"type": "json_object"}).schema_text) == {"type": "object"}
    assert FORMAT.validate_python({"type": "text"}).schema_text is None


@pytest.mark.parametrize(
    "form",
    [
        {"type": "xml"},
        {},
        {"type": "json_schema"},
        {"type": "text", "schema": {}},
        {"type": "json_schema", "json_schema": {}},
    ],
)
def test_what_is_none_is_refused(form):
    with pytest.raises(ValidationError):
        FORMAT.validate_python(form)
