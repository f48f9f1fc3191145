"""What a build would make and take, from a sample of its input: behind `build --dry-run` and `ralm plan`."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from datastore.errors import RalmError
from datastore.schema import Document
from pipelines.build.chunk import chunk, load_tokenizer
from pipelines.build.embed import THREADS, load_encoder
from pipelines.build.progress import amount
from pipelines.build.read import chain_of
from pipelines.build.sources import Corpus, Split, resolve
from pipelines.build.towers import Towers
from pipelines.config import BuildConfig
from pipelines.filters.chain import Chain, Removed
from pipelines.readers.decompress import expansion
from pipelines.readers.formats import compression
from pipelines.readers.reader import RecordReader
from retriever.sizing import IndexKey, choose_key, parse_bytes
from retriever.tokenizer import EncoderTokenizer

_SAMPLED_SPLITS = 16
_SAMPLED_RECORDS = 128
_EMBEDDED_PASSAGES = 64
# Documents differ by far more in length than their means over so many do: below, a plan is a guess.
_FEW_DOCUMENTS = 100
_FEW_BYTES = 20_000


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A corpus foreseen. All but `input_bytes` and `splits` are extrapolated from a sample.

    `documents` are those that filters keep of the `read`; passages, tokens and text are theirs.
    """

    input_bytes: int
    splits: int
    read: int
    documents: int
    passages: int
    tokens: int
    text_bytes: int
    sampled_documents: int
    sampled_bytes: int
    sampled_ids: tuple[NDArray[np.int32], ...]

    @property
    def sample(self) -> str:
        """From how much it is extrapolated."""
        return f"{amount(self.sampled_documents, 'documents')}, {amount(self.sampled_bytes, 'bytes')} of text"

    @property
    def doubt(self) -> str:
        """A sentence about a sample that is too small to tell much; empty for others."""
        if self.sampled_documents >= _FEW_DOCUMENTS and self.sampled_bytes >= _FEW_BYTES:
            return ""
        return f"The sample is small ({self.sample}), figures may be far off: plan with more or longer files."


@dataclass(frozen=True, slots=True)
class Estimate:
    """A build foreseen."""

    corpus: Foreseen
    vector_bytes: int
    index_bytes: int
    index_key: str
    seconds: float
    doubt: str = ""


@dataclass
class _Sample:
    """The first documents of some splits, filtered and cut, and how many bytes they were read from."""

    read: int = 0
    documents: int = 0
    text_bytes: int = 0
    consumed: int = 0
    ids: list[NDArray[np.int32]] = field(default_factory=list)

    def add(self, documents: list[Document], chain: Chain, tokenizer: EncoderTokenizer, room: int) -> None:
        self.read += len(documents)
        for verdict in chain.judge(documents):
            if not isinstance(verdict, Removed):
                text = verdict.document.text
                self.documents += 1
                self.text_bytes += len(text.encode())
                self.ids += [one.ids for one in chunk(text, tokenizer, room)]


def foresee(config: BuildConfig) -> Foreseen:
    """Foresee a corpus by reading and chunking a sample. Loads no model and writes nothing.

    Passages grow in proportion to input bytes. Duplicates are not foreseen. Raises RalmError if nothing can
    be sampled.
    """
    corpus = resolve(config)
    sample, uncompressed = _take(config, corpus)
    if not sample.read:
        raise RalmError("No document could be read from the beginning of any source: nothing to plan.")
    if not sample.ids:
        raise RalmError(
            f"The filters keep none of the first {amount(sample.read, 'documents')}: nothing to plan."
        )
    scale = uncompressed / sample.consumed if sample.consumed else _scale_by_limit(config, sample)
    if config.limit is not None:
        scale = min(scale, config.limit / sample.read)
    return Foreseen(
        input_bytes=corpus.bytes,
        splits=len(corpus.splits),
        read=round(sample.read * scale),
        documents=round(sample.documents * scale),
        passages=round(len(sample.ids) * scale),
        tokens=round(sum(len(one) for one in sample.ids) * scale),
        text_bytes=round(sample.text_bytes * scale),
        sampled_documents=sample.documents,
        sampled_bytes=sample.text_bytes,
        sampled_ids=tuple(sample.ids),
    )


