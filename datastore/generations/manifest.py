"""What a datastore is: encoder, chunking, shards, index, counts and checksums, per generation.

Knows nothing of which generation is the current one (`generation.py`).

Decisions: docs/decisions/encoders.md, generations-and-takedowns.md.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from base.errors import RalmError
from base.fields import later
from base.invalid import sentence
from datastore.files.json import from_json, to_json
from datastore.files.writing import FileInfo, checksum_of

FORMAT_VERSION = 3
# Totals that later stores count where some of them are dropped: passages that were cut, lines compared.
PASSAGES_CUT, LINES_COMPARED = "passages_cut", "lines_compared"
# Count lines, and passages, that occurred before; passages that hold evaluation text, all of them, and those
# that hold some of one file of questions, by its name.
REPEATED_LINES, DUPLICATE = "repeated_lines", "dropped.duplicate"
CONTAMINATED, CONTAMINATED_BY = "dropped.contaminated", "contaminated_by."
# Counts the passages that compactions have left out.
TAKEN_DOWN = "dropped.taken_down"
# Counts the documents that were read out of compressed data whose checksum is wrong or missing.
DOUBTFUL = "doubtful"
Dtype = Literal["float32", "bfloat16", "float16"]
Device = Literal["cpu", "cuda"]
Pooling = Literal["mean", "cls", "last"]


class _Frozen(BaseModel):
    """Part of a manifest. A field that is added to one is `later`: stores from before it keep their bytes."""

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
    pooling: Pooling | None = later()
    query: "EncoderCard | None" = later()

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


class FileEntry(_Frozen):
    """A file of the store: path relative to its root, size in bytes, checksum (128-bit xxh3)."""

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
    """One source of the corpus, by the name its documents' default ids begin with.

    `called` is its name without the number that an addition puts behind one that is taken, and
    `default_domain` the domain of records that state none, where the name does not tell these.
    """

    name: str
    domain: str | None
    bytes: int
    called: str | None = later()
    default_domain: str | None = later()


class Manifest(_Frozen):
    """One generation of a datastore; `domains` and metadata `columns` count the passages of each.

    `edition` counts what changed its shards: 0 after the build, one more with each addition and compaction.
    `next_shard` numbers the files of the next one: a number is never used twice.
    `documents` are hashes of all documents, which an addition is compared with, `passage_hashes` of all
    passages and `line_hashes` of all lines, where none may be repeated, `near` what near-duplicates are found
    by, where none may be there; `takedowns` list what may not come back, `contamination` the evaluation texts
    that no passage may hold. `mean_words` is the mean passage length that BM25 weights were computed with.
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
    contamination: FileEntry | None = later()
    passage_hashes: tuple[FileEntry, ...] = later(())
    line_hashes: tuple[FileEntry, ...] = later(())
    near: tuple[FileEntry, ...] = later(())
    removed: tuple[FileEntry, ...]

    @property
    def rows(self) -> int:
        """Number of rows, taken down or not: row ids go from 0 to one less."""
        return sum(shard.rows for shard in self.shards)

    @property
    def has_words(self) -> bool:
        """Whether there is a BM25 index."""
        return all(shard.lexical is not None for shard in self.shards)

    @property
    def passages(self) -> int:
        """Number of passages that count."""
        return self.rows - sum(shard.taken_down for shard in self.shards)

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """Every file this generation consists of."""
        shards = (file for shard in self.shards for file in shard.files)
        checked = (self.contamination,) if self.contamination else ()
        return (self.index.trained, *self.removed, *self.compared, *self.takedowns, *checked, *shards)

    @property
    def compared(self) -> tuple[FileEntry, ...]:
        """The files that what is added is compared with."""
        return (*self.documents, *self.passage_hashes, *self.line_hashes, *self.near)

    @property
    def searched(self) -> tuple[FileEntry, ...]:
        """The files that a search reads."""
        return (self.index.trained, *(file for shard in self.shards for file in shard.files))

    @property
    def deciding(self) -> tuple[FileEntry, ...]:
        """The small files that decide over all that a search shows."""
        return (self.index.trained, *self.takedowns, *(s.deleted for s in self.shards if s.deleted))

    @property
    def index_hash(self) -> str:
        """Hash of all files an index consists of: tells one store's from another's."""
        files = [self.index.trained, *(s.codes or s.vectors for s in self.shards)]
        return checksum_of("".join(file.xxh3 for file in files).encode())

    def to_bytes(self) -> bytes:
        """Canonical JSON: equal manifests are equal bytes."""
        return to_json(self.model_dump(mode="json"))

    @cached_property
    def hash(self) -> str:
        """Checksum of its bytes: names this state of the datastore in a figure.

        Of the bytes that it was read from, if it was: a reader compares it with what the pointer says, and
        must find them the same whatever this ralm would write.
        """
        return checksum_of(self.to_bytes())

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other values of some fields, and so with a hash of its own."""
        found = super().model_copy(update=update, deep=deep)
        found.__dict__.pop("hash", None)
        return found


def parse(data: bytes, path: object) -> Manifest:
    """A manifest out of its file's bytes; `path` is what to call it.

    Raises RalmError if it is none of this format.
    """
    found = from_json(data, path)
    version = found.get("format_version") if isinstance(found, dict) else None
    if version != FORMAT_VERSION:
        raise RalmError(
            f"{path} has format version {version}, this ralm reads "
            f"{FORMAT_VERSION}: use the ralm that built it, or build again."
        )
    try:
        manifest = Manifest.model_validate(found)
    except ValidationError as error:
        problem = sentence(Manifest, error.errors(), "it")
        raise RalmError(f"{path} is not a valid manifest: {problem}") from None
    manifest.__dict__["hash"] = checksum_of(data)
    return manifest
