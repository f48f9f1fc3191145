"""One validated configuration for a build: everything its bytes depend on, and nothing else.

How many workers run it, and on which executor, is not in here: they change no byte.

Decisions: docs/decisions/contamination.md.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from base.amounts import parse_bytes
from base.errors import RalmError
from base.fields import later
from base.invalid import sentence
from datastore.generations.manifest import Device, Pooling
from pipelines.filters.chain import AnyRule
from pipelines.readers.formats import FILE_FORMATS
from pipelines.readers.metadata import MAX_METADATA_BYTES
from retriever.encoding.usage import DEFAULT_ENCODER, Similarity, Usage
from retriever.index.sizing import IndexKey


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _spelled_out(filters: Any) -> Any:
    """A filter that is only named has its published thresholds."""
    if not isinstance(filters, list | tuple):
        return filters
    return [{"name": one} if isinstance(one, str) else one for one in filters]


def _known_format(name: Any) -> Any:
    """A format of files; any other is answered with those that there are."""
    if name not in FILE_FORMATS:
        *others, last = (f"'{one}'" for one in FILE_FORMATS)
        raise PydanticCustomError(
            "literal_error", "Input should be {expected}", {"expected": f"{', '.join(others)} or {last}"}
        )
    return name


Filters = Annotated[tuple[AnyRule, ...], BeforeValidator(_spelled_out)]


class SourceConfig(_Frozen):
    """One source: a file, a folder, `s3://BUCKET/PREFIX`, or `hf://NAME?config=...&split=...&revision=...`.

    `domain` overrides the domain that records state; without either, the source's name is taken. `licence`
    overrides theirs and becomes metadata, for views. `reader` reads all files in one format, whatever they
    are called; how their names end still tells of compression. `filters` are asked instead of the build's.
    Before them, `share` keeps some of the documents, chosen by a hash of domain and id: a smaller share is
    part of a larger one.
    """

    path: str
    domain: str | None = None
    licence: str | None = Field(None, min_length=1)
    share: float = Field(1.0, gt=0, le=1)
    reader: Annotated[str, BeforeValidator(_known_format)] | None = None
    text_fields: tuple[str, ...] = ("text", "contents")
    id_field: str = "id"
    filters: Filters | None = None

    @model_validator(mode="after")
    def _reads_files(self) -> Self:
        if self.reader and self.path.startswith("hf://"):
            raise ValueError("reader is for files: a data set of the hub knows its own format")
        return self


class NearDuplicates(_Frozen):
    """When documents are near-duplicates: the defaults are MassiveDS's (Shao et al. 2024, 3.2).

    By their n-grams of `words` words; candidates are those whose MinHash signatures of `permutations` values
    agree in one of `bands`, and those of a Jaccard similarity of `threshold` and more are near-duplicates.
    With 16 bands, 99.4% of pairs with a similarity of 0.85 become candidates.
    """

    words: int = Field(13, ge=1)
    threshold: float = Field(0.8, gt=0, le=1)
    permutations: int = Field(128, ge=1)
    bands: int = Field(16, ge=1)

    @model_validator(mode="after")
    def _bands_fit(self) -> Self:
        if self.bands > self.permutations:
            raise ValueError(f"{self.bands} bands of {self.permutations} permutations: give fewer bands")
        return self


class DuplicateLines(_Frozen):
    """Which lines are left out where they occurred before: those of `min_chars` characters and more."""

    min_chars: int = Field(30, ge=1)


class EvaluationTexts(_Frozen):
    """Which passages hold evaluation text: questions, and answers, of these files of JSON Lines.

    A passage is dropped if it holds at least `containment` of the n-grams of a question or an answer, n being
    `words`, or as many of them as `overlap` words in a row have: so texts longer than passages are found too.
    A text of fewer words is one n-gram; below `min_question_words` or `min_answer_words` it is not sought.
    13 words and 32 in a row are MassiveDS's (Shao et al. 2024), 8 is the least that GPT-3 compares (Brown et
    al. 2020). Open questions are shorter than its examples; of five words hardly any stands somewhere by
    chance.
    """

    files: tuple[str, ...] = Field(min_length=1)
    words: int = Field(13, ge=1)
    containment: float = Field(0.8, gt=0, le=1)
    overlap: int | None = Field(32, ge=1)
    min_question_words: int = Field(5, ge=1)
    min_answer_words: int = Field(8, ge=1)

    @model_validator(mode="after")
    def _overlap_has_grams(self) -> Self:
        if self.overlap is not None and self.overlap < self.words:
            raise ValueError(f"an overlap of {self.overlap} words has no {self.words}-gram: give more words")
        return self

    @property
    def shortest(self) -> int:
        """The least words that an n-gram may have."""
        return min(self.words, self.min_question_words, self.min_answer_words)

    def needed(self, grams: int) -> int:
        """How many of a text's distinct n-grams a passage must hold to be dropped."""
        needed = max(1, int(self.containment * grams))
        # Compared as a share is: as a product, 0.28 * 25 is a little more than 7.
        needed += needed / grams < self.containment
        return needed if self.overlap is None else min(needed, self.overlap - self.words + 1)


def _files_alone(settings: Any) -> Any:
    """Files that are only named are looked for with the default thresholds."""
    return {"files": settings} if isinstance(settings, list | tuple) else settings


