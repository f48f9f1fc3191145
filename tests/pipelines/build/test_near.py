from itertools import combinations
from pydoc_data.topics import topics

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastore.layout import Layout
from datastore.store import Datastore
from pipelines.build import near
from pipelines.build.dedup import DedupStage, load_drops
from pipelines.build.executor import LocalExecutor
from pipelines.build.job import Job
from pipelines.build.minhash import jaccard, shingles
from pipelines.build.near import ClusterStage, PairStage, SignStage, VerifyStage, sharing
from pipelines.build.progress import Silent
from pipelines.build.read import ReadStage
from pipelines.build.sources import resolve
from pipelines.config import BuildConfig, NearDuplicates, SourceConfig
from tests.conftest import build_store
from tests.corpus import write_lines

SETTINGS = NearDuplicates(words=5)


def planted():
    """Stretches of a real text, and copies of them with more and more words changed."""
    random = np.random.default_rng(5)
    texts = []
    for name in sorted(topics)[:60]:
        words = topics[name].split()[:160]
        if len(words) < 100:
            continue
        texts.append(" ".join(words))
        for changes in random.choice([1, 2, 3, 5, 8], 3, replace=False):
            copy = list(words)
            for at in random.choice(len(words), changes, replace=False):
                copy[at] = f"changed{random.integers(1000)}"
            texts.append(" ".join(copy))
    return [texts[at] for at in random.permutation(len(texts))]


def stages(root, texts, settings=SETTINGS, split_bytes=20_000):
    """All stages up to the clusters, over a corpus of several splits: documents by split, and the drops."""
    records = [{"id": str(n), "text": text} for n, text in enumerate(texts)]
    corpus = write_lines(root / "a.jsonl", records)
    config = BuildConfig(
        sources=(SourceConfig(path=str(corpus)),), near_duplicates=settings, split_bytes=split_bytes
    )
    layout = Layout(root / "store")
    perform = Job(layout, LocalExecutor(), Silent()).perform
    found = resolve(config)
    read = ReadStage(layout, config, found)

    documents = tuple(marker.counts["kept"] for marker in perform(read))
    for by in ("id", "text"):
        perform(DedupStage(layout, by, documents))
    signed = perform(SignStage(layout, settings, documents, 1))
    pairs = PairStage(layout, tuple(marker.counts["keys"] for marker in signed))
    perform(pairs)
    verified = perform(VerifyStage(layout, settings, documents, pairs.ranges))
    perform(ClusterStage(layout, tuple(marker.counts["near"] for marker in verified)))
    places = {(split, row) for split, count in enumerate(documents) for row in range(count)}
    number = {place: n for n, place in enumerate(sorted(places))}
    drops = {
        number[split, row]: number[kept_split, kept_row]
        for at in range(len(documents))
        for split, row, kept_split, kept_row in (
            (at, *drop[1:]) for drop in load_drops(layout, "near", at, 1).tolist()
        )
    }
    return documents, drops


def clusters(texts, settings):
    """The first of each text's cluster, by all pairs."""
    sets = [shingles(text, settings.words) for text in texts]
    first = list(range(len(texts)))
    similar = {}
    for one, other in combinations(range(len(texts)), 2):
        similar[one, other] = jaccard(sets[one], sets[other])
        if similar[one, other] >= settings.threshold:
            low, high = sorted((first[one], first[other]))
            first = [low if root == high else root for root in first]
    return first, similar


def test_near_duplicates_are_those_of_all_pairs(tmp_path):
    """Precision is 1: pairs are verified. Recall, by similarity, against every pair there is."""
    texts = planted()
    documents, drops = stages(tmp_path, texts)
    assert len(documents) > 4
    first, similar = clusters(texts, SETTINGS)
    for later, earlier in drops.items():
        assert earlier < later
        assert first[later] == first[earlier]
    roots = [drops.get(n, n) for n in range(len(texts))]
    for low, high in ((0.8, 0.85), (0.85, 0.9), (0.9, 1.01)):
        pairs = [pair for pair, value in similar.items() if low <= value < high]
        found = sum(roots[one] == roots[other] for one, other in pairs)
        assert len(pairs) > 20
        assert found / len(pairs) >= (0.95 if low >= 0.85 else 0.9)


def test_keys_are_compared_in_ranges_as_in_one(tmp_path, monkeypatch):
    texts = planted()[:80]
    _, whole = stages(tmp_path / "whole", texts)
    monkeypatch.setattr(near, "_KEYS_PER_RANGE", 100)
    _, parts = stages(tmp_path / "parts", texts)
    assert whole == parts
    assert whole


def test_a_cluster_keeps_its_first_document_and_says_which(tmp_path):
    words = [f"word{n}" for n in range(60)]
    copies = [" ".join([*words[:-1], f"end{n}"]) for n in range(40)]
    records = [{"id": f"c{n}", "text": text} for n, text in enumerate(copies)]
    records.insert(7, {"id": "other", "text": "Another text altogether, of which there is no copy."})
    manifest = build_store(
        tmp_path / "s", write_lines(tmp_path / "a.jsonl", records), near_duplicates=NearDuplicates()
    )
    assert {p.doc_id for p in Datastore.open(tmp_path / "s")} == {"c0", "other"}
    assert manifest.counts["removed.near_duplicate"] == 39
    (listed,) = (tmp_path / "s" / "removed" / "near_duplicate").iterdir()
    line = orjson.loads(listed.read_bytes().splitlines()[0])
    assert line["id"] == "c1"
    assert line["kept"] == {"domain": "a", "id": "c0"}
    assert "nearly" in line["reason"]


def test_short_and_empty_documents_are_compared_too(tmp_path):
    texts = ["only three words", "Only  three WORDS here", "...", "only three words Here"]
    _, drops = stages(tmp_path, texts, NearDuplicates(words=5), split_bytes=50)
    assert drops == {1: 0}  # Of the two that are long enough.
    longer = [f"{text} and some more of them" for text in texts]
    longer[3] = longer[1].lower()
    _, drops = stages(tmp_path / "longer", longer, NearDuplicates(words=5), split_bytes=50)
    assert drops == {3: 1}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50)), max_size=60, unique=True))
def test_documents_that_share_a_key_are_joined(items):
    keys = np.array([key for key, _ in items], np.uint64)
    documents = np.array([document for _, document in items], np.int64)
    pairs = [tuple(pair) for pair in sharing(keys, documents).tolist()]
    assert pairs == sorted(set(pairs))
    groups = [{d for k, d in items if k == key} for key in range(4)]
    for later, earlier in pairs:
        assert later > earlier
        assert any({later, earlier} <= group for group in groups)
    joined = {frozenset(pair) for pair in pairs}
    for group in groups:
        if len(group) <= near._NEIGHBOURS + 1:
            assert all(frozenset(pair) in joined for pair in combinations(group, 2))
        else:
            assert all(frozenset((min(group), member)) in joined for member in group - {min(group)})


def test_more_bands_than_permutations_are_refused():
    with pytest.raises(ValueError, match="fewer bands"):
        NearDuplicates(permutations=8)
