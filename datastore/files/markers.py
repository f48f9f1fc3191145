"""What a finished task leaves: its counts and its files, with a checksum.

Decisions: docs/decisions/execution.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from base.errors import RalmError
from datastore.files.json import read_json, to_json
from datastore.files.writing import FileInfo, checksum_of


@dataclass(frozen=True, slots=True)
class Marker:
    """What one task of a stage did: its counts and the files it wrote.

    `aside` goes with what is measured, into a file of its own: none of it is in the marker that is written.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    files: tuple[FileInfo, ...] = ()
    aside: Mapping[str, Any] = field(default_factory=dict, compare=False)


def content_of(marker: Marker) -> dict[str, Any]:
    """What is written of a marker, beside its checksum."""
    return {
        "counts": dict(marker.counts),
        "files": [[f.path, f.bytes, f.xxh3] for f in marker.files],
    }


def read_marker(path: Path) -> Marker:
    """Read a marker. Raises RalmError if it is not what was written; early ones have no checksum."""
    try:
        found = read_json(path)
        content = {name: found[name] for name in ("counts", "files")}
        if found.keys() - content.keys() and found["xxh3"] != checksum_of(to_json(content)):
            raise ValueError("its checksum differs")
        return Marker(content["counts"], tuple(FileInfo(*file) for file in content["files"]))
    except (RalmError, KeyError, TypeError, ValueError, AttributeError):
        raise RalmError(
            f"{path} is damaged: delete it, and if its store is not finished run the same command again: its "
            "task is done anew."
        ) from None
