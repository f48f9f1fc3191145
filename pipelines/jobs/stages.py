"""All stages, in their order: the one place that names them, and what is shown of what they count.

A new stage of a build is a module with a class (`corpus/ingestion.py`) and a line in one of the lists here.

Decisions: docs/decisions/duplicates.md.
"""

from pipelines.corpus.ingestion import IngestStage
from pipelines.corpus.read import ReadStage, ScanStage
from pipelines.duplicates.dedup import DedupIdStage, DedupTextStage
from pipelines.duplicates.lines import LineStage, RepeatedLineStage
from pipelines.duplicates.near import ClusterStage, PairStage, SignStage, VerifyStage
from pipelines.execution.compare import COMPARE, COMPARE_NEW
from pipelines.execution.counts import Shown
from pipelines.indexing.card import CardStage
from pipelines.indexing.compact import CompactStage
from pipelines.indexing.embed import EmbedStage, JoinStage
from pipelines.indexing.embed_early import EarlyEmbedStage
from pipelines.indexing.index import EncodeStage, TrainStage
from pipelines.indexing.lexical import LengthStage, LexicalStage
from pipelines.passages.chunk import ChunkStage
from pipelines.passages.thin import RepeatedPassageStage, ThinStage

# A corpus to the passages of shards, which are numbered when all are cut.
TO_PASSAGES: tuple[type[IngestStage], ...] = (
    ScanStage,
    ReadStage,
    DedupIdStage,
    DedupTextStage,
    SignStage,
    PairStage,
    VerifyStage,
    ClusterStage,
    LineStage,
    RepeatedLineStage,
    ChunkStage,
    RepeatedPassageStage,
    ThinStage,
)
# Passages to vectors; those that are embedded beside another stage have them by then.
TO_VECTORS: tuple[type[IngestStage], ...] = (EmbedStage, JoinStage, EarlyEmbedStage)
# Vectors and passages to what a search asks.
TO_INDEX: tuple[type[IngestStage], ...] = (TrainStage, LengthStage, EncodeStage, LexicalStage)
INGESTING = (*TO_PASSAGES, *TO_VECTORS, *TO_INDEX)

# Every stage that a build, an addition or a compaction may have.
STAGES = (
    COMPARE,
    *(stage.name for stage in INGESTING),
    CompactStage.name,
    COMPARE_NEW,
    CardStage.name,
)

# Records that were no documents, and documents that were not kept, by reason.
SHOWN_UNREADABLE = Shown("unreadable", "unreadable", if_any=True)
SHOWN_SKIPPED = Shown("skipped.", "skipped: {reason}")
SHOWN_REMOVED = Shown("removed.", "removed: {reason}")
GONE = (SHOWN_UNREADABLE, SHOWN_SKIPPED, SHOWN_REMOVED)
# What else was left out, or is doubtful: passages, lines and fields.
DROPPED = tuple(shown for stage in INGESTING for shown in stage.shows)
