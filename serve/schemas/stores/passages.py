"""A passage in its document, with those beside it."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from datastore.schema import Passage
from serve.answering.places import Place, Whole, url_of
from serve.schemas.hits import shown

MAX_NEIGHBOURS = 50


class NeighboursQuery(BaseModel):
    """How many passages on each side are wanted."""

    model_config = ConfigDict(extra="forbid")

    neighbours: int = Field(1, ge=0, le=MAX_NEIGHBOURS)


class PieceModel(BaseModel):
    """A passage: its id, its number in the document, the character that it begins at, and its text."""

    id: str
    chunk: int
    start: int
    text: str

    @classmethod
    def of(cls, passage: Passage, document: Place) -> "PieceModel":
        """A passage of a document."""
        place = Place(document.document, passage.chunk)
        return cls(id=str(place), chunk=passage.chunk, start=passage.start, text=passage.text)


class PassageModel(PieceModel):
    """A passage, what is known of its document, and the passages before and behind it, in order."""

    vector_store_id: str
    file_id: str
    domain: str
    doc_id: str
    title: str
    url: str
    metadata: dict[str, Any]
    before: list[PieceModel]
    after: list[PieceModel]

    @classmethod
    def within(cls, document: Whole, at: int, neighbours: int, base: str) -> "PassageModel":
        """The passage at a place of a document's, served at an address."""
        passage = document.passages[at]
        pieces = [PieceModel.of(one, document.place) for one in document.passages]
        place = Place(document.place.document, passage.chunk)
        return cls(
            **pieces[at].model_dump(),
            vector_store_id=document.store,
            file_id=document.place.document,
            domain=passage.domain,
            doc_id=passage.doc_id,
            title=document.title,
            url=url_of(passage, place, base),
            metadata={name: shown(value) for name, value in passage.metadata.items()},
            before=pieces[max(0, at - neighbours) : at],
            after=pieces[at + 1 : at + 1 + neighbours],
        )
