"""`response_format` and `text.format`: what an answer's text is to be, as OpenAI's clients say it."""

import json
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from serve.schemas.fields import Body, Unicode

# The schema of a JSON object, whatever it holds.
ANY_OBJECT: dict[str, Any] = {"type": "object"}


class TextFormat(BaseModel):
    """Any text."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["text"]

    @property
    def schema_text(self) -> str | None:
        """The JSON schema that the text is kept to, as JSON; None: to none."""
        return None


class ObjectFormat(BaseModel):
    """A JSON object, whatever it holds."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["json_object"]

    @property
    def schema_text(self) -> str | None:
        """As of a TextFormat."""
        return json.dumps(ANY_OBJECT)


class NamedSchema(Body):
    """A JSON schema with a name. It is kept to whether it is `strict` or not."""

    model_config = ConfigDict(extra="forbid")

    name: Unicode
    schema_: dict[str, Any] = Field(default_factory=lambda: dict(ANY_OBJECT), alias="schema")
    description: Unicode | None = None
    strict: bool = False


class SchemaFormat(BaseModel):
    """JSON of a schema."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["json_schema"]
    json_schema: NamedSchema

    @property
    def schema_text(self) -> str | None:
        """As of a TextFormat."""
        return json.dumps(self.json_schema.schema_)


ResponseFormat = Annotated[TextFormat | ObjectFormat | SchemaFormat, Field(discriminator="type")]


class FlatFormat(Body):
    """The same as responses ask for it: what the schema has beside it stands beside `type`."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["text", "json_object", "json_schema"]
    name: Unicode | None = None
    schema_: dict[str, Any] | None = Field(None, alias="schema")
    description: Unicode | None = None
    strict: bool | None = None

    @model_validator(mode="after")
    def _of_a_schema(self) -> Self:
        if (self.type == "json_schema") != (self.schema_ is not None):
            raise ValueError("type json_schema, and no other, has a schema")
        return self

    @property
    def schema_text(self) -> str | None:
        """As of a TextFormat."""
        kept = ANY_OBJECT if self.type == "json_object" else self.schema_
        return None if kept is None else json.dumps(kept)
