"""`response_format`: what an answer's text is to be, as OpenAI's clients say it."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from serve.schemas.fields import Body, Unicode


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
        return '{"type": "object"}'


class NamedSchema(Body):
    """A JSON schema with a name. It is kept to whether it is `strict` or not."""

    model_config = ConfigDict(extra="forbid")

    name: Unicode
    schema_: dict[str, Any] = Field(default_factory=lambda: {"type": "object"}, alias="schema")
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
