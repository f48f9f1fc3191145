"""The generations of a datastore: publishing one, and reading the current one.

The pointer `manifest.json` names the current generation's immutable file and is replaced last:
before that the store does not exist for a reader, after it the store is whole.

Decisions: docs/decisions/generations-and-takedowns.md.
"""

from pathlib import Path
from typing import Any

import orjson

from base.errors import RalmError
from datastore.files.hold import Hold
from datastore.files.json import read_json, to_json
from datastore.files.layout import Layout
from datastore.files.writing import atomic_write, checksum, checksum_of
from datastore.generations.manifest import Manifest, parse
from datastore.objects.origin import CACHE, Origin, address_of, fetch

# Of a file that might tell a store; other people's are not read for it.
_LARGEST = 1 << 30


def publish(layout: Layout, manifest: Manifest) -> None:
    """Write a generation, then make it the current one by replacing the pointer.

    Of a store in object storage, raises RalmError if another machine has published one meanwhile.
    """
    path = layout.manifest(manifest.generation)
    relative, data = path.relative_to(layout.root).as_posix(), manifest.to_bytes()
    xxh3 = checksum_of(data)
    pointer = to_json({"file": relative, "generation": manifest.generation, "xxh3": xxh3})
    origin = Origin.of(layout.root)
    if origin is not None:
        put_files(layout, manifest)
        origin.publish((relative, data), pointer, manifest.generation)
        return  # Into the cache it comes as any other generation does.
    atomic_write(path, lambda handle: handle.write(data))
    atomic_write(layout.pointer, lambda handle: handle.write(pointer))


def put_files(layout: Layout, manifest: Manifest) -> None:
    """Put the files of a generation, and its index's card, into object storage, if the store lies there.

    Apart from `publish`, which holds the store: this may take hours, and can be done before.
    """
    origin = Origin.of(layout.root)
    if origin is not None:
        origin.put(manifest.files, current(layout).files if published(layout) else ())
        origin.put_card(layout.card(manifest.index.key, manifest.edition), manifest.index_hash)


def fetch_searched(layout: Layout, manifest: Manifest, full: bool = False) -> None:
    """See to it that what a search reads lies in the store's folder; `full` compares checksums."""
    origin = Origin.of(layout.root)
    if origin is not None:
        origin.fetch(manifest.searched, full)
        origin.fetch_card(layout.card(manifest.index.key, manifest.edition), manifest.index_hash)


def _pointer(layout: Layout) -> Any:
    """What the pointer holds, None if there is none. Raises RalmError if it is no JSON, or lost."""
    origin = Origin.of(layout.root)
    if origin is None:
        return read_json(layout.pointer) if _has_pointer(layout) else None
    found = origin.pointer()
    try:
        return None if found is None else orjson.loads(found[0])
    except orjson.JSONDecodeError:
        return {}  # Somebody else's.


def current_hash(layout: Layout) -> str:
    """The hash of the current generation, from the pointer alone."""
    found = _pointer(layout)
    return str(found.get("xxh3")) if isinstance(found, dict) else ""


def published(layout: Layout) -> bool:
    """Whether the store has a current generation. Raises RalmError if the pointer to it is lost."""
    origin = Origin.of(layout.root)
    return _has_pointer(layout) if origin is None else origin.pointer() is not None


def is_store(folder: Path) -> bool:
    """Whether a folder holds a datastore, finished or not, or is the cache of one: by what it says itself."""
    signs: tuple[tuple[str, set[str]], ...] = (
        ("manifest.json", {"file", "generation", "xxh3"}),
        ("stages/build.json", {"config", "splits"}),
        (CACHE, {"address"}),
        ("manifests/000001.json", {"format_version", "shards"}),
    )
    return any(fields <= _fields(folder / name) for name, fields in signs)


def _fields(path: Path) -> set[str]:
    """The fields of an object in a JSON file; none of any other file."""
    try:
        found = orjson.loads(path.read_bytes()) if path.stat().st_size < _LARGEST else None
    except (OSError, orjson.JSONDecodeError):
        return set()
    return set(found) if isinstance(found, dict) else set()


def _has_pointer(layout: Layout) -> bool:
    if layout.pointer.exists():
        return True
    # One generation may wait to be published. After more a build would publish the first one again, and
    # show what later ones had taken down.
    later = max((path.name for path in layout.manifests.glob("??????.json")), default="")
    if later > layout.manifest(1).name:
        raise RalmError(
            f"{layout.pointer}, which names the current generation, is missing: restore it from a copy (the "
            f"last generation that was written is manifests/{later})."
        )
    return False


def open_current(layout: Layout) -> tuple[Manifest, Hold]:
    """Read the current generation and hold it, so that its files stay until the hold is released."""
    while True:
        before = current_hash(layout)
        manifest = current(layout)
        hold = Hold(layout.manifest(manifest.generation))
        # Meanwhile another generation may have been published and this one's files swept away.
        if current_hash(layout) == before:
            return manifest, hold
        hold.release()


def current(layout: Layout) -> Manifest:
    """Read the current generation. Raises RalmError if there is none, or if it is damaged."""
    name = address_of(layout.root)
    if not layout.root.is_dir():
        raise RalmError(f"There is no datastore at {name}: build one with `ralm build`.")
    pointer = _pointer(layout)
    if pointer is None and not is_store(layout.root):
        raise RalmError(f"{name} is no datastore: name the folder of one, or build one with `ralm build`.")
    if pointer is None:
        hint = (
            "its build is not finished, run the same `ralm build` again (`ralm status` says what is left)"
            if layout.build_file.exists()
            else "build one with `ralm build`"
        )
        raise RalmError(f"{name} holds no finished datastore: {hint}.")
    try:
        file, expected = pointer["file"], pointer["xxh3"]
    except (KeyError, TypeError):
        raise RalmError(f"{name}/manifest.json is not a ralm manifest: is this the right folder?") from None
    origin = Origin.of(layout.root)
    if origin is not None:
        return _read(origin.fetch_manifest(file, expected))
    path = layout.root / file
    if not path.exists() or checksum(path) != expected:
        raise RalmError(
            f"{path} is missing or damaged: restore it from a copy, or build again in another folder."
        )
    return _read(path)


def current_whole(layout: Layout) -> Manifest:
    """The current generation, with all its files in the store's folder: what changes shards needs them."""
    manifest = current(layout)
    fetch(layout.root, manifest.files)
    return manifest


def at_generation(layout: Layout, generation: int) -> Manifest:
    """Read an earlier generation; its files are there as long as a job or a reader needs them."""
    path = layout.manifest(generation)
    if not path.exists():
        raise RalmError(
            f"{path}, the generation that a job was begun with, is missing: restore it from a copy."
        )
    return _read(path)


def _read(path: Path) -> Manifest:
    return parse(path.read_bytes(), path)