def estimate(config: BuildConfig, workers: int) -> Estimate:
    """Foresee a build by foreseeing its corpus and embedding some of the sample. Writes nothing.

    Seconds are those of embedding, at this machine's own rate on one thread times `workers`; reading and
    indexing take a few per cent more.
    """
    corpus = foresee(config)
    passages = corpus.passages
    per_passage, dimension = _embedding_cost(config, corpus.sampled_ids)
    if config.index_key == "auto":
        key = choose_key(passages, dimension, parse_bytes(config.index_memory), config.index_recall)
    else:
        key = IndexKey.parse(config.index_key)
        key.check(dimension)
    return Estimate(
        corpus=corpus,
        vector_bytes=passages * dimension * 2,
        index_bytes=key.bytes(passages, dimension),
        index_key=key.text,
        seconds=passages * per_passage / workers,
        doubt=_doubt(key, passages),
    )


def _doubt(key: IndexKey, passages: int) -> str:
    """What a build would say of the index, if it came to so many passages; empty if nothing."""
    try:
        key.require_passages(passages)
    except RalmError as error:
        return f"A build that came to so many passages would be refused: {error}"
    return ""


def _take(config: BuildConfig, corpus: Corpus) -> tuple[_Sample, float]:
    """A sample, and the uncompressed bytes of the whole corpus."""
    tokenizer = load_tokenizer(config.encoder, Towers.find(config).passages.usage)
    room = min(tokenizer.room("passage"), config.chunk_tokens or 2**31)
    step = max(1, len(corpus.splits) // _SAMPLED_SPLITS)
    sample, ratios = _Sample(), []
    for split in corpus.splits[::step]:
        reader = _reader(config, corpus, split)
        records = (record for segment in split.segments for record in reader.read(segment))
        documents = [one for one in islice(records, _SAMPLED_RECORDS) if isinstance(one, Document)]
        sample.add(documents, chain_of(config, split.source), tokenizer, room)
        sample.consumed += reader.consumed
        path = split.segments[0].path
        codec = compression(path)
        ratios.append((split.bytes, split.bytes * (expansion(path, codec) if codec else 1.0)))
    compressed = sum(a for a, _ in ratios)
    ratio = sum(b for _, b in ratios) / compressed if compressed else 1.0
    return sample, corpus.bytes * ratio


def _reader(config: BuildConfig, corpus: Corpus, split: Split) -> RecordReader:
    name = corpus.sources[split.source].name
    return RecordReader(config.sources[split.source], name, config.max_record_bytes)


def _scale_by_limit(config: BuildConfig, sample: _Sample) -> float:
    if config.limit is None:
        raise RalmError("Data sets of the hub do not tell their size beforehand: give --limit.")
    return config.limit / sample.read


def _embedding_cost(config: BuildConfig, ids: Sequence[NDArray[np.int32]]) -> tuple[float, int]:
    """Seconds a passage on one thread, and the vectors' dimension."""
    from retriever.encoder import best_dtype, torch_threads

    dtype = config.dtype if config.dtype != "auto" else best_dtype(config.device)
    encoder = load_encoder(config.encoder, dtype, config.device, Towers.find(config).passages.usage)
    sample = ids[:: max(1, len(ids) // _EMBEDDED_PASSAGES)][:_EMBEDDED_PASSAGES]
    with torch_threads(THREADS):
        encoder.encode_passages(sample)  # The first call also prepares kernels.
        started = time.perf_counter()
        encoder.encode_passages(sample)
        return (time.perf_counter() - started) / len(sample), encoder.dimension
