"""What a datastore is: encoder, chunking, shards, index, counts and checksums, per generation.

The pointer `manifest.json` names the current generation's immutable file and is replaced last:
before that the store does not exist for a reader, after it the store is whole.
"""

from pathlib import Path
from typing import Any, Literal

import orjson
import xxhash
from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, ValidationError, model_serializer

from datastore.errors import RalmError
from datastore.layout import FileInfo, Hold, Layout, atomic_write, checksum, read_json, to_json
from datastore.origin import Origin, address_of, fetch

FORMAT_VERSION = 3
# Fields of later stores of this version.
_LATER = ("contamination", "passage_hashes", "line_hashes")
# Totals that later stores count where some of them are dropped: passages that were cut, lines compared.
PASSAGES_CUT, LINES_COMPARED = "passages_cut", "lines_compared"
# Counts the passages that compactions have left out.
TAKEN_DOWN = "dropped.taken_down"
Dtype = Literal["float32", "bfloat16", "float16"]
Device = Literal["cpu", "cuda"]
Pooling = Literal["mean", "cls", "last"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EncoderCard(_Frozen):
    """Which model made the vectors, and how: enough to encode a query the same way.

    `max_tokens` is the longest input in tokens, special tokens and prompt included; `prompts` maps
    "query" and "passage" to the text put in front of each. `pooling` is that of a checkpoint that has none of
    its own. `query` is the tower that encodes queries, where it is another than the one for passages.
    """

    name: str
    weights_sha256: str
    dimension: int
    max_tokens: int
    dtype: Dtype
    prompts: dict[str, str]
    normalized: bool
    pooling: Pooling | None = None
    query: "EncoderCard | None" = None

    @property
    def for_queries(self) -> "EncoderCard":
        """The tower that encodes queries."""
        return self.query or self

    def at(self, name: str | None, query_name: str | None = None) -> "EncoderCard":
        """The same under the names by which it is found now, where those are others.

        Raises RalmError for a name of a tower that it does not have.
        """
        found: dict[str, Any] = {} if name is None else {"name": name}
        if query_name is not None:
            if self.query is None:
                raise RalmError(
                    f"The store was built with one encoder for passages and queries, {self.name}: leave out "
                    f"the query encoder {query_name}."
                )
            found["query"] = self.query.at(query_name)
        return self.model_copy(update=found)

    def compares_with(self, other: "EncoderCard") -> bool:
        """Whether a query is encoded for both alike, and its scores in both compare."""
        return self._is_tower(other) and self.for_queries._is_tower(other.for_queries)

    def _is_tower(self, other: "EncoderCard") -> bool:
        """Whether it is the same model, used in the same way; early stores do not say how they pool."""
        mine = (self.weights_sha256, self.prompts, self.normalized)
        pooled_alike = None in (self.pooling, other.pooling) or self.pooling == other.pooling
        return pooled_alike and mine == (other.weights_sha256, other.prompts, other.normalized)

    @model_serializer(mode="wrap")
    def _as_before(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what one tower that pools by itself does not have: early stores keep their hashes."""
        content: dict[str, Any] = serialize(self)
        return {name: value for name, value in content.items() if value is not None}


class FileEntry(_Frozen):
    """A file of the store: path relative to its root, size in bytes, 128-bit xxh3."""

    path: str
    bytes: int
    xxh3: str

    @classmethod
    def of(cls, info: FileInfo) -> "FileEntry":
        return cls(path=info.path, bytes=info.bytes, xxh3=info.xxh3)


class ShardEntry(_Frozen):
    """Rows [first_row, first_row + rows) of the store.

    `taken_down` of them count no more; `deleted` says which: uint8 [ceil(rows / 8)], a bit a row from the
    lowest on.
    """

    first_row: int
    rows: int
    passages: FileEntry
    vectors: FileEntry
    codes: FileEntry | None
    lexical: tuple[FileEntry, ...] | None = None
    deleted: FileEntry | None = None
    taken_down: int = 0

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """Every file of the shard."""
        maybe = (self.codes, self.deleted)
        return (self.passages, self.vectors, *(self.lexical or ()), *(file for file in maybe if file))


class IndexEntry(_Frozen):
    """The index: its key, and the recall@10 that a search aims at unless it says otherwise."""

    key: str
    recall: float
    trained: FileEntry


class SourceEntry(_Frozen):
    """One source of the corpus, by the name its documents' default ids begin with."""

    name: str
    domain: str | None
    bytes: int


class Manifest(_Frozen):
    """One generation of a datastore; `domains` and metadata `columns` count the passages of each.

    `edition` counts what changed its shards: 0 after the build, one more with each addition and compaction.
    `next_shard` numbers the files of the next one: a number is never used twice.
    `documents` are hashes of all documents, which an addition is compared with, `passage_hashes` of all
    passages and `line_hashes` of all lines, where none may be repeated; `takedowns` list what may not come
    back, `contamination` the evaluation texts that no passage may hold. `mean_words` is the mean passage
    length that BM25 weights were computed with.
    """

    format_version: int = FORMAT_VERSION
    generation: int
    edition: int = 0
    next_shard: int
    sources: tuple[SourceEntry, ...]
    config: dict[str, Any]
    encoder: EncoderCard
    index: IndexEntry
    mean_words: float | None = None
    shards: tuple[ShardEntry, ...]
    domains: dict[str, int]
    columns: dict[str, int]
    counts: dict[str, int]
    documents: tuple[FileEntry, ...] = ()
    takedowns: tuple[FileEntry, ...] = ()
    contamination: FileEntry | None = None
    passage_hashes: tuple[FileEntry, ...] = ()
    line_hashes: tuple[FileEntry, ...] = ()
    removed: tuple[FileEntry, ...]

    @property
    def rows(self) -> int:
        """Number of rows, taken down or not: row ids go from 0 to one less."""
        return sum(shard.rows for shard in self.shards)

    @property
    def passages(self) -> int:
        """Number of passages that count."""
        return self.rows - sum(shard.taken_down for shard in self.shards)

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """Every file this generation consists of."""
        shards = (file for shard in self.shards for file in shard.files)
        compared = (*self.documents, *self.passage_hashes, *self.line_hashes, *self.takedowns)
        checked = (self.contamination,) if self.contamination else ()
        return (self.index.trained, *self.removed, *compared, *checked, *shards)

    @property
    def searched(self) -> tuple[FileEntry, ...]:
        """The files that a search reads."""
        return (self.index.trained, *(file for shard in self.shards for file in shard.files))

    @property
    def index_hash(self) -> str:
        """Hash of all files an index consists of: tells one store's from another's."""
        files = [self.index.trained, *(s.codes or s.vectors for s in self.shards)]
        return xxhash.xxh3_128_hexdigest("".join(file.xxh3 for file in files).encode())

    def to_bytes(self) -> bytes:
        """Canonical JSON: equal manifests are equal bytes."""
        options = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        content = self.model_dump(mode="json")
        # What a store does not have leaves its bytes, and so its hash, as they were before there was such.
        absent = {name for name in _LATER if not content[name]}
        return orjson.dumps({n: v for n, v in content.items() if n not in absent}, option=options)

    @property
    def hash(self) -> str:
        """128-bit xxh3 of the canonical JSON: names this state of the datastore in a figure."""
        return xxhash.xxh3_128_hexdigest(self.to_bytes())


def publish(layout: Layout, manifest: Manifest) -> None:
    """Write a generation, then make it the current one by replacing the pointer.

    Of a store in object storage, raises RalmError if another machine has published one meanwhile.
    """
    path = layout.manifest(manifest.generation)
    relative, data = path.relative_to(layout.root).as_posix(), manifest.to_bytes()
    pointer = to_json({"file": relative, "generation": manifest.generation, "xxh3": manifest.hash})
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
    """What the pointer holds, None if there is none. Raises RalmError if it is no JSON."""
    origin = Origin.of(layout.root)
    if origin is None:
        return read_json(layout.pointer) if layout.pointer.exists() else None
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
    """Whether the store has a current generation."""
    origin = Origin.of(layout.root)
    return layout.pointer.exists() if origin is None else origin.pointer() is not None


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
        raise RalmError(f"{path} is missing or damaged: restore it from a copy, or build again.")
    return _read(path)


def current_whole(layout: Layout) -> Manifest:
    """The current generation, with all its files in the store's folder: what changes shards needs them."""
    manifest = current(layout)
    fetch(layout.root, manifest.files)
    return manifest


def at_generation(layout: Layout, generation: int) -> Manifest:
    """Read an earlier generation; its files are there as long as a job or a reader needs them."""
    return _read(layout.manifest(generation))


def _read(path: Path) -> Manifest:
    return parse(read_json(path), path)


def parse(found: Any, path: object) -> Manifest:
    """A manifest out of JSON; `path` is what to call it. Raises RalmError if it is none of this format."""
    version = found.get("format_version") if isinstance(found, dict) else None
    if version != FORMAT_VERSION:
        raise RalmError(
            f"{path} has format version {version}, this ralm reads "
            f"{FORMAT_VERSION}: use the ralm that built it, or build again."
        )
    try:
        return Manifest.model_validate(found)
    except ValidationError as error:
        raise RalmError(f"{path} is not a valid manifest: {error.errors()[0]['msg']}.") from None
