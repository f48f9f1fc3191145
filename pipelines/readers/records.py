"""What a reader makes of a record: a document, or why there is none.

Every record comes out as a `Document`, as `Unreadable` with file, number and reason, or as one that is no
document by its nature (`Skipped`, `Blank`) and is counted; a bad one costs nothing but itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from base.errors import Unavailable
from base.foreign import Refused, ask
from base.numbers import simplest
from datastore.schema import Document
from pipelines.readers.limits import too_large
from pipelines.readers.metadata import MAX_METADATA_BYTES, LeftOut, Lost, bounded, metadata_of

BOM = b"\xef\xbb\xbf"
_NO_IDS = (dict, list, float, bool, Decimal)


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
class Doubtful:
    """Records that were read out of data whose checksum is wrong or missing: the first and last of them in a
    file, how many documents they gave, and why."""

    file: str
    first: int
    last: int
    documents: int
    reason: str


@dataclass(frozen=True, slots=True)
class Blank:
    """An empty line: no record, but counted, so that lines add up."""


Record = Document | Unreadable | Skipped | Blank


class SourceSettings(Protocol):
    """What a reader must know of the source of its files, as a configuration states it.

    In `text_fields` texts are looked for, in this order, in `id_field` ids. `domain` and `licence` win over
    what records state.
    """

    @property
    def text_fields(self) -> tuple[str, ...]: ...

    @property
    def id_field(self) -> str: ...

    @property
    def domain(self) -> str | None: ...

    @property
    def licence(self) -> str | None: ...


@dataclass
class Intake:
    """What the readers of one source share.

    `domain` is that of records that state none; `consumed` counts the uncompressed bytes read so far.
    `left_out` are fields of the latest documents that are not among their metadata: whoever reads takes them.
    `doubtful` lists what was found out about records that have been handed on already.
    """

    source: SourceSettings
    domain: str
    max_record_bytes: int
    max_metadata_bytes: int = MAX_METADATA_BYTES
    consumed: float = 0
    left_out: list[LeftOut] = field(default_factory=list)
    doubtful: list[Doubtful] = field(default_factory=list)

    def from_fields(self, fields: Mapping[str, Any], file: str, number: int) -> Record:
        """A document of a record with named fields: its text, id and domain, and the others as metadata."""
        text_field = next((f for f in self.source.text_fields if f in fields), None)
        if text_field is None:
            wanted = " or ".join(repr(f) for f in self.source.text_fields)
            return Unreadable(file, number, f"the record has no field {wanted}: --text-field names another")
        for name in (text_field, self.source.id_field, "domain"):
            if isinstance(lost := fields.get(name), Lost):
                return Unreadable(file, number, f"the field {name!r} cannot be read ({lost.reason})")
        text = fields[text_field]
        if not isinstance(text, str):
            reason = f"the field {text_field!r} holds {type(text).__name__}, not text"
            return Unreadable(file, number, reason)
        stated = _as_id(fields.get(self.source.id_field))
        if isinstance(stated, _NO_IDS):
            reason = f"the field {self.source.id_field!r} holds {type(stated).__name__}, not an id"
            return Unreadable(file, number, reason)
        doc_id = f"{file}:{number}" if stated is None or stated == "" else str(stated)
        metadata, lost_fields = metadata_of(fields, {text_field, self.source.id_field, "domain"})
        domain = fields.get("domain")
        stating = Document(
            doc_id, domain if domain and isinstance(domain, str) else self.domain, text, metadata
        )
        found = self.document(stating, file, number)
        if isinstance(found, Document):
            self.left_out += lost_fields
        return found

    def take_left_out(self) -> list[LeftOut]:
        """The fields left out since the last call."""
        found, self.left_out = self.left_out, []
        return found

    def document(self, stating: Document, file: str, number: int) -> Record:
        """The document that a record states, its domain "" if it states none; or why it is none.

        The source's domain and licence win over the record's. Nothing is kept that UTF-8 cannot spell: lone
        surrogates reach us through Parquet, the hub and HTML.
        """
        domain = self.source.domain or stating.domain or self.domain
        try:
            sizes = [len(part.encode()) for part in (stating.id, domain)]
            if not stating.text.isascii():
                stating.text.encode()
            metadata, left_out = ask(bounded, stating.metadata, self.max_metadata_bytes)
        except (UnicodeEncodeError, Refused):
            return Unreadable(file, number, "the record holds characters that are not Unicode")
        if (longest := max(sizes)) > self.max_metadata_bytes:
            which = "its id" if sizes[0] == longest else "its domain"
            reason = too_large(which, longest, self.max_metadata_bytes, "max_metadata_bytes")
            return Unreadable(file, number, reason)
        self.left_out += left_out
        if self.source.licence:
            metadata = {**metadata, "licence": self.source.licence}
        if domain == stating.domain and metadata is stating.metadata:
            return stating
        return Document(stating.id, domain, stating.text, metadata)


def _as_id(stated: object) -> object:
    """What a record states as its id: of a decimal column without a fraction a whole number.

    Bytes are the text that they spell, as of writers that mark no column as text, or else hexadecimal.
    """
    if isinstance(stated, bytes):
        text = stated.decode(errors="replace")
        return text if text.isprintable() and "\ufffd" not in text else stated.hex()
    return simplest(stated) if isinstance(stated, Decimal) and stated.is_finite() else stated


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
