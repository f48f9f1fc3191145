"""What a filter is: a rule with its thresholds, which keeps a text, changes it or says why it goes."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from pipelines.filters.text import Text


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why a document is removed: which part of the rule, and what was found."""

    part: str
    detail: str

    def __str__(self) -> str:
        return f"{self.part}: {self.detail}"


Verdict = Text | Rejected


class Rule(BaseModel, ABC):
    """A filter and its thresholds, as a configuration names them.

    `name` is the key of its count and its folder under `removed/`; `source` says where it was published,
    `counts_words` whether it asks for a text's words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: ClassVar[str]
    counts_words: ClassVar[bool] = False

    @abstractmethod
    def judge(self, text: Text) -> Verdict:
        """The text as it is kept, the same object if nothing is changed; or why it is not."""
