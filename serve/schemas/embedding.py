"""`POST /v1/embeddings` and `POST /v1/rerank`: what they take and give, as OpenAI's, vLLM's and Jina's do."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from serve.answering.embedding import Kind
from serve.schemas.fields import Body, Unicode

# As many as OpenAI's API takes.
MAX_INPUTS = 2048


class _Encoding(Body):
    """What both take."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = None
    user: str | None = Field(None, description="changes nothing")
    truncate_prompt_tokens: Literal[-1] | None = Field(
        None, description="-1: cut texts that are longer than the encoder reads; else they are refused"
    )


class EmbeddingRequest(_Encoding):
    """`POST /v1/embeddings`. `input_type` says which prompt of the encoder stands before the texts."""

    input: Unicode | list[Unicode]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, ge=1)
    input_type: Kind = "document"

    @property
    def texts(self) -> list[str]:
        """The texts; one, if it was given alone."""
        return [self.input] if isinstance(self.input, str) else self.input

    @field_validator("input", mode="before")
    @classmethod
    def _no_tokens(cls, value: Any) -> Any:
        first = value[0] if isinstance(value, list) and value else None
        if isinstance(first, int | list):
            raise ValueError(
                "token ids are those of another tokenizer: send text (LangChain's OpenAIEmbeddings does with "
                "check_embedding_ctx_length=False)"
            )
        return value

    @field_validator("input")
    @classmethod
    def _some_text(cls, value: str | list[str]) -> str | list[str]:
        texts = [value] if isinstance(value, str) else value
        if not 1 <= len(texts) <= MAX_INPUTS or not all(one.strip() for one in texts):
            raise ValueError(f"give 1 to {MAX_INPUTS} texts, none of them empty")
        return value


class Embedding(BaseModel):
    """The vector of a text: numbers, or float32 in base64, the lowest byte first."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingReply(BaseModel):
    """The reply of `POST /v1/embeddings`, in the order of the texts."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: dict[str, int]

    @classmethod
    def of(cls, vectors: NDArray[np.float32], tokens: int, model: str, encoding: str) -> "EmbeddingReply":
        """Of vectors [n, dimension]."""
        each = (
            [b64encode(one.astype("<f4").tobytes()).decode() for one in vectors]
            if (encoding == "base64")
            else vectors.tolist()
        )
        data = [Embedding(index=at, embedding=one) for at, one in enumerate(each)]
        return cls(data=data, model=model, usage=_usage(tokens))


def _usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": tokens, "total_tokens": tokens}


@dataclass(frozen=True, slots=True)
class Made:
    """What a reply says beside its results: its id, the model, and how many tokens that read."""

    id: str
    model: str
    tokens: int


class RerankDocument(Body):
    """A document of a request, and of a reply."""

    model_config = ConfigDict(extra="forbid")

    text: Unicode


class RerankRequest(_Encoding):
    """`POST /v1/rerank`: documents, to be ranked by how near they are to a query."""

    query: Unicode
    documents: list[Unicode | RerankDocument] = Field(min_length=1, max_length=MAX_INPUTS)
    top_n: int | None = Field(None, ge=1)
    return_documents: bool = True

    @property
    def texts(self) -> list[str]:
        """The documents' texts."""
        return [one if isinstance(one, str) else one.text for one in self.documents]

    @field_validator("query")
    @classmethod
    def _some_text(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("the query must hold text")
        return value


class RerankResult(BaseModel):
    """A document: its place in the request, and the inner product of its vector and the query's."""

    index: int
    document: RerankDocument | None
    relevance_score: float


class RerankReply(BaseModel):
    """The reply of `POST /v1/rerank`, the best document first."""

    id: str
    model: str
    usage: dict[str, int]
    results: list[RerankResult]

    @classmethod
    def of(cls, scores: NDArray[np.float32], body: RerankRequest, made: "Made") -> "RerankReply":
        """Of scores [documents]."""
        texts: Sequence[str] = body.texts
        # Of equals the first stays first.
        order = np.argsort(-scores, kind="stable")[: body.top_n]
        results = [
            RerankResult(
                index=int(at),
                document=RerankDocument(text=texts[at]) if body.return_documents else None,
                relevance_score=float(scores[at]),
            )
            for at in order
        ]
        return cls(id=made.id, model=made.model, usage=_usage(made.tokens), results=results)
