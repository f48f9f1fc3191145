"""Vectors, stores and indexes of them: the laws of searching are about rows and scores, not about text."""

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from datastore.files.layout import Layout
from datastore.generations.generation import publish
from datastore.generations.manifest import EncoderCard, FileEntry, IndexEntry, Manifest, ShardEntry
from datastore.schema import Passage, passages_to_batch
from datastore.store import Datastore
from datastore.view import View
from pipelines.passages.parts import write_batch
from retriever.index.faiss_index import encode, has_codec, to_bytes, train, untrained
from retriever.index.loading import in_memory
from retriever.index.sizing import IndexKey
from retriever.local import LocalRetriever
from retriever.opened import OpenedStore
from retriever.request import DENSE, Effort, Search

DIMENSION = 8


@dataclass
class GivenVectors:
    """An encoder of queries that are called by their numbers."""

    vectors: np.ndarray
    device: str = "cpu"

    def is_of(self, card):
        return True

    def knows(self, queries):
        return np.ones(len(queries), bool)

    def encode_queries(self, queries):
        return self.vectors[[int(query) for query in queries]]


@lru_cache
def trained(key, dimension=DIMENSION):
    """A trained index of a key, as bytes: training is slow and the laws hold for any."""
    sample = (
        np.random.default_rng(7).standard_normal((max(300, 20 * dimension), dimension)).astype(np.float32)
    )
    return to_bytes(train(IndexKey.parse(key), sample))


def passage(number):
    """The passage of this number: its domain and metadata follow from it."""
    number = int(number)
    metadata = {"year": 2000 + number % 7, "licence": "CC0" if number % 3 else "CC BY"}
    if number % 5 == 0:
        metadata = {"title": f"title {number}"}
    return Passage(f"text {number}", "abc"[number % 3], f"doc{number}", 0, 0, metadata)


def make_store(root, numbers, vectors, key="Flat", per_shard=7, of=passage):  # noqa: PLR0913
    """A store of the passages `of` these numbers, laid out as a build with this key would."""
    import faiss

    layout, shards = Layout(root), []
    parsed = IndexKey.parse(key)
    quantizer = faiss.deserialize_index(np.frombuffer(trained(key, vectors.shape[1]), np.uint8))
    for shard, at in enumerate(range(0, len(numbers), per_shard)):
        mine = numbers[at : at + per_shard]
        batch = passages_to_batch(of(n) for n in mine)
        files = [
            layout.write(layout.passages(shard), lambda h, b=batch: write_batch(h, b)),
            layout.write(layout.vectors(shard), lambda h, m=mine: np.save(h, vectors[m])),
        ]
        if not parsed.exact and has_codec(quantizer):
            codes = encode(quantizer, vectors[mine])
            files.append(layout.write(layout.codes(key, shard), lambda h, c=codes: np.save(h, c)))
        elif not has_codec(quantizer):
            quantizer.add(vectors[mine].astype(np.float32))
        entries = [FileEntry.of(info) for info in files] + [None]
        shards.append(
            ShardEntry(
                first_row=at, rows=len(mine), passages=entries[0], vectors=entries[1], codes=entries[2]
            )
        )
    info = layout.write(layout.trained(key), lambda h: h.write(to_bytes(quantizer)))
    passages = [of(n) for n in numbers]
    documents = len({(p.domain, p.doc_id) for p in passages})
    manifest = Manifest(
        generation=1,
        next_shard=len(shards),
        sources=(),
        config={},
        encoder=EncoderCard(
            name="given",
            weights_sha256="",
            dimension=vectors.shape[1],
            max_tokens=8,
            dtype="float32",
            prompts={},
            normalized=True,
        ),
        index=IndexEntry(key=key, recall=0.95, trained=FileEntry.of(info)),
        shards=tuple(shards),
        domains=dict(Counter(p.domain for p in passages)),
        columns=dict(Counter(c for p in passages for c in p.metadata)),
        counts={
            "records": documents,
            "unreadable": 0,
            "documents": documents,
            "indexed": documents,
            "passages": len(numbers),
        },
        removed=(),
    )
    publish(layout, manifest)
    return Datastore(layout, manifest)


def make_retriever(store, queries, index=None, card=None):
    """A retriever of a store that encodes query "i" to the i-th of these vectors."""
    index = index or in_memory(store.layout.root, store.manifest)
    return LocalRetriever(OpenedStore(store, encoder=GivenVectors(queries), index=index, card=card))


def dense(k, view=None, setting=None):
    """A search by embeddings alone, by the index's own setting if none is given."""
    return Search(k, view or View(), setting or Effort(), DENSE)


def chosen(retriever, k, **effort):
    """The setting that a retriever chooses for k hits."""
    return retriever.settled(Search(k, effort=Effort(**effort), method=DENSE)).effort


@dataclass(frozen=True)
class Drawn:
    """Vectors drawn by a seed, `distinct` ones of them if not all, and queries."""

    seed: int
    count: int
    distinct: int | None = None

    @property
    def vectors(self):
        return random_vectors(self.seed, self.count, distinct=self.distinct)

    def queries(self, count):
        return np.random.default_rng(self.seed + 1).standard_normal((count, DIMENSION)).astype(np.float32)


def random_vectors(seed, count, dimension=DIMENSION, distinct=None):
    """Float16 vectors; with fewer distinct ones than rows, many score alike."""
    random = np.random.default_rng(seed)
    found = random.standard_normal((distinct or count, dimension)).astype(np.float16)
    return found[random.integers(0, len(found), count)] if distinct else found


def embeddings(rows, seed=0, dimension=20):
    """Float16 vectors of length one, longer on some axes than on others, as embeddings are."""
    found = np.random.default_rng(seed).standard_normal((rows, dimension)) * np.linspace(2, 0.5, dimension)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float16)


def drawn_index(key, by_residual=True, dimension=20):
    """A trained index, without its training, which is slow: what is learned is drawn from a sample."""
    import faiss

    index = untrained(IndexKey.parse(key), dimension)
    sample = embeddings(2000, 7, dimension).astype(np.float32)
    ivf = index
    if isinstance(index, faiss.IndexPreTransform):
        ivf = faiss.downcast_index(index.index)
    if key.startswith("MRL"):
        sample = np.ascontiguousarray(sample[:, : ivf.d])
    elif ivf is not index:
        turning, _ = np.linalg.qr(np.random.default_rng(8).standard_normal((dimension, dimension)))
        step = faiss.downcast_VectorTransform(index.chain.at(0))
        faiss.copy_array_to_vector(turning.astype(np.float32).ravel(), step.A)
        step.is_trained = True
    ivf.by_residual = by_residual
    # Off the grid of float16: halfway between two of its values, FAISS and torch round differently.
    ivf.quantizer.add(sample[: ivf.nlist] * np.float32(0.9137))
    if hasattr(ivf, "pq"):
        words = np.random.default_rng(9).choice(sample, ivf.pq.ksub) / (2 if by_residual else 1)
        words = words.reshape(ivf.pq.ksub, ivf.pq.M, ivf.pq.dsub).transpose(1, 0, 2)
        faiss.copy_array_to_vector(np.ascontiguousarray(words).ravel(), ivf.pq.centroids)
    else:
        ivf.sq.train(sample)
    ivf.is_trained = index.is_trained = True
    return index
