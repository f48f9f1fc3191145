"""What a reader makes of a record: a document, or why there is none.

Every record comes out as a `Document`, as `Unreadable` with file, number and reason, or as one that is no
document by its nature (`Skipped`, `Blank`) and is counted; a bad one costs nothing but itself.
"""

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from datastore.errors import Unavailable
from datastore.schema import Document, Scalar, dump_metadata
from pipelines.config import SourceConfig
from pipelines.readers.foreign import Refused, ask

BOM = b"\xef\xbb\xbf"
# Dolma calls it `metadata`, RedPajama `meta`: an object of what else is known of a record.
NESTED = ("metadata", "meta")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is no document: where it lies (records count from 1) and why."""

    file: str
    record: int
    reason: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record that is no document by its nature, as an archive's requests are: counted under its kind."""

    kind: str


@dataclass(frozen=True, slots=True)
class Blank:
    """An empty line: no record, but counted, so that lines add up."""


Record = Document | Unreadable | Skipped | Blank


@dataclass
class Intake:
    """What the readers of one source share.

    `domain` is that of records that state none; `consumed` counts the uncompressed bytes read so far.
    """

    source: SourceConfig
    domain: str
    max_record_bytes: int
    consumed: float = 0

    def from_fields(self, fields: Mapping[str, Any], file: str, number: int) -> Record:
        """A document of a record with named fields: its text, id and domain, and the others as metadata."""
        text_field = next((f for f in self.source.text_fields if f in fields), None)
        if text_field is None:
            wanted = " or ".join(repr(f) for f in self.source.text_fields)
            return Unreadable(file, number, f"the record has no field {wanted}")
        text = fields[text_field]
        if not isinstance(text, str):
            reason = f"the field {text_field!r} holds {type(text).__name__}, not text"
            return Unreadable(file, number, reason)
        stated = fields.get(self.source.id_field)
        if isinstance(stated, dict | list | float | bool | Decimal):
            reason = f"the field {self.source.id_field!r} holds {type(stated).__name__}, not an id"
            return Unreadable(file, number, reason)
        doc_id = f"{file}:{number}" if stated is None or stated == "" else str(stated)
        metadata = _metadata(fields, {text_field, self.source.id_field, "domain"})
        return self.document(doc_id, text, metadata, file, number, fields.get("domain"))

    def document(
        self,
        doc_id: str,
        text: str,
        metadata: Mapping[str, Scalar],
        file: str,
        number: int,
        domain: object = None,
    ) -> Record:
        """A document, unless it holds what UTF-8 cannot spell: lone surrogates reach us through Parquet, the
        hub and HTML. The source's domain and licence win over the record's."""
        if self.source.domain or not isinstance(domain, str) or not domain:
            domain = self.source.domain or self.domain
        if self.source.licence:
            metadata = {**metadata, "licence": self.source.licence}
        try:
            for part in (doc_id, domain, text):
                part.encode()
            ask(dump_metadata, metadata)
        except (UnicodeEncodeError, Refused):
            return Unreadable(file, number, "the record holds characters that are not Unicode")
        return Document(doc_id, domain, text, metadata)


def _metadata(fields: Mapping[str, Any], taken: set[str]) -> dict[str, Scalar]:
    """The scalar fields of a record, and those of the object that `metadata` or `meta` holds, if any.

    A field of the record itself wins over one of the object's.
    """
    found: dict[str, Scalar] = {}
    nested = [fields[name] for name in NESTED if isinstance(fields.get(name), dict)]
    for one in (*nested, {name: value for name, value in fields.items() if name not in taken}):
        found |= {name: scalar for name, value in one.items() if (scalar := _scalar(value)) is not None}
    return found


def _scalar(value: object) -> Scalar:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return value if isinstance(value, str | int | bool | Decimal) else None


def only_damage(error: OSError, path: str) -> None:
    """Let damaged data pass, and raise what the system could not read: that is no record's fault.

    Marked as done, a split that a node could not reach for a moment would be lost for good.
    """
    if error.errno is not None:
        raise failed(error, path) from None


def failed(error: OSError, path: str) -> Unavailable:
    """What to say of a file that the system cannot read."""
    return Unavailable(
        f"{path} cannot be read ({error.strerror or error}): mend that and run the same command again."
    )


def one_line(error: BaseException) -> str:
    """What an error says, on one line and not for pages."""
    return " ".join(str(error).split())[:200] or type(error).__name__
