"""Which filters there are, by name, and the chain that a build asks.

Decisions: docs/decisions/laws-and-bytes.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from base.foreign import Refused
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

    def judge(self, documents: Sequence[Document]) -> list[Text | Removed]:
        """Each document as it is kept, or who removed it and why."""
        before = [self._left_out(document) for document in documents]
        asked = [document for document, why in zip(documents, before, strict=True) if why is None]
        if any(rule.counts_words for rule in self.rules):
            texts = iter(Text.several(asked))
        else:
            texts = map(Text, asked)
        return [self._judged(next(texts)) if why is None else why for why in before]

    def _left_out(self, document: Document) -> Removed | None:
        if (document.domain, document.id) in self.takedowns:
            return Removed("taken_down", "it is taken down")
        if not in_share(document, self.share):
            return Removed("sampled_out", f"the source's share is {self.share:g}")
        return None

    def _judged(self, text: Text) -> Text | Removed:
        for rule in self.rules:
            try:
                verdict = rule.judge(text)
            except Refused as error:
                verdict = Rejected("unjudged", f"the text cannot be judged ({error})")
            if isinstance(verdict, Rejected):
                return Removed(rule.name, str(verdict))
            text = verdict
        return text