class BuildConfig(_Frozen):
    """What to build, and how."""

    sources: tuple[SourceConfig, ...] = Field(min_length=1)
    limit: int | None = Field(None, ge=1, description="read only the first documents")
    min_chars: int = Field(20, ge=0, description="shorter documents are removed")
    filters: Filters = Field((), description="asked in this order: names, or names with thresholds")
    near_duplicates: NearDuplicates | None = Field(None, description="drop documents nearly like another")
    decontaminate: Annotated[EvaluationTexts | None, BeforeValidator(_files_alone)] = later(
        description="drop passages that hold text of these files of questions"
    )
    duplicate_lines: DuplicateLines | None = later(description="leave out lines that occurred before")
    duplicate_text: Literal["drop", "keep"] = later(
        "drop", "of documents with the same text, keep the first or all"
    )
    duplicate_passages: Literal["keep", "drop"] = later(
        "keep", "of passages with the same text, keep all or the first"
    )
    max_record_bytes: int = Field(64 * 2**20, ge=1024, description="longer records are unreadable")
    max_metadata_bytes: int = later(
        MAX_METADATA_BYTES, "a document's metadata; larger fields are left out", ge=64
    )
    split_bytes: int = Field(64 * 2**20, ge=1, description="input one read task takes")
    passages_per_shard: int = Field(16_384, ge=1)
    encoder: str = DEFAULT_ENCODER
    query_encoder: str | None = later(description="the tower for queries, if `encoder` is for passages")
    query_prompt: str | None = later(description="in front of queries; default: the encoder's own")
    passage_prompt: str | None = later(description="in front of passages; default: the encoder's own")
    pooling: Pooling | None = later(description="of a plain transformers checkpoint")
    similarity: Similarity | None = later(description="dot: vectors keep their lengths")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: Device = Field("cpu", description="what embeds, trains and encodes; its roundings are its own")
    chunk_tokens: int | None = Field(None, ge=8, description="default: all the encoder takes")
    index_key: str = "auto"
    index_memory: str = "4GiB"
    index_recall: float = Field(0.95, gt=0, le=1, description="recall@10 that a search aims at")
    lexical: bool = Field(True, description="a BM25 index too, for `search --method bm25` and `hybrid`")
    seed: int = Field(0, ge=0, description="of the hash that samples the index's training set")
    takedowns: str | None = Field(None, description="a file of takedowns, or a store: not to come back")

    @property
    def usage(self) -> Usage:
        """How the encoders are to be used, as far as it is given."""
        return Usage(self.query_prompt, self.passage_prompt, self.pooling, self.similarity)

    @property
    def drops_passages(self) -> bool:
        """Whether passages that occurred before are dropped."""
        return self.duplicate_passages == "drop"

    @property
    def embeds_early(self) -> bool:
        """Whether splits are embedded as they are cut: by a GPU, unless passages must be compared first."""
        return self.device != "cpu" and not self.drops_passages

    @model_validator(mode="after")
    def _drops_the_same_as_well_as_the_like(self) -> Self:
        if self.duplicate_text == "keep" and self.near_duplicates is not None:
            raise ValueError(
                "duplicate_text: keep cannot stand beside near_duplicates, which drops documents of the same "
                "text too: leave one of them out"
            )
        return self

    @field_validator("index_key")
    @classmethod
    def _known_key(cls, value: str) -> str:
        if value != "auto":
            _checked(IndexKey.parse, value)
        return value

    @field_validator("index_memory")
    @classmethod
    def _known_size(cls, value: str) -> str:
        _checked(parse_bytes, value)
        return value


def _checked(parse: Callable[[str], object], value: str) -> None:
    """Let pydantic name the field that a value is wrong in."""
    try:
        parse(value)
    except RalmError as error:
        raise ValueError(str(error)) from None


def load_config(path: Path | None, **overrides: Any) -> BuildConfig:
    """Read a build configuration from YAML (or JSON); overrides that are not None win.

    Relative paths in the file are relative to the file. Raises RalmError naming the field
    that is wrong.
    """
    content = _read(path) if path else {}
    content |= {name: value for name, value in overrides.items() if value is not None}
    return checked_config(content, f"{path}: " if path else "")


def checked_config(content: Mapping[str, Any], source: str = "") -> BuildConfig:
    """Validate settings. Raises RalmError naming the field that is wrong, behind the source's name."""
    try:
        return BuildConfig.model_validate(content)
    except ValidationError as error:
        raise RalmError(f"{source}{sentence(BuildConfig, error.errors(), 'the configuration')}") from None


def read_mapping(path: Path, what: str, example: str) -> dict[str, Any]:
    """Read a YAML file of settings. Raises RalmError if there is none, or it holds something else."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RalmError(f"There is no {what} {path}.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RalmError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(content, dict):
        raise RalmError(f"{path} must hold a mapping of settings, such as `{example}`.")
    return {str(name): value for name, value in content.items()}


def _read(path: Path) -> dict[str, Any]:
    content = read_mapping(path, "configuration file", "sources: [...]")
    sources = content.get("sources")
    mappings = [one for one in sources if isinstance(one, dict)] if isinstance(sources, list) else []
    _relative_to(path.parent, content, "takedowns")
    _relative_files(path.parent, content)
    for holder in (content, *mappings):
        if holder is not content:
            _relative_to(path.parent, holder, "path")
        rules = holder.get("filters")
        for rule in rules if isinstance(rules, list) else []:
            if isinstance(rule, dict):
                _relative_to(path.parent, rule, "model")
    return content


def _relative_files(folder: Path, content: dict[str, Any]) -> None:
    """Let the files to decontaminate by begin at the configuration."""
    settings = _files_alone(content.get("decontaminate"))
    if isinstance(settings, dict) and isinstance(settings.get("files"), list | tuple):
        files = [str(folder / file) if isinstance(file, str) else file for file in settings["files"]]
        content["decontaminate"] = settings | {"files": files}


def _relative_to(folder: Path, settings: dict[str, Any], name: str) -> None:
    """Let a path in a file's settings begin at the file, unless it is an address."""
    found = settings.get(name)
    if isinstance(found, str) and "://" not in found:
        settings[name] = str(folder / found)
