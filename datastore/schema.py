"""Document and Passage, the two records that cross every stage, and their Arrow schemas.

Knows how a record looks in memory and in an Arrow file, and what identifies it. Knows no paths.

Decisions: docs/decisions/identity-and-metadata.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import orjson
import pyarrow as pa
import xxhash

from base.numbers import beyond, loads

Scalar = str | int | float | bool | Decimal | None

# What Arrow's strings with offsets of 32 bits hold.
_MOST_BYTES = 2**31 - 2

DOCUMENT_SCHEMA = pa.schema(
    [
        ("doc_id", pa.string()),
        ("domain", pa.string()),
        ("text", pa.large_string()),
        ("metadata", pa.string()),
    ]
)

PASSAGE_SCHEMA = pa.schema(
    [
        ("text", pa.large_string()),
        ("domain", pa.string()),
        ("doc_id", pa.string()),
        ("chunk", pa.int32()),
        ("start", pa.int64()),
        ("metadata", pa.string()),
        # Stored, not recomputed: a view decides over all rows at once, straight from this column.
        ("key", pa.uint64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Document:
    """One record of a corpus, identified by (domain, id)."""

    id: str
    domain: str
    text: str
    metadata: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a document that is embedded and retrieved as one.

    `chunk` counts the passages of the document from 0; `start` is the offset of `text` in the
    document's text, in characters.
    """

    text: str
    domain: str
    doc_id: str
    chunk: int
    start: int
    metadata: Mapping[str, Scalar] = field(default_factory=dict)

    @property
    def key(self) -> int:
        """64-bit xxh3 of the identity (domain, doc_id, chunk)."""
        return passage_key(self.domain, self.doc_id, self.chunk)


def passage_key(domain: str, doc_id: str, chunk: int) -> int:
    """Hash a passage's identity to 64 bits. It decides sampling only: 64 bits collide among billions."""
    # Lengths first, so that no two identities are spelled the same.
    return xxhash.xxh3_64_intdigest(f"{len(domain)}:{domain}{len(doc_id)}:{doc_id}{chunk}".encode())


def identity_hash(domain: str, doc_id: str) -> tuple[int, int]:
    """128-bit xxh3 of a document's identity (domain, id), as (high, low) 64-bit halves."""
    return _halves(xxhash.xxh3_128_intdigest(f"{len(domain)}:{domain}{doc_id}".encode()))


def text_hash(text: str) -> tuple[int, int]:
    """128-bit xxh3 of a document's text with runs of whitespace as one space, as (high, low)."""
    return _halves(xxhash.xxh3_128_intdigest(" ".join(text.split()).encode()))


def _halves(hash_: int) -> tuple[int, int]:
    return hash_ >> 64, hash_ & 0xFFFF_FFFF_FFFF_FFFF


def dump_metadata(metadata: Mapping[str, Scalar]) -> str:
    """Spell metadata as JSON with sorted keys, so that equal metadata are equal bytes.

    A blank in front says that some number has more digits than 64 bits or a double hold. Raises TypeError
    for text that is no Unicode.
    """
    if not metadata:
        return ""
    try:
        return orjson.dumps(dict(metadata), option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONEncodeError:
        digits = {name: orjson.Fragment(str(value)) for name, value in metadata.items() if beyond(value)}
        if not digits:
            raise
    return " " + orjson.dumps({**metadata, **digits}, option=orjson.OPT_SORT_KEYS).decode()


def load_metadata(text: str) -> dict[str, Scalar]:
    """Read what `dump_metadata` wrote."""
    if text.startswith(" "):
        found: dict[str, Scalar] = loads(text)
        return found
    return orjson.loads(text) if text else {}


def documents_to_batch(documents: Iterable[Document]) -> pa.RecordBatch:
    """Lay documents out as one Arrow record batch of `DOCUMENT_SCHEMA`."""
    rows = [(d.id, d.domain, d.text, dump_metadata(d.metadata)) for d in documents]
    columns = list(zip(*rows, strict=True)) or [()] * len(DOCUMENT_SCHEMA)
    return pa.record_batch(
        [pa.array(c, f.type) for c, f in zip(columns, DOCUMENT_SCHEMA, strict=True)],
        schema=DOCUMENT_SCHEMA,
    )


def batch_to_documents(batch: pa.RecordBatch) -> list[Document]:
    """Read back what `documents_to_batch` laid out."""
    columns = [batch.column(name).to_pylist() for name in DOCUMENT_SCHEMA.names]
    return [
        Document(doc_id, domain, text, load_metadata(metadata))
        for doc_id, domain, text, metadata in zip(*columns, strict=True)
    ]


def passages_to_batch(passages: Iterable[Passage]) -> pa.RecordBatch:
    """Lay passages out as one Arrow record batch of `PASSAGE_SCHEMA`."""
    rows = [
        (p.text, p.domain, p.doc_id, p.chunk, p.start, dump_metadata(p.metadata), p.key) for p in passages
    ]
    columns = list(zip(*rows, strict=True)) or [()] * len(PASSAGE_SCHEMA)
    sizes = {
        field.name: _size(column)
        for field, column in zip(PASSAGE_SCHEMA, columns, strict=True)
        if field.type == pa.string()
    }
    schema = _passage_schema(sizes)
    return pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def _size(texts: Sequence[str]) -> int:
    """Bytes of texts; of few characters at least not fewer than that."""
    most = 4 * sum(map(len, texts))
    return most if most <= _MOST_BYTES else sum(len(text.encode()) for text in texts)


def _passage_schema(sizes: Mapping[str, int]) -> pa.Schema:
    """`PASSAGE_SCHEMA`, in which columns of more bytes than 32 bits count are wide."""
    wide = {name for name, size in sizes.items() if size > _MOST_BYTES}
    return pa.schema([f.with_type(pa.large_string()) if f.name in wide else f for f in PASSAGE_SCHEMA])


def join_passages(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Passages of several record batches as one."""
    sizes = {
        field.name: sum(batch.column(field.name).nbytes for batch in batches)
        for field in PASSAGE_SCHEMA
        if field.type == pa.string()
    }
    schema = _passage_schema(sizes)
    return pa.concat_batches([batch.cast(schema) for batch in batches])


def passage_at(batch: pa.RecordBatch, row: int) -> Passage:
    """Read one row of a record batch of `PASSAGE_SCHEMA`, touching only that row's bytes."""
    text, domain, doc_id, chunk, start, metadata = (
        batch.column(i)[row].as_py() for i in range(len(PASSAGE_SCHEMA) - 1)
    )
    return Passage(text, domain, doc_id, chunk, start, load_metadata(metadata))
