"""What could not be read, by file: a number of records tells nobody which ones to mend."""

from collections import Counter
from itertools import islice
from pathlib import Path

import orjson

from pipelines.show.terminal import console

# Lines that are looked at, and files that are named.
_LINES, _FILES = 10_000, 6
_REASON_CHARACTERS = 160


def unreadable(folder: Path) -> None:
    """Print what is listed in a folder (`removed/.../unreadable`), a line for each of the first files."""
    console.print(f"What could not be read: {folder}/", style="yellow", markup=False, soft_wrap=True)
    counts, first = _by_file(folder)
    for file, count in list(counts.items())[:_FILES]:
        record, reason = first[file]
        more = f" and {count - 1:,} more" if count > 1 else ""
        where = f"{file}, record {record}{more}" if count > 1 or record > 1 else file
        console.print(f"  {where}: {reason}", style="yellow", markup=False, soft_wrap=True)
    if len(counts) > _FILES:
        console.print(f"  and {len(counts) - _FILES:,} more files", style="yellow", markup=False)


def _by_file(folder: Path) -> tuple[Counter[str], dict[str, tuple[int, str]]]:
    """How many records of each file are listed, and the first record of each with its reason."""
    counts: Counter[str] = Counter()
    first: dict[str, tuple[int, str]] = {}
    lines = (line for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().splitlines())
    for line in islice(lines, _LINES):
        one = orjson.loads(line)
        counts[one["file"]] += 1
        first.setdefault(one["file"], (one["record"], one["reason"][:_REASON_CHARACTERS]))
    return counts, first
