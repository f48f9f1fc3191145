from itertools import combinations
from pydoc_data.topics import topics

import numpy as np
import orjson
import pytest

from datastore.files.layout import Layout
from datastore.store import Datastore
from datastore.verify import verify
from pipelines.config import BuildConfig, NearDuplicates, SourceConfig
from pipelines.corpus.read import ReadStage
from pipelines.corpus.sources import resolve
from pipelines.duplicates import near
from pipelines.duplicates.dedup import DedupIdStage, DedupTextStage, load_drops
from pipelines.duplicates.minhash import jaccard, shingles
from pipelines.duplicates.near import ClusterStage, PairStage, SignStage, VerifyStage
from pipelines.execution.executor import LocalExecutor
from pipelines.execution.job import Job
from pipelines.execution.progress import Silent
from tests.conftest import add_to, build_store, delete
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
    for exact in (DedupIdStage, DedupTextStage):
        perform(exact(layout, documents))
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


def test_more_bands_than_permutations_are_refused():
    with pytest.raises(ValueError, match="fewer bands"):
        NearDuplicates(permutations=8)


SMALL = {"near_duplicates": SETTINGS, "split_bytes": 8_000, "passages_per_shard": 8, "lexical": False}


def records_of(texts, first=0):
    return [{"id": str(n), "domain": "d", "text": text} for n, text in enumerate(texts, first)]


def kept(root, begin):
    """The ids that a store has, from a number on."""
    return {p.doc_id for p in Datastore.open(root) if int(p.doc_id) >= begin}


BEGINS = (0, 25, 50)


@pytest.fixture(scope="module")
def thirds(tmp_path_factory):
    """Three files, whose later ones hold texts nearly those of earlier ones."""
    folder, texts = tmp_path_factory.mktemp("thirds"), planted()
    return [
        write_lines(folder / f"{begin}.jsonl", records_of(texts[begin : begin + 25], begin))
        for begin in BEGINS
    ]


@pytest.fixture(scope="module")
def wholes(tmp_path_factory, thirds):
    """Builds of two of them, and of all."""
    folder = tmp_path_factory.mktemp("wholes")
    for number in (1, 2):
        build_store(folder / str(number), *thirds[: number + 1], **SMALL)
    return folder


@pytest.mark.parametrize("keys_per_range", [16_000_000, 300])
def test_additions_are_compared_with_all_that_came_before(
    tmp_path, monkeypatch, thirds, wholes, keys_per_range
):
    """Of what is added the same stays as in a build of all. (That may drop earlier documents, too: two that
    are alike only in a later third. What a store has, stays.)"""
    monkeypatch.setattr(near, "_KEYS_PER_RANGE", keys_per_range)
    build_store(tmp_path / "added", thirds[0], **SMALL)
    for number in (1, 2):
        _, counts = add_to(tmp_path / "added", thirds[number])
        assert counts["removed.near_duplicate"] > 1
        mine = kept(tmp_path / "added", BEGINS[number])
        assert mine == kept(wholes / str(number), BEGINS[number])
        assert len(mine) == counts["indexed"]
    assert verify(tmp_path / "added") == []
    assert any(
        "nearly this text, of those the store was given before" in line["reason"]
        for line in removed(tmp_path / "added")
    )


def test_an_addition_without_near_duplicates_is_byte_for_byte_that_of_a_build(tmp_path):
    texts = [" ".join(topics[name].split()[:120]) for name in sorted(topics) if len(topics[name]) > 2000]
    second = [*(changed(text, [60]) for text in texts[4:8]), *texts[8:14], changed(texts[9], [3])]
    files = [
        write_lines(tmp_path / "first.jsonl", records_of(texts[:8])),
        write_lines(tmp_path / "second.jsonl", records_of(second, 8)),
    ]
    build_store(tmp_path / "added", files[0], **SMALL)
    manifest, counts = add_to(tmp_path / "added", files[1])
    both = build_store(tmp_path / "both", *files, **SMALL)
    assert counts["removed.near_duplicate"] == 5
    assert manifest.counts == both.counts
    shards = [[(s.rows, s.passages, s.vectors) for s in one.shards] for one in (manifest, both)]
    assert shards[0] == shards[1]


def removed(root):
    return [
        orjson.loads(line)
        for path in sorted(root.glob("removed/**/near_duplicate/*"))
        for line in path.read_bytes().splitlines()
    ]


def changed(text, places):
    words = text.split()
    for at in places:
        words[at] = "changed"
    return " ".join(words)


def test_what_was_dropped_still_finds_its_like_until_what_stayed_for_it_is_taken_down(tmp_path):
    """c is like b, b like a, c not like a; b was dropped for a."""
    a = " ".join(f"word{n}" for n in range(200))
    b, c = changed(a, [50, 100]), changed(a, [50, 100, 130, 160, 180])
    sets = [shingles(text, SETTINGS.words) for text in (a, b, c)]
    assert jaccard(sets[0], sets[1]) > 0.8 < jaccard(sets[1], sets[2])
    assert jaccard(sets[0], sets[2]) < 0.8
    root = tmp_path / "s"
    build_store(root, write_lines(tmp_path / "ab.jsonl", records_of([a, b, planted()[0]])), **SMALL)
    assert {p.doc_id for p in Datastore.open(root)} == {"0", "2"}
    _, counts = add_to(root, write_lines(tmp_path / "c.jsonl", records_of([c], 3)))
    assert (counts["removed.near_duplicate"], counts["passages"]) == (1, 0)
    more = write_lines(tmp_path / "more.jsonl", records_of([changed(c, [10]), planted()[2]], 4))
    manifest, counts = add_to(root, more)
    assert counts["removed.near_duplicate"] == 1
    # Of the second addition, too, it is known whom it was dropped for.
    delete(root, "0")
    late = records_of([changed(c, [10]), changed(c, [10, 11])], 6)
    manifest, counts = add_to(root, write_lines(tmp_path / "late.jsonl", late))
    assert counts["removed.near_duplicate"] == 1
    assert {p.doc_id for p in Datastore.open(root)} == {"2", "5", "6"}
    assert verify(root) == []
    assert manifest.generation == 5  # Also of the addition of which nothing stayed: its id is taken.
