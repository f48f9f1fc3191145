"""Reading a whole store and saying what is wrong with it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from datastore.errors import RalmError
from datastore.layout import Layout
from datastore.manifest import Manifest, open_current
from datastore.origin import Origin, address_of, locate
from datastore.schema import passage_at
from datastore.store import file_problem, open_array, open_shard
from datastore.takedown import Takedowns


def count_problems(manifest: Manifest) -> Iterator[str]:
    """Where the counts of a build do not add up: every record read is indexed or accounted for."""
    counts: dict[str, Any] = manifest.counts
    removed = sum(n for name, n in counts.items() if name.startswith("removed."))
    skipped = sum(n for name, n in counts.items() if name.startswith("skipped."))
    if counts["records"] != counts["documents"] + counts["unreadable"] + skipped:
        yield "records read are not documents plus unreadable and skipped records"
    if counts["documents"] != counts["indexed"] + removed:
        yield "documents are not those indexed plus those removed"
    if counts["passages"] != manifest.rows:
        yield "passages are not the rows of the shards"
    if sum(manifest.domains.values()) != manifest.passages:
        yield "the passages of all domains are not the passages that count"


def verify(path: Path | str) -> list[str]:
    """Read everything and say what is wrong, one sentence each; an empty list is a whole store.

    Checks every checksum, that the counts add up, that passages, vectors and index codes have the same rows,
    and that nothing taken down is shown.
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
        if int((~alive).sum()) != entry.taken_down:
            problems.append(
                f"{layout.root / entry.passages.path}: other rows are deleted than the manifest counts."
            )
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
