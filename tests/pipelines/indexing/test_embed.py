from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastore.files.layout import Layout
from datastore.shard import open_array
from datastore.store import Datastore
from datastore.verify import verify
from pipelines.indexing.embed import BLOCK_ROWS, JoinStage, embed, load_encoder, parts_of
from pipelines.jobs.status import status
from retriever.encoding.encoder import Encoder
from retriever.encoding.threads import torch_threads
from tests import encoders
from tests.conftest import flip, tree
from tests.corpus import documents, write_lines
from tests.faults import Fault
from tests.resumption import Resumption


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


@given(st.lists(st.integers(1, 20_000), max_size=30))
def test_parts_cover_each_shard_in_blocks(rows):
    for device in ("cpu", "cuda"):
        parts = parts_of(rows, device)
        for shard, count in enumerate(rows):
            mine = [part for part in parts if part.shard == shard]
            assert [mine[0].first, *(part.end for part in mine)] == [
                0,
                *(part.first for part in mine[1:]),
                count,
            ]
            assert len(mine) == 1 or device == "cpu"
            assert all(part.first % BLOCK_ROWS == 0 for part in mine)


def test_a_small_corpus_gives_work_to_many_cores_and_a_large_one_no_more_tasks_than_shards():
    small = parts_of([3872])
    assert len(small) == 31
    assert max(part.end - part.first for part in small) == BLOCK_ROWS
    assert len(parts_of([16_384] * 500)) <= 8192
    assert len(parts_of([16_384] * 20_000)) == 20_000


@pytest.fixture(scope="module")
def long_one(tmp_path_factory):
    """One file whose passages fill three blocks of one shard, and a small encoder."""
    folder = tmp_path_factory.mktemp("long")
    lines = [{"id": n, "text": d["text"] * 5} for n, d in enumerate(documents())]
    return {
        "sources": [{"path": str(write_lines(folder / "long.jsonl", lines))}],
        "encoder": str(encoders.bert(folder / "encoder")),
        "chunk_tokens": 8,
        "index_key": "Flat",
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory, builder, long_one):
    root = tmp_path_factory.mktemp("whole") / "s"
    assert builder.build(Fault(str(root), long_one)).error == ""
    return root


def test_a_shard_is_embedded_in_parts_and_joined(whole):
    found = {stage.name: (stage.done, stage.total) for stage in status(whole).stages}
    rows = Datastore.open(whole).rows
    assert 2 * BLOCK_ROWS < rows < 4096
    assert found["embed"] == (-(-rows // BLOCK_ROWS),) * 2
    assert found["join"] == (1, 1)
    assert verify(whole) == []
    assert not (whole / "work").exists()


def test_joining_counts_parts_for_shards_of_one_part_are_not_joined(tmp_path):
    shards = (SimpleNamespace(rows=2 * BLOCK_ROWS + 1), SimpleNamespace(rows=5))
    stage = JoinStage(Layout(tmp_path), shards)
    assert (stage.unit, stage.sizes()) == ("parts", [3])


def test_how_a_shard_is_cut_changes_no_byte_of_it(whole, long_one):
    opened = Datastore.open(whole)
    encoder = load_encoder(long_one["encoder"], opened.manifest.encoder.dtype)
    ids = [tokens.ids for tokens in encoder.tokenizer.tokenize([passage.text for passage in opened])]
    told: list[int] = []
    assert np.array_equal(embed(encoder, ids, told.append), open_array(Layout(whole).vectors(0)))
    # Batch by batch.
    assert sum(told) == len(ids)
    assert len(told) > len(ids) // BLOCK_ROWS


@pytest.fixture
def resumption(tmp_path, builder, long_one):
    return Resumption(builder, tmp_path / "s", long_one)


@pytest.mark.parametrize(
    ("when", "file", "workers"),
    [
        ("after", "work/vectors/00000-0000256.npy", 2),
        ("before", "vectors/00000.npy", 1),
        pytest.param("before", "stages/embed/00001.json", 2, marks=pytest.mark.long),
        pytest.param("after", "stages/join/00000.json", 1, marks=pytest.mark.long),
    ],
)
def test_killed_between_blocks_a_build_goes_on_to_the_same_bytes(resumption, whole, when, file, workers):
    resumption.check(tree(whole), {"workers": workers}, when=when, point=file)


def test_a_part_that_was_damaged_before_it_is_joined_is_a_sentence(tmp_path, builder, long_one):
    root = tmp_path / "s"
    assert builder.build(Fault(str(root), long_one, when="before", point="vectors/00000.npy")).signal == 9
    flip(root / "work" / "vectors" / "00000-0000128.npy")
    said = builder.build(Fault(str(root), long_one)).error
    assert "00000-0000128.npy is corrupted (its checksum differs): delete " in said
