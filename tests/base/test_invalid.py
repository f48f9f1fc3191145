from decimal import Decimal
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from base.invalid import sentence, written


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Short(Strict):
    name: Literal["short"] = "short"
    min_chars: int = Field(0, ge=0)


class Good(Strict):
    name: Literal["good"] = "good"
    model: str = Field(min_length=2)


class Inner(Strict):
    share: float = Field(1.0, gt=0, le=1)
    rules: tuple[Annotated[Short | Good, Field(discriminator="name")], ...] = ()


class Settings(Strict):
    sources: tuple[Inner, ...] = Field(min_length=1, max_length=2)
    text: str | list[str] = ""
    seed: int = Field(0, lt=2**63)
    kind: Literal["a", "b"] = "a"
    lexical: bool = True
    inner: Inner | None = None

    @field_validator("kind")
    @classmethod
    def _never_b(cls, value):
        if value == "b":
            raise ValueError("b is for nobody: take a")
        return value


ONE = {"sources": [{}]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "sources is missing: give it."),
        ({"sorces": []}, "sorces is no setting: did you mean sources?"),
        (
            ONE | {"zz": 1},
            "zz is no setting: valid are sources, text, seed, kind, lexical, inner.",
        ),
        ({"sources": [{"shares": 1}]}, "sources.0.shares is no setting: did you mean share?"),
        (ONE | {"inner": {"shares": 1}}, "inner.shares is no setting: did you mean share?"),
        ({"sources": []}, "sources must have at least 1 entry."),
        ({"sources": [{}] * 3}, "sources must have at most 2 entries."),
        ({"sources": "a"}, "sources must be a list, not 'a'."),
        ({"sources": [{"share": 0}]}, "sources.0.share must be above 0, not 0."),
        ({"sources": [{}, {"share": 1.5}]}, "sources.1.share must be at most 1, not 1.5."),
        ({"sources": [{"share": "x"}]}, "sources.0.share must be a number, not 'x'."),
        ({"sources": [{"share": None}]}, "sources.0.share must be a number, not nothing."),
        ({"sources": [{"rules": [{"name": "shrt"}]}]}, "sources.0.rules.0 has an unknown name, 'shrt'"),
        ({"sources": [{"rules": [{}]}]}, "sources.0.rules.0 has no name: give it."),
        (
            {"sources": [{"rules": [{"name": "short", "min_char": 1}]}]},
            "sources.0.rules.0.min_char is no setting: did you mean min_chars?",
        ),
        (
            {"sources": [{"rules": [{"name": "good", "model": "x"}]}]},
            "sources.0.rules.0.model must have at least 2 characters.",
        ),
        (ONE | {"text": 3}, "text must be text or a list, not 3."),
        (ONE | {"text": ["a", 3]}, "text.1 must be text, not 3."),
        (ONE | {"seed": 2**63}, "seed must be below 9223372036854775808, not 9223372036854775808."),
        (ONE | {"seed": 1.5}, "seed must be a whole number, not 1.5."),
        (ONE | {"kind": "c"}, "kind must be 'a' or 'b', not 'c'."),
        (ONE | {"kind": "b"}, "kind: b is for nobody: take a."),
        (ONE | {"lexical": "maybe"}, "lexical must be true or false, not 'maybe'."),
        (ONE | {"inner": 3}, "inner must be a mapping, not 3."),
        (ONE | {"seed": 10**30}, "seed must be"),
        (ONE | {"kind": {1: float("nan")}}, "kind must be 'a' or 'b', not"),
        (ONE | {"kind": {"a": "\ud800"}}, "kind must be 'a' or 'b', not {'a': '\\ud800'}."),
        ({"sources": [{"share": float("nan")}]}, "sources.0.share must be at most 1, not nan."),
        (ONE | {"zz": {1: 2}}, "zz is no setting"),
        (ONE | {"kind[]": 1}, "kind[] is no setting: did you mean kind?"),
        (ONE | {"str": 1}, "str is no setting: valid are sources, text,"),
        (ONE | {"inner": {"share[]": 1}}, "inner.share[] is no setting: did you mean share?"),
        (
            {"sources": [{"rules": [{"name": "short", "short": 1}]}]},
            "sources.0.rules.0.short is no setting: valid are name, min_chars.",
        ),
        (ONE | {"seed": float("inf")}, "seed must be a number, not inf."),
        (ONE | {3: 1}, "3 is no setting: names are text."),
        ([], "The file must be a mapping, not []."),
    ],
)
def test_an_error_is_a_sentence_of_our_own(content, said):
    with pytest.raises(ValidationError) as error:
        Settings.model_validate(content)
    assert sentence(Settings, error.value.errors(), "The file").startswith(said)


def test_a_setting_whose_name_begins_like_anothers_is_not_its():
    class Two(Strict):
        a: str | list[str]
        ab: list[list[str]]

    with pytest.raises(ValidationError) as error:
        Two.model_validate({"a": 3, "ab": [["x", 4]]})
    assert sentence(Two, error.value.errors(), "The file") == "a must be text or a list, not 3."


def test_a_value_is_shown_as_it_is_written_and_cut():
    assert [written(v) for v in (10**20, Decimal("0.10000000000000000001"))] == [
        "100000000000000000000",
        "0.10000000000000000001",
    ]
    assert [written(v) for v in (None, True, "x", [1], {"a": None})] == [
        "nothing",
        "true",
        "'x'",
        "[1]",
        '{"a":null}',
    ]
    assert len(written("x" * 1000)) < 100


def test_a_name_of_a_request_is_called_a_field():
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate(ONE | {"sed": 1})
    said = sentence(Settings, refused.value.errors(), "the body", "field")
    assert said == "sed is no field: did you mean seed?"
