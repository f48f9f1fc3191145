from datastore.files.layout import Layout
from pipelines.config import BuildConfig, SourceConfig
from pipelines.corpus.ingestion import Ingestion
from pipelines.corpus.sources import resolve
from pipelines.execution.executor import LocalExecutor
from pipelines.execution.job import Job
from pipelines.execution.progress import Silent
from pipelines.indexing.embed_early import EarlyEmbedStage, take_vectors
from pipelines.jobs.ingest import Ingest


def test_vectors_of_splits_embedded_early_are_those_of_their_shards(tmp_path, corpus):
    config = BuildConfig(sources=(SourceConfig(path=str(corpus)),), split_bytes=4096, passages_per_shard=8)
    layout = Layout(tmp_path)
    ingestion = Ingestion(layout, config, resolve(config), "float32")
    embedded = Ingest(Job(layout, LocalExecutor(), Silent()), ingestion).embed()
    splits = 1 + max(shard.split for shard in embedded.shards)
    assert len(embedded.shards) > splits > 1
    stage = EarlyEmbedStage(layout, config.encoder, "float32", (1,) * splits, 8, "cpu")
    early = [stage.run(number) for number in range(splits)]
    assert take_vectors(layout, embedded.shards, early) == embedded.vectors
    # A run that was killed half-way moves what is left.
    assert take_vectors(layout, embedded.shards, early) == embedded.vectors
    assert sum(marker.counts["passages"] for marker in early) == sum(s.rows for s in embedded.shards)
