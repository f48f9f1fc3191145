"""Clearing away the files that no generation needs any more.

A generation is needed while it is current or somebody has it open. Runs under the store's lock: what a job
that is not finished has written is in no manifest yet. Of a store in object storage only this machine's cache
is swept: which generations others read, nobody here can know.
"""

from dataclasses import dataclass
from pathlib import Path

from datastore.layout import TEMPORARY, Layout, held
from datastore.manifest import Manifest, at_generation, current
from datastore.origin import Origin

# What generations consist of; the stages' markers and the manifests themselves stay as a record.
_FOLDERS = ("passages", "vectors", "index", "lexical", "documents", "deleted", "takedowns")


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
        for path in sorted((layout.root / "manifests").glob("*.json")):
            if int(path.stem) != manifest.generation and held(path):
                in_use.append(int(path.stem))
                needed |= _files(layout, at_generation(layout, int(path.stem)))
        freed = 0
        for path in (path for folder in _FOLDERS for path in (layout.root / folder).rglob("*")):
            # What is still being written, such as lists for searching from disk, is not finished yet.
            if path.is_file() and path not in needed and path.suffix != TEMPORARY:
                freed += path.stat().st_size
                path.unlink()
        origin = Origin.of(layout.root)
        if origin is not None:
            origin.sweep()
    return Swept(freed, tuple(in_use))


def _files(layout: Layout, manifest: Manifest) -> set[Path]:
    listed = {layout.root / entry.path for entry in manifest.files}
    key, edition = manifest.index.key, manifest.edition
    return listed | {layout.card(key, edition), layout.lists(key, edition)}
