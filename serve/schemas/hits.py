"""What a passage looks like to a client, as a hit and as a citation."""

from dataclasses import asdict
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from datastore.schema import Scalar
from retriever.results import Hit
from serve.answering.answers import Citation
from serve.answering.places import Addresses
from serve.schemas.fields import Rounded


class HitModel(BaseModel):
    """A retrieved passage. Store (nameless if it is the only one), generation and row name it.

    `id` names it for good, and `url` is where people read it; null where nobody said who asks where.
    """

    store: str
    row: int
    generation: int
    id: str | None
    url: str | None
    score: Rounded
    domain: str
    doc_id: str
    chunk: int
    start: int
    metadata: dict[str, Any]
    text: str

    @classmethod
    def of(cls, hit: Hit, addresses: Addresses | None = None) -> "HitModel":
        """A hit for others to read: enough to find the passage again."""
        return cls(**_of_hit(hit, addresses))


class SupportModel(BaseModel):
    """How far a passage supports a sentence of an answer.

    `words`: the share of its content words that the passage holds. `gain`: by how many bits a token the
    passage makes it likelier to the reader; null for one that cannot score.
    """

    sentence: str
    words: Rounded
    gain: Rounded | None


class _Numbered(BaseModel):
    """What is said of a citation before its passage: JSON keeps the order."""

    number: int
    cited: bool
    read: str | None
    support: list[SupportModel] | None


class CitationModel(HitModel, _Numbered):
    """A passage that was put before the reader under a number, and whether the answer cites it.

    `read`: what the reader saw of it, if it was cut or widened. `support`: of each sentence, if asked for.
    """

    @classmethod
    def of_citation(cls, citation: Citation, addresses: Addresses | None = None) -> "CitationModel":
        """A citation for others to read."""
        support = citation.support
        return cls(
            number=citation.number,
            cited=citation.cited,
            read=citation.read,
            support=None if support is None else [SupportModel(**asdict(one)) for one in support],
            **_of_hit(citation.hit, addresses),
        )


def _of_hit(hit: Hit, addresses: Addresses | None) -> dict[str, Any]:
    passage = hit.passage
    its_id, url = (None, None) if addresses is None else addresses.of(hit)
    return {
        "store": hit.store,
        "row": hit.row,
        "generation": hit.generation,
        "id": its_id,
        "url": url,
        "score": hit.score,
        "domain": passage.domain,
        "doc_id": passage.doc_id,
        "chunk": passage.chunk,
        "start": passage.start,
        "metadata": {name: shown(value) for name, value in passage.metadata.items()},
        "text": passage.text,
    }


def shown(value: Scalar) -> Scalar:
    """A value of metadata for others to read: a fraction of more digits than a double's is text to them."""
    return str(value) if isinstance(value, Decimal) else value
