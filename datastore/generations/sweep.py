"""Clearing away the files that no generation needs any more.

A generation is needed while it is current or somebody has it open. Runs under the store's lock: what a job
that is not finished has written is in no manifest yet. Of a store in object storage only this machine's cache
is swept so: which generations others read, nobody here can know. Its objects go by age (`sweep_objects`).

Decisions: docs/decisions/generations-and-takedowns.md, object-storage.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from base.errors import RalmError
from datastore.files.hold import held
from datastore.files.layout import MANIFESTS, REMOVED, Folder, Layout
from datastore.files.writing import TEMPORARY
from datastore.generations.generation import at_generation, current, current_hash
from datastore.generations.manifest import Manifest, parse
from datastore.objects.bucket import Listed
from datastore.objects.origin import Origin, address_of

# A sweep of objects leaves at least the last so many days alone.
LEAST_DAYS = 1
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Swept:
    """Bytes freed, and the earlier generations whose files stay because somebody reads them."""

    bytes: int
    open: tuple[int, ...]


def sweep(layout: Layout) -> Swept:
    """Delete every file that belongs to no generation in use.

    Nothing is published meanwhile: the files of a takedown lie there before its manifest does.
    """
    with layout.publishing():
        manifest = current(layout)
        in_use, needed = [], _files(layout, manifest)
        for path in sorted(layout.manifests.glob("*[0-9].json")):
            if int(path.stem) != manifest.generation and held(path):
                in_use.append(int(path.stem))
                needed |= _files(layout, at_generation(layout, int(path.stem)))
        freed = 0
        for path in (path for folder in Folder for path in (layout.root / folder).rglob("*")):
            # What is still being written, such as lists for searching from disk, is not finished yet.
            if path.is_file() and path not in needed and path.suffix != TEMPORARY:
                freed += path.stat().st_size
                path.unlink()
        origin = Origin.of(layout.root)
        if origin is not None:
            origin.forget()
    return Swept(freed, tuple(in_use))


def sweep_objects(layout: Layout, days: float, now: datetime | None = None) -> Swept:
    """Delete from object storage what no generation of the last so many `days` consists of.

    A generation counts until so long after the next one came: whoever has opened it has its files in a cache,
    and whoever is opening it has that long. An object that was put within that time stays, in a manifest or
    not: a job may be about to publish it. Manifests stay as a record.
    """
    origin = Origin.of(layout.root)
    if origin is None:
        current(layout)  # A mistyped name is the likelier reason.
        raise RalmError(f"{layout.root} is swept by `ralm compact`: only object storage is swept by age.")
    if days < LEAST_DAYS:
        raise RalmError(f"Objects of the last {LEAST_DAYS} day stay, a job may need them: not {days}.")
    bound = (now or datetime.now(UTC)) - timedelta(days=days)
    there = origin.bucket.listed()
    hash_ = current_hash(layout)
    kept = [current(layout), *_recent(origin, there, bound)]
    cards = {(layout.card(m.index.key, m.edition), m.index_hash) for m in kept}
    needed = origin.keys((file for manifest in kept for file in manifest.files), cards)
    old = [
        key
        for key, one in sorted(there.items())
        if key.split("/")[0] in (*Folder, REMOVED) and key not in needed and one.modified < bound
    ]
    freed = 0
    for at in range(0, len(old), _BATCH):
        if current_hash(layout) != hash_:
            raise RalmError(f"{address_of(layout.root)} has just been changed: run the same command again.")
        batch = old[at : at + _BATCH]
        origin.bucket.delete(batch)
        freed += sum(there[key].bytes for key in batch)
    return Swept(freed, tuple(sorted({manifest.generation for manifest in kept[1:]} - {kept[0].generation})))


def _recent(origin: Origin, there: Mapping[str, Listed], bound: datetime) -> list[Manifest]:
    """The generations that have been current since a time, and those that never were but may become it."""
    manifests = {key: one for key, one in there.items() if key.startswith(f"{MANIFESTS}/")}
    numbers = {key: int(Path(key).name.split(".")[0]) for key in manifests}
    new = [numbers[key] for key, one in manifests.items() if one.modified >= bound]
    if not new:
        return []
    # The one before the first of these was replaced by it.
    found = [(key, origin.bucket.read(key)) for key in manifests if numbers[key] >= min(new) - 1]
    return [parse(read[0], key) for key, read in found if read]


def _files(layout: Layout, manifest: Manifest) -> set[Path]:
    listed = {layout.root / entry.path for entry in manifest.files}
    key, edition = manifest.index.key, manifest.edition
    return listed | {layout.card(key, edition), layout.lists(key, edition)}
