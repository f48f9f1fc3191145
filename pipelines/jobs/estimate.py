"""What a build would make and take, from a sample of its input: behind `build --dry-run` and `ralm plan`."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from base.amounts import amount, parse_bytes
from base.errors import RalmError
from datastore.schema import Document
from pipelines.config import BuildConfig
from pipelines.corpus.read import chain_of
from pipelines.corpus.sources import Corpus, Split, resolve
from pipelines.filters.chain import Chain, Removed
from pipelines.indexing.embed import THREADS, load_encoder
from pipelines.indexing.towers import Towers
from pipelines.passages.cut import Cutter
from pipelines.passages.unknown import OF, OF_PASSAGES, Unknown, counted, unknown
from pipelines.readers.bytes.decompress import expansion
from pipelines.readers.bytes.endings import compression
from pipelines.readers.records import Intake, Unreadable
from retriever.index.probation import require_usable
from retriever.index.sizing import IndexKey, choose_key

_SAMPLED_SPLITS = 16
_SAMPLED_RECORDS = 128
# A corpus of so many bytes is read whole: samples of some files tell little of a few others.
_READ_WHOLE = 4 << 20
_EMBEDDED_PASSAGES = 64
# Documents differ by far more in length than their means over so many do: below, a plan is a guess.
_FEW_DOCUMENTS = 100
_FEW_BYTES = 20_000


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A corpus foreseen. All but `input_bytes` and `splits` are extrapolated from a sample.

    `documents` are those that filters keep of the `documents_read`; passages, tokens and text are theirs.
    `unknown` is of the sample's own tokens.
    """

    input_bytes: int
    splits: int
    documents_read: int
    documents: int
    passages: int
    tokens: int
    text_bytes: int
    sampled_documents: int
    sampled_bytes: int
    sampled_ids: tuple[NDArray[np.int32], ...]
    ignored: tuple[str, ...] = ()
    left_out: str = ""
    unknown: tuple[Unknown, ...] = ()

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
    """The first documents of a split, filtered and cut.

    `weight` is how many times the corpus holds what was read of it, 1 if it is not `sized`, for nobody knows.
    Each split has its own: were bytes and documents of all put together, those of long documents would decide
    how many there are of short ones.
    """

    source: str
    documents_read: int = 0
    documents: int = 0
    text_bytes: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    weight: float = 1.0
    sized: bool = True
    unreadable: Unreadable | None = None
    ids: list[NDArray[np.int32]] = field(default_factory=list)

    def add(self, documents: list[Document], chain: Chain, cutter: Cutter) -> None:
        self.documents_read += len(documents)
        for verdict in chain.judge(documents):
            if not isinstance(verdict, Removed):
                text = verdict.document.text
                self.documents += 1
                self.text_bytes += len(text.encode())
                ids = [one.ids for one in cutter.chunks(text)]
                self.ids += ids
                self.unknown.update(counted(cutter.tokenizer, self.source, ids))

    @property
    def tokens(self) -> int:
        return sum(map(len, self.ids))


def foresee(config: BuildConfig) -> Foreseen:
    """Foresee a corpus by reading and chunking a sample. Loads no model and writes nothing.

    Passages grow in proportion to input bytes. Duplicates are not foreseen. Raises RalmError if nothing can
    be sampled.
    """
    corpus = resolve(config)
    samples = _take(config, corpus)
    read = sum(sample.documents_read for sample in samples)
    if not read:
        bad = next((sample.unreadable for sample in samples if sample.unreadable), None)
        why = f" ({bad.file}, record {bad.record}: {bad.reason})" if bad else ""
        raise RalmError(f"No document could be read from the beginning of any source{why}: nothing to plan.")
    if not any(sample.ids for sample in samples):
        raise RalmError(f"The filters keep none of the first {amount(read, 'documents')}: nothing to plan.")
    if config.limit is not None:
        _limit(samples, config.limit)

    def whole(count: Callable[[_Sample], int]) -> int:
        return round(sum(count(sample) * sample.weight for sample in samples))

    return Foreseen(
        input_bytes=corpus.bytes,
        splits=len(corpus.splits),
        documents_read=whole(lambda sample: sample.documents_read),
        documents=whole(lambda sample: sample.documents),
        passages=whole(lambda sample: len(sample.ids)),
        tokens=whole(lambda sample: sample.tokens),
        text_bytes=whole(lambda sample: sample.text_bytes),
        sampled_documents=sum(sample.documents for sample in samples),
        sampled_bytes=sum(sample.text_bytes for sample in samples),
        sampled_ids=tuple(_typical(samples)),
        ignored=corpus.ignored,
        left_out=corpus.left_out,
        unknown=tuple(_unknown(samples, config.encoder)),
    )


