from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.files.writing import save_array
from datastore.generations.generation import current
from pipelines.config import BuildConfig, SourceConfig
from pipelines.corpus.ingestion import Held, Ingestion, IngestStage, SplitStage, Undecided, rows_of, summed
from pipelines.corpus.sources import Corpus
from tests.conftest import build_store
from tests.corpus import write_lines

SPLITS = [{"bytes": 10 * n, "segments": [["a.jsonl", "jsonl", 10 * n, 10 * n + 9]]} for n in range(3)]


def ingestion(tmp_path, job=""):
    config = BuildConfig(sources=(SourceConfig(path="a.jsonl"),))
    return Ingestion(Layout(tmp_path, job), config, Corpus.recorded(SPLITS), "float32")


@dataclass(frozen=True)
class Counting(SplitStage):
    name = "counting"
    unit = "splits"
    layout: Layout

    @classmethod
    def of(cls, ingestion):
        return cls(ingestion.layout)

    def sizes(self):
        return [1, 1, 1]

    def run(self, number):
        return Marker({"number": number})


@dataclass(frozen=True)
class Following(IngestStage):
    """A stage of one task for each unit that another has counted."""

    name = "following"
    unit = "numbers"
    layout: Layout
    numbers: tuple[int, ...]

    @classmethod
    def of(cls, ingestion):
        return cls(ingestion.layout, tuple(m.counts["number"] for m in ingestion.markers(Counting)))

    def sizes(self):
        return [1] * sum(self.numbers)

    def run(self, number):
        return Marker()


def test_what_follows_from_a_stage_is_undecided_until_all_its_tasks_are_done(tmp_path):
    whole = ingestion(tmp_path)
    assert Counting.tasks(whole) == 3
    for number in range(3):
        with pytest.raises(Undecided, match="counting"):
            Following.tasks(whole)
        whole.layout.mark("counting", number, Marker({"number": number}))
    assert Following.tasks(whole) == 3
    assert Following.of(whole).numbers == (0, 1, 2)
    # Read once: a driver has them from the tasks themselves.
    assert [marker.counts["number"] for marker in whole.left["counting"]] == [0, 1, 2]


def test_a_job_of_a_store_adds_to_it(tmp_path):
    assert not ingestion(tmp_path).adds
    assert ingestion(tmp_path, "0001-add").adds


def test_what_a_store_holds_is_counted_by_its_files(tmp_path):
    assert rows_of([]) == 0
    with open(tmp_path / "a.npy", "wb") as handle:
        save_array(handle, np.zeros((7, 4), np.uint64))
    assert rows_of([tmp_path / "a.npy", tmp_path / "a.npy"]) == 14
    lines = [{"id": str(n), "text": f"The text of document number {n} of all."} for n in range(3)]
    manifest = build_store(tmp_path / "s", write_lines(tmp_path / "a.jsonl", lines), index_key="Flat")
    held = Held.by(Layout(tmp_path / "s"), current(Layout(tmp_path / "s")), ["takedowns/000001.jsonl"])
    assert (held.documents, held.first_row, held.first_shard) == (3, manifest.rows, manifest.next_shard)
    assert (held.index_key, held.mean_words) == ("Flat", manifest.mean_words)
    assert held.takedowns == (tmp_path / "s" / "takedowns" / "000001.jsonl",)
    assert (held.near, held.passages, held.lines) == ((), 0, 0)


def test_a_corpus_that_is_gone_is_known_by_its_splits():
    corpus = Corpus.recorded(SPLITS)
    assert [split.bytes for split in corpus.splits] == [0, 10, 20]
    assert all(split.partial for split in corpus.splits)
    whole = [{"bytes": 5, "segments": [["b.txt", "text", 0, -1], ["c.jsonl", "jsonl", 0, -1]]}]
    assert not Corpus.recorded(whole).splits[0].partial


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["records", "kept", "domain.a", "removed.b"]), st.integers(0, 9))
    )
)
def test_counts_of_tasks_are_summed_without_what_is_between_stages(tasks):
    counts = summed([Marker(task) for task in tasks])
    assert list(counts) == sorted(counts)
    assert "kept" not in counts
    assert sum(counts.values()) == sum(n for task in tasks for name, n in task.items() if name != "kept")
