"""Which formats there are, told by a file's name, and the part of a file that one task reads."""

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from pipelines.readers.bytes.endings import COMPRESSIONS, compression, suffixes_of

if TYPE_CHECKING:
    from pipelines.config import Format

# C4, OSCAR and others ship JSON Lines as .json.gz, so .json means JSON Lines too.
_FORMATS: dict[str, "Format"] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
}
_FORMATS |= dict.fromkeys((".txt", ".text", ".md", ".markdown", ".rst"), "text")
_FORMATS |= dict.fromkeys((".html", ".htm", ".xhtml"), "html")
_FORMATS |= {".csv": "csv", ".tsv": "csv"}
_FORMATS |= {".pdf": "pdf", ".docx": "docx", ".epub": "epub"}
_FORMATS |= {".warc": "warc", ".wet": "warc", ".xml": "mediawiki"}
# The others are read whole, or compressed inside.
_COMPRESSIBLE = ("jsonl", "csv", "warc", "mediawiki")
_ENDING = re.compile(r"\.\w{1,12}")
EXTENSIONS = frozenset(_FORMATS) | frozenset(COMPRESSIONS)
READABLE = (
    "JSONL, CSV, TSV, WARC, WET and MediaWiki dumps (.xml), each plain, .gz, .zst, .bz2 or .xz; Parquet, "
    "text, Markdown, HTML, PDF, DOCX and EPUB"
)


@dataclass(frozen=True, slots=True)
class Segment:
    """Part of a file that one task reads: bytes of JSON Lines or a dump, row groups of Parquet, else all.

    `begin` and `end` count bytes (as the file holds them) or row groups; `end` -1 is the file's end.
    `first_record` is the number of records (lines, rows) before `begin`. `kind` is a format, or "hf".
    """

    path: str
    name: str
    kind: str
    begin: int = 0
    end: int = -1
    first_record: int = 0

    @property
    def in_bytes(self) -> bool:
        """Whether `begin` and `end` are offsets in the file."""
        return self.kind in ("jsonl", "mediawiki")


def format_of(path: str, forced: "Format | None" = None) -> "Format | None":
    """The format of a file by its name, or the one that its source forces; None if it cannot be read."""
    suffixes = suffixes_of(path)
    compressed = compression(path) is not None
    if compressed:
        suffixes.pop()
    found = forced or (_FORMATS.get(suffixes[-1]) if suffixes else None)
    return found if not compressed or found in _COMPRESSIBLE else None


def ending(name: str) -> str:
    """How a name ends, as far as that may tell a format: ".pptx", ".txt.gz"; empty if it does not."""
    suffixes = [suffix.lower() for suffix in PurePath(name).suffixes]
    last = suffixes[-2:] if suffixes and suffixes[-1] in COMPRESSIONS else suffixes[-1:]
    # Not what ends a sentence, or should not reach a terminal.
    return "".join(suffix for suffix in last if _ENDING.fullmatch(suffix))
