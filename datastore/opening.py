"""Whether what a search reads is there, and what it was: looked at before a store is opened."""

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.generations.generation import fetch_searched
from datastore.generations.manifest import FileEntry, Manifest
from datastore.integrity import file_problem, require_whole
from datastore.shard import open_deleted

# Up to this size a store's checksums are compared when it is opened (about a tenth of a second); above it
# those of the small files that decide what is shown alone, and of the others sizes: `ralm verify` reads all.
FULL_CHECK_BYTES = 512 * 2**20


def require_searchable(layout: Layout, manifest: Manifest) -> None:
    """See to it that what a search reads is there. Raises RalmError naming a file that is missing or damaged.

    Takedowns are compared too, whatever the size: what is hidden must not depend on one bit.
    """
    full = sum(f.bytes for f in manifest.searched) <= FULL_CHECK_BYTES
    fetch_searched(layout, manifest, full)
    lost = {entry.path for entry in lost_words(layout, manifest)}
    for entry in manifest.searched:  # `verify` looks at the others.
        if entry.path in lost:
            continue  # What remains is searched without it.
        if problem := file_problem(layout, entry, full=full):
            raise RalmError(problem)
    require_whole(layout.root, manifest.deciding)
    for shard in manifest.shards:
        open_deleted(layout.root, shard)


def lost_words(layout: Layout, manifest: Manifest) -> list[FileEntry]:
    """The files of the BM25 index that are gone: what remains is searched without words."""
    files = (file for shard in manifest.shards for file in shard.lexical or ())
    return [file for file in files if not (layout.root / file.path).exists()]
