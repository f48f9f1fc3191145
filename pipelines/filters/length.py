"""Bounds of a document's length in characters, white space at the ends not counted."""

from typing import ClassVar, Literal

from pydantic import Field

from pipelines.filters.rule import Rejected, Rule, Verdict
from pipelines.filters.text import Text


class Length(Rule):
    """Documents of at least and at most so many characters."""

    name: Literal["length"] = "length"
    source: ClassVar[str] = "ralm"
    min_chars: int = Field(0, ge=0)
    max_chars: int | None = Field(None, ge=1)

    def judge(self, text: Text) -> Verdict:
        found = len(text.body.strip())
        if found < self.min_chars:
            return Rejected("too_short", f"{found} characters, at least {self.min_chars}")
        if self.max_chars is not None and found > self.max_chars:
            return Rejected("too_long", f"{found} characters, at most {self.max_chars}")
        return text
