import numpy as np

from datastore.store import Datastore
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
