"""Reading a whole store and saying what is wrong with it.

Decisions: docs/decisions/passages.md.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from base.errors import RalmError
from datastore.files.json import read_checked, read_json
from datastore.files.layout import Layout
from datastore.files.markers import read_marker
from datastore.generations.generation import open_current
from datastore.generations.manifest import (
    CONTAMINATED,
    CONTAMINATED_BY,
    DOUBTFUL,
    DUPLICATE,
    LINES_COMPARED,
    PASSAGES_CUT,
    REPEATED_LINES,
    TAKEN_DOWN,
    FileEntry,
    Manifest,
)
from datastore.integrity import file_problem
from datastore.objects.origin import Origin, address_of, locate
from datastore.schema import passage_at
from datastore.shard import open_array, open_shard
from datastore.takedown import Takedowns


def count_problems(manifest: Manifest) -> Iterator[str]:
    """Where the counts of a build do not add up.

    Every record read is indexed or accounted for, and so is every passage that was cut.
    """
    counts: dict[str, Any] = manifest.counts
    removed = sum(n for name, n in counts.items() if name.startswith("removed."))
    skipped = sum(n for name, n in counts.items() if name.startswith("skipped."))
    if counts["records"] != counts["documents"] + counts["unreadable"] + skipped:
        yield "records read are not documents plus unreadable and skipped records"
    if counts["documents"] != counts["indexed"] + removed:
        yield "documents are not those indexed plus those removed"
    if counts.get(DOUBTFUL, 0) > counts["documents"]:
        yield "doubtful documents are more than were read"
    if counts["passages"] != manifest.rows:
        yield "passages are not the rows of the shards"
    if sum(manifest.domains.values()) != manifest.passages:
        yield "the passages of all domains are not the passages that count"
    yield from _dropped_problems(counts)


def _dropped_problems(counts: dict[str, int]) -> Iterator[str]:
    """Where passages that were dropped do not add up; early stores that drop some do not say of how many."""
    dropped = sum(n for name, n in counts.items() if name.startswith("dropped."))
    if PASSAGES_CUT in counts and counts[PASSAGES_CUT] != counts["passages"] + dropped:
        yield "passages that were cut are not those of the shards plus those dropped"
    by_file = [n for name, n in counts.items() if name.startswith(CONTAMINATED_BY)]
    # A passage may hold text of several files: it counts for each, and is dropped once.
    if by_file and not max(by_file) <= counts.get(CONTAMINATED, 0) <= sum(by_file):
        yield "passages dropped as contaminated are not those dropped for the files of questions"


def _repeat_problems(layout: Layout, manifest: Manifest) -> Iterator[str]:
    """Where what stayed of passages or lines that may not be repeated is not what was counted."""
    counts = manifest.counts
    # Hashes of what is taken down stay: a compaction drops passages alone.
    known = counts["passages"] + counts.get(TAKEN_DOWN, 0)
    compared = PASSAGES_CUT in counts and DUPLICATE in counts
    if compared and known != _rows(layout, manifest.passage_hashes):
        yield "passages are not those that additions are compared with"
    stayed = counts.get(LINES_COMPARED, 0) - counts.get(REPEATED_LINES, 0)
    if LINES_COMPARED in counts and stayed != _rows(layout, manifest.line_hashes):
        yield "lines that were compared are not those that stayed plus those left out"


def _card_problems(layout: Layout, manifest: Manifest) -> Iterator[str]:
    """A card is measured, so in no checksum, and a store does without; but a search refuses another's."""
    path = layout.card(manifest.index.key, manifest.edition)
    origin = Origin.of(layout.root)
    if origin is not None:
        origin.fetch_card(path, manifest.index_hash)
    if not path.exists():
        return
    try:
        found = read_json(path)
    except RalmError:
        found = None
    if not isinstance(found, dict) or found.get("index") != manifest.index_hash:
        yield f"{path} is not this index's card: `ralm card {address_of(layout.root)}` measures one."


def _marker_problems(layout: Layout) -> Iterator[str]:
    """Which records of what tasks did cannot be read: `ralm status` and a job that goes on need them."""
    for path in sorted((layout.root / "stages").rglob("*.json")):
        try:
            if re.fullmatch(r"[0-9]+\.json", path.name):
                read_marker(path)
            elif path.name == layout.build_file.name:
                read_checked(path)
            else:
                read_json(path)
        except RalmError as error:
            yield str(error)


def _rows(layout: Layout, files: Sequence[FileEntry]) -> int:
    """How many rows arrays of the store have together."""
    return sum(len(open_array(layout.root / file.path)) for file in files)


def verify(path: Path | str) -> list[str]:
    """Read everything and say what is wrong, one sentence each; an empty list is a whole store.

    Checks every checksum, that the counts add up (of records, and of passages and lines where some were
    dropped), that passages, vectors and index codes have the same rows, that nothing taken down is shown, and
    that the records of what tasks did can be read.
    """
    layout = Layout(locate(path))
    manifest, hold = open_current(layout)  # Held: nothing of it is swept away meanwhile.
    try:
        return _problems(layout, manifest)
    finally:
        hold.release()


def _problems(layout: Layout, manifest: Manifest) -> list[str]:
    origin = Origin.of(layout.root)
    if origin is not None:
        if problems := origin.problems(manifest.files):
            return problems
        origin.fetch(manifest.files, full=True)
    problems = [p for e in manifest.files if (p := file_problem(layout, e, full=True))]
    problems += [f"{address_of(layout.root)}/manifest.json: {p}." for p in count_problems(manifest)]
    if problems:
        return problems
    problems += [f"{address_of(layout.root)}/manifest.json: {p}." for p in _repeat_problems(layout, manifest)]
    problems += _card_problems(layout, manifest)
    problems += _marker_problems(layout)
    takedowns = Takedowns.load(layout, manifest)
    for entry in manifest.shards:
        try:
            shard = open_shard(layout.root, entry)
        except RalmError as error:
            problems.append(str(error))
            continue
        if entry.codes and len(open_array(layout.root / entry.codes.path)) != entry.rows:
            problems.append(f"{layout.root / entry.codes.path} has not {entry.rows} rows.")
        alive = np.ones(entry.rows, bool) if shard.alive is None else shard.alive
        if (takedowns.rows(shard.passages) & alive).any():
            problems.append(f"{layout.root / entry.passages.path} shows passages that are taken down.")
        problems += list(_identity_problems(layout.root / entry.passages.path, shard.passages))
    return problems


def _identity_problems(path: Path, passages: pa.RecordBatch) -> Iterator[str]:
    if not passages.num_rows:
        return
    for row in {0, passages.num_rows - 1}:
        if passage_at(passages, row).key != passages.column("key")[row].as_py():
            yield f"{path}: the key of row {row} is not the hash of its identity."
