"""Which formats there are: all that is known of one is its record here and the modules that this names.

Those are loaded where a file of the format is read: a command that only lists formats loads none of the
libraries that read them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from types import MappingProxyType

from pipelines.readers.bytes.endings import COMPRESSIONS, compression, suffixes_of

_ENDING = re.compile(r"\.\w{1,12}")


@dataclass(frozen=True, slots=True)
class Format:
    """A format, or another kind of input that is read as one.

    `endings` are how names of its files end; without any, none is told by its name. `words` are what people
    call it. A `compressible` file may be compressed as a whole: others are read whole, or compressed inside.

    Functions are named as `MODULE:FUNCTION` below this package. `read` (segment, intake) gives the records of
    a segment. A large file is cut by `cut` (the whole segment, its bytes, bytes of a split), which gives
    segments and their bytes, or into ranges of bytes if its compression is among `ranges_in` (None: it has
    none); if records are `lines`, those before a range are counted first. `require` (path, intake) refuses a
    file that is named itself and can give no document. `unless` (path) tells by a file's beginning whether it
    is of the format `instead`.
    """

    name: str
    read: str
    endings: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    compressible: bool = False
    ranges_in: tuple[str | None, ...] = ()
    lines: bool = False
    cut: str = ""
    require: str = ""
    unless: str = ""
    instead: str = ""


HUB = "hf"
_ALL = (
    Format(
        "jsonl",
        "json.jsonl:read",
        # C4, OSCAR and others ship JSON Lines as .json.gz, so .json means JSON Lines too.
        endings=(".jsonl", ".ndjson", ".json"),
        words=("JSONL",),
        compressible=True,
        ranges_in=(None,),
        lines=True,
        unless="json.json_file:is_json_file",
        instead="json",
    ),
    Format("json", "json.json_file:read", compressible=True),
    Format(
        "csv",
        "tables.delimited:read",
        endings=(".csv", ".tsv"),
        words=("CSV", "TSV"),
        compressible=True,
        require="tables.delimited:require_text",
    ),
    Format(
        "parquet", "tables.parquet:read", endings=(".parquet",), words=("Parquet",), cut="tables.parquet:cut"
    ),
    Format(
        "text",
        "web.pages:read_text",
        endings=(".txt", ".text", ".md", ".markdown", ".rst"),
        words=("text", "Markdown"),
        compressible=True,
    ),
    Format(
        "html",
        "web.pages:read_html",
        endings=(".html", ".htm", ".xhtml"),
        words=("HTML",),
        compressible=True,
    ),
    Format("pdf", "documents.documents:read", endings=(".pdf",), words=("PDF",)),
    Format("docx", "documents.documents:read", endings=(".docx",), words=("DOCX",)),
    Format("epub", "documents.documents:read", endings=(".epub",), words=("EPUB",)),
    Format("warc", "web.warc:read", endings=(".warc", ".wet"), words=("WARC", "WET"), compressible=True),
    Format(
        "mediawiki",
        "wiki.mediawiki:read",
        endings=(".xml",),
        words=("MediaWiki dumps (.xml)",),
        compressible=True,
        ranges_in=(None, "bzip2"),  # Of the compressions bzip2 alone is one whose streams are found again.
    ),
    Format(HUB, "tables.hub:read"),
)
FORMATS: Mapping[str, Format] = MappingProxyType({one.name: one for one in _ALL})
# Those that a file may have, by its name or because its source says so.
FILE_FORMATS = tuple(one.name for one in _ALL if one.endings)
_BY_ENDING = {ending: one for one in _ALL for ending in one.endings}
EXTENSIONS = frozenset(_BY_ENDING) | frozenset(COMPRESSIONS)


def format_of(path: str, forced: str | None = None) -> Format | None:
    """The format of a file by its name, or the one that its source forces; None if it cannot be read."""
    found = _named(path, forced)
    return None if found is not None and _only_unpacked(found, path) else found


def only_unpacked(path: str, forced: str | None = None) -> bool:
    """Whether a file could be read if it were not compressed."""
    found = _named(path, forced)
    return found is not None and _only_unpacked(found, path)


def _only_unpacked(found: Format, path: str) -> bool:
    return not found.compressible and compression(path) is not None


def _named(path: str, forced: str | None) -> Format | None:
    """The format that a file has beneath a compression."""
    suffixes = suffixes_of(path)
    if compression(path) is not None:
        suffixes.pop()
    return FORMATS[forced] if forced else _BY_ENDING.get(suffixes[-1]) if suffixes else None


def ending(name: str) -> str:
    """How a name ends, as far as that may tell a format: ".pptx", ".txt.gz"; empty if it does not."""
    suffixes = [suffix.lower() for suffix in PurePath(name).suffixes]
    last = suffixes[-2:] if suffixes and suffixes[-1] in COMPRESSIONS else suffixes[-1:]
    # Not what ends a sentence, or should not reach a terminal.
    return "".join(suffix for suffix in last if _ENDING.fullmatch(suffix))


def _words(compressible: bool) -> list[str]:
    return [word for one in _ALL if one.compressible == compressible for word in one.words]


def _listed(words: list[str], joint: str) -> str:
    return f"{', '.join(words[:-1])} {joint} {words[-1]}"


UNPACKED = f"{_listed(_words(False), 'and')} files are read only unpacked"
READABLE = (
    f"{_listed(_words(True), 'and')}, each plain, {_listed([*COMPRESSIONS], 'or')}; "
    f"{_listed(_words(False), 'and')}"
)
