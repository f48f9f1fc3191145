"""HTTP responses as archives hold them: a status, header fields, and the body without its codings.

Decisions: docs/decisions/readers-and-damage.md.
"""

import re
from dataclasses import dataclass

from pipelines.readers.bytes.codings import unpacked

# HTTP/2 and HTTP/3 have no such line; archives write one all the same, often without a reason behind it.
_STATUS = re.compile(rb"HTTP(?:/\S*)?[ \t]+(\d{3})(?!\d)", re.IGNORECASE)
_BLANK_LINE = re.compile(rb"\n[ \t\r]*\n")
_FOLD = re.compile(r"\r?\n[ \t]+")
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[^\n]*)?\r?\n")
_CHUNK_END = re.compile(rb"\r?\n")


class NoResponse(Exception):
    """Why some bytes are no HTTP response."""


@dataclass(frozen=True, slots=True)
class Response:
    """A response; its `fields` go by their names in small letters."""

    status: int
    fields: dict[str, list[str]]
    body: bytes

    @classmethod
    def parse(cls, data: bytes) -> "Response":
        """The response that some bytes hold. Raises NoResponse."""
        status = _STATUS.match(data)
        if status is None:
            raise NoResponse("no HTTP status line begins it")
        blank = _BLANK_LINE.search(data)
        head, body = (data[: blank.start()], data[blank.end() :]) if blank else (data, b"")
        fields: dict[str, list[str]] = {}
        for line in _FOLD.sub(" ", head.decode("latin-1")).split("\n")[1:]:
            name, colon, value = line.partition(":")
            if colon:
                fields.setdefault(name.strip().lower(), []).append(value.strip())
        return cls(int(status[1]), fields, body)

    @property
    def content_type(self) -> str:
        """Media type and charset as they are stated first; "" if they are not."""
        return self.fields.get("content-type", [""])[0]

    def content(self, limit: int) -> bytes:
        """The body as it was before it was sent.

        Raises TooLarge if it is larger than `limit` bytes, Refused if it cannot be unpacked.
        """
        transfer = self._listed("transfer-encoding")
        body = _joined(self.body) if "chunked" in transfer else self.body
        codings = [*self._listed("content-encoding"), *(one for one in transfer if one != "chunked")]
        return unpacked(body, codings, limit)

    def _listed(self, name: str) -> list[str]:
        values = ",".join(self.fields.get(name, ())).lower().split(",")
        return [value.strip() for value in values if value.strip()]


def _joined(body: bytes) -> bytes:
    """The chunks of a body; what is none stays as it is: archives hold bodies whose chunks are joined."""
    found, at = bytearray(), 0
    while chunk := _CHUNK.match(body, at):
        size = int(chunk[1], 16)
        at = chunk.end() + size
        found += body[chunk.end() : at]
        if not size or at >= len(body):
            return bytes(found)
        if end := _CHUNK_END.match(body, at):
            at = end.end()
    return bytes(found) + body[at:]
