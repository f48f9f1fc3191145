"""Which filters there are, by name, and the chain that a build asks."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from datastore.schema import Document
from datastore.takedown import Takedowns
from pipelines.filters.c4 import C4, BoilerplateLines
from pipelines.filters.fasttext import Language, Quality
from pipelines.filters.fineweb import FineWeb
from pipelines.filters.gopher import GopherQuality, GopherRepetition
from pipelines.filters.length import Length
from pipelines.filters.personal import PersonalData
from pipelines.filters.rule import Rejected
from pipelines.filters.text import Text

NOBODY = Takedowns(frozenset())

AnyRule = Annotated[
    Language
    | GopherQuality
    | GopherRepetition
    | C4
    | BoilerplateLines
    | FineWeb
    | Length
    | Quality
    | PersonalData,
    Field(discriminator="name"),
]


@dataclass(frozen=True, slots=True)
class Removed:
    """A document that does not stay: the name of the filter that removed it, and why."""

    filter: str
    reason: str


@dataclass(frozen=True)
class Chain:
    """The filters of one source, asked in order; the first that rejects a document ends it."""

    rules: tuple[AnyRule, ...]
    takedowns: Takedowns = NOBODY

    def judge(self, document: Document) -> Text | Removed:
        """The document as it is kept, or who removed it and why."""
        if (document.domain, document.id) in self.takedowns:
            return Removed("taken_down", "it is taken down")
        text = Text(document)
        for rule in self.rules:
            verdict = rule.judge(text)
            if isinstance(verdict, Rejected):
                return Removed(rule.name, str(verdict))
            text = verdict
        return text
