"""What the fields of all requests and replies are made of. Knows no route."""

from itertools import product
from typing import Annotated, Any, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    PlainSerializer,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from base.invalid import is_unicode


def _unicode(text: str) -> str:
    if not is_unicode(text):
        raise ValueError("half of a character (a lone surrogate) is no text: send UTF-8")
    return text


# What tokenizers and replies can hold: JSON's escapes can write what is no Unicode.
Unicode = Annotated[str, AfterValidator(_unicode)]
# A token's id, of whatever vocabulary.
Token = Annotated[int, Field(strict=True, ge=0, lt=2**31)]


class Body(BaseModel):
    """What a client sends: a number is written as one, in a list too; null is as left out, if that may be."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        wanted = {one.alias or name for name, one in cls.model_fields.items() if not one.is_required()}
        return {name: value for name, value in data.items() if value is not None or name not in wanted}

    @field_validator("*", mode="before")
    @classmethod
    def _as_written(cls, value: Any, info: ValidationInfo) -> Any:
        """Keep pydantic from making 1 of true and 5 of "5". Of 5.0 it may: JSON has one kind of number."""
        assert info.field_name is not None  # Of a field's validator it is there.
        annotation = cls.model_fields[info.field_name].annotation
        kinds = {annotation, *get_args(annotation)} & {int, float, bool}
        values = value if isinstance(value, list) else [value]
        for kind, one in product(kinds, values):
            if isinstance(one, str) or (isinstance(one, bool) != (kind is bool) and one is not None):
                raise PydanticCustomError(f"{kind.__name__}_type", "Input should be of another type")
        return value


def _rounded(score: float) -> float:
    return round(score, 6)


Rounded = Annotated[float, PlainSerializer(_rounded, return_type=float)]
