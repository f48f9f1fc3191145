"""Which filters there are, by name, and the chain that a build asks."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from datastore.schema import Document, identity_hash
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


def in_share(document: Document, share: float) -> bool:
    """Whether a document belongs to this share of its source: by a hash of its identity, so that the choice
    is the same in every build, and what is in a share is in every larger one."""
    return share >= 1 or identity_hash(document.domain, document.id)[0] < int(share * 2.0**64)


@dataclass(frozen=True)
class Chain:
    """The filters of one source, asked in order; the first that rejects a document ends it.

    Before them, `share` in (0, 1] keeps that share of the documents.
    """

    rules: tuple[AnyRule, ...]
    takedowns: Takedowns = NOBODY
    share: float = 1.0

    def judge(self, document: Document) -> Text | Removed:
        """The document as it is kept, or who removed it and why."""
        if (document.domain, document.id) in self.takedowns:
            return Removed("taken_down", "it is taken down")
        if not in_share(document, self.share):
            return Removed("sampled_out", f"the source's share is {self.share:g}")
        text = Text(document)
        for rule in self.rules:
            verdict = rule.judge(text)
            if isinstance(verdict, Rejected):
                return Removed(rule.name, str(verdict))
            text = verdict
        return text
