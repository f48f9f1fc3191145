import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from datastore.files.layout import Layout
from datastore.files.writing import save_array
from pipelines.corpus.documents import hashes_path
from pipelines.corpus.ingestion import Held
from pipelines.duplicates.dedup import DedupStage, duplicates, load_drops, partition_count


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=40), st.integers(1, 6))
def test_every_duplicate_points_at_the_first_of_its_kind(found, per_split):
    hashes = np.array(found, np.uint64).reshape(-1, 2)
    positions = np.array([divmod(i, per_split) for i in range(len(found))], np.int64).reshape(-1, 2)
    first, expected = {}, []
    for value, position in zip(found, positions.tolist(), strict=True):
        if value in first:
            expected.append([*position, *first[value]])
        else:
            first[value] = position
    assert duplicates(hashes, positions).tolist() == expected


def write_hashes(layout, splits):
    for number, rows in enumerate(splits):
        array = np.array([(0, i, 0, t) for i, t in rows], np.uint64).reshape(-1, 4)
        # The high half decides the partition.
        array[:, 0], array[:, 2] = array[:, 1], array[:, 3]
        layout.write(hashes_path(layout, number), lambda h, a=array: np.save(h, a))


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12), min_size=1, max_size=4),
    st.integers(1, 3),
)
def test_identity_first_then_text_among_those_left(tmp_path_factory, splits, partitions):
    layout = Layout(tmp_path_factory.mktemp("dedup"))
    write_hashes(layout, splits)
    documents = tuple(map(len, splits))
    for by in ("id", "text"):
        stage = PartitionedStage(layout, by, documents, partitions)
        for number in range(partitions):
            stage.run(number)
    ids, texts, kept = set(), set(), []
    for split, rows in enumerate(splits):
        for row, (i, t) in enumerate(rows):
            if i in ids:
                continue
            ids.add(i)
            if t not in texts:
                texts.add(t)
                kept.append((split, row))
    dropped = {
        (split, row)
        for split in range(len(splits))
        for by in ("id", "text")
        for _, row, _, _ in load_drops(layout, by, split, partitions).tolist()
    }
    everything = {(s, r) for s, rows in enumerate(splits) for r in range(len(rows))}
    assert everything - dropped == set(kept)


class PartitionedStage(DedupStage):
    """The stage with more partitions than so few documents would get."""

    def __init__(self, layout, by, documents, partitions):
        super().__init__(layout, documents)
        object.__setattr__(self, "by", by)
        object.__setattr__(self, "_partitions", partitions)

    @property
    def partitions(self):
        return self._partitions


def test_what_the_store_dropped_has_no_text_and_is_not_compared(tmp_path):
    """Were it, all of it would fall into the one partition that zero does."""
    layout = Layout(tmp_path)
    held = np.zeros((1000, 4), np.uint64)
    held[:, 0] = held[:, 1] = np.arange(1000)
    held[7, 2:] = 70
    with open(tmp_path / "held.npy", "wb") as handle:
        save_array(handle, held)
    write_hashes(layout, [[(2000, 70), (2001, 71)]])
    stage = PartitionedStage(layout, "text", (2,), 2)
    object.__setattr__(stage, "held", Held(hashes=(tmp_path / "held.npy",), documents=1000))
    for number in range(2):
        PartitionedStage(layout, "id", (2,), 2).run(number)
    assert sum(len(stage._gather(number)[0]) for number in range(2)) == 3
    for number in range(2):
        stage.run(number)
    assert load_drops(layout, "text", 0, 2).tolist() == [[0, 0, -1, 7]]


def test_partitions_grow_with_the_corpus():
    assert partition_count(0) == partition_count(1_000_000) == 1
    assert partition_count(10**9) == 63