def _unknown(samples: Sequence[_Sample], encoder: str) -> Iterator[Unknown]:
    """Of each source the tokens of its samples that the encoder does not know."""
    for source in dict.fromkeys(sample.source for sample in samples):
        mine = [sample for sample in samples if sample.source == source]
        counts = sum((one.unknown for one in mine), Counter[str]())
        counts[f"{OF}{source}"] = sum(one.tokens for one in mine)
        counts[f"{OF_PASSAGES}{source}"] = sum(len(one.ids) for one in mine)
        yield from unknown(counts, encoder)


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
        require_usable(key, dimension)
    return Estimate(
        corpus=corpus,
        vector_bytes=passages * dimension * 2,
        index_bytes=key.bytes(passages, dimension),
        index_key=key.text,
        seconds=passages * per_passage / workers,
        doubt=_doubt(key, passages, dimension),
    )


def _doubt(key: IndexKey, passages: int, dimension: int) -> str:
    """What a build would say of the index, if it came to so many passages; empty if nothing."""
    try:
        key.require_passages(passages, dimension)
    except RalmError as error:
        return f"A build that came to so many passages would be refused: {error}"
    return ""


def _take(config: BuildConfig, corpus: Corpus) -> list[_Sample]:
    """Samples of some splits, weighted so that together they stand for the whole corpus."""
    cutter = Cutter.of(config, Towers.find(config).passages.usage)
    sized = all(split.bytes for split in corpus.splits)
    whole = config.limit is None and sized and sum(map(_uncompressed, corpus.splits)) <= _READ_WHOLE
    step = 1 if whole else max(1, len(corpus.splits) // _SAMPLED_SPLITS)
    splits = corpus.splits[::step]
    share = sum(split.bytes for split in splits) / max(1, corpus.bytes)
    samples = []
    for split in splits:
        intake = _intake(config, corpus, split)
        records = (record for segment in split.segments for record in segment.records(intake))
        taken = list(islice(records, None if whole else _SAMPLED_RECORDS))
        documents = [one for one in taken if isinstance(one, Document)]
        bad = next((one for one in taken if isinstance(one, Unreadable)), None)
        sample = _Sample(corpus.sources[split.source].name, unreadable=bad)
        sample.add(documents, chain_of(config, split.source), cutter)
        samples.append(sample)
        if whole:
            continue  # It stands for itself.
        if intake.consumed and split.bytes:
            sample.weight = _uncompressed(split) / intake.consumed / share
        elif documents:
            sample.sized = False
            if config.limit is None:
                raise RalmError("Data sets of the hub do not tell their size beforehand: give --limit.")
    return samples


def _uncompressed(split: Split) -> float:
    """Bytes of a split's records, by how its first file unpacks."""
    path = split.segments[0].path
    codec = compression(path)
    return split.bytes * (expansion(path, codec) if codec else 1.0)


def _limit(samples: Sequence[_Sample], limit: int) -> None:
    """Let the samples stand for so many documents, if they stand for more or nobody knows for how many."""
    read = sum(sample.documents_read * sample.weight for sample in samples)
    known = all(sample.sized for sample in samples)
    for sample in samples:
        sample.weight *= min(1.0, limit / read) if known else limit / read


def _typical(samples: Sequence[_Sample]) -> Iterator[NDArray[np.int32]]:
    """Some `_EMBEDDED_PASSAGES` passages of the samples, of each in proportion to what it stands for."""
    passages = sum(len(sample.ids) * sample.weight for sample in samples)
    for sample in samples:
        wanted = math.ceil(_EMBEDDED_PASSAGES * len(sample.ids) * sample.weight / passages)
        yield from sample.ids[:: max(1, len(sample.ids) // max(1, wanted))][:wanted]


def _intake(config: BuildConfig, corpus: Corpus, split: Split) -> Intake:
    domain = corpus.domains[split.source]
    return Intake(config.sources[split.source], domain, config.max_record_bytes, config.max_metadata_bytes)


def _embedding_cost(config: BuildConfig, ids: Sequence[NDArray[np.int32]]) -> tuple[float, int]:
    """Seconds a passage on one thread, and the vectors' dimension."""
    from retriever.encoding.encoder import best_dtype
    from retriever.encoding.threads import torch_threads

    dtype = config.dtype if config.dtype != "auto" else best_dtype(config.device)
    encoder = load_encoder(config.encoder, dtype, config.device, Towers.find(config).passages.usage)
    with torch_threads(THREADS):
        encoder.encode_passages(ids)  # The first call also prepares kernels.
        started = time.perf_counter()
        encoder.encode_passages(ids)
        return (time.perf_counter() - started) / len(ids), encoder.dimension
