import numpy as np

from datastore.layout import Layout
from datastore.store import Datastore
from pipelines.build.embed import EarlyEmbedStage, take_vectors
from pipelines.build.executor import LocalExecutor
from pipelines.build.ingest import Ingest
from pipelines.build.job import Job
from pipelines.build.progress import Silent
from pipelines.build.sources import resolve
from pipelines.config import BuildConfig, SourceConfig
from retriever.encoder import Encoder, torch_threads


def test_row_i_is_the_vector_of_passage_i(store):
    opened = Datastore.open(store)
    encoder = Encoder.open(opened.manifest.encoder)
    texts = [passage.text for passage in opened]
    with torch_threads(1):
        alone = np.concatenate([encoder.encode_queries([text]) for text in texts])
    stored = opened.vectors(range(opened.rows)).astype(np.float32)
    assert ((alone * stored).sum(axis=1) > 0.999).all()


def test_nothing_is_truncated(store):
    manifest = Datastore.open(store).manifest
    assert manifest.counts["truncated"] == 0
    assert manifest.encoder.max_tokens == 256


def test_vectors_of_splits_embedded_early_are_those_of_their_shards(tmp_path, corpus):
    config = BuildConfig(sources=(SourceConfig(path=str(corpus)),), split_bytes=4096, passages_per_shard=8)
    layout = Layout(tmp_path)
    embedded = Ingest(Job(layout, LocalExecutor(), Silent()), config, resolve(config), "float32").embed()
    splits = 1 + max(shard.split for shard in embedded.shards)
    assert len(embedded.shards) > splits > 1
    stage = EarlyEmbedStage(layout, config.encoder, "float32", (1,) * splits, 8, "cpu")
    early = [stage.run(number) for number in range(splits)]
    assert take_vectors(layout, embedded.shards, early) == embedded.vectors
    # A run that was killed half-way moves what is left.
    assert take_vectors(layout, embedded.shards, early) == embedded.vectors
    assert sum(marker.counts["passages"] for marker in early) == sum(s.rows for s in embedded.shards)
