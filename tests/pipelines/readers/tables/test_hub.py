import gzip
import zlib
from types import SimpleNamespace

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from base.errors import RalmError, Unavailable
from pipelines.config import SourceConfig
from pipelines.readers.records import Intake, Unreadable
from pipelines.readers.segment import Segment
from pipelines.readers.tables.hub import at_commit, open_hub_dataset, revision_of
from tests.pipelines.readers.reading import lines


def test_hub_data_sets_stream_their_rows(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    for number in range(2):
        lines(folder / f"train-{number}.jsonl", *({"text": f"text {number} {i}"} for i in range(5)))
    path = f"hf://{folder}"
    intake = Intake(SourceConfig(path=path), str(folder), 1 << 20)
    found = [d for shard in range(2) for d in Segment(path, "set", "hf", shard, shard + 1).records(intake)]
    assert [d.text for d in found] == [f"text {n} {i}" for n in range(2) for i in range(5)]
    assert len({d.id for d in found}) == 10


def test_a_set_is_read_as_it_was_when_the_build_began(monkeypatch, tmp_path):
    """The publisher may push to it while it is read."""
    asked, commit = [], "c0ffee" + 34 * "0"

    def info(_, name, revision, timeout):
        asked.append((name, revision))
        return SimpleNamespace(sha=commit)

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", info)
    path = at_commit("hf://owner/set?split=train")
    assert path == f"hf://owner/set?split=train&revision={commit}"
    assert (revision_of(path), revision_of("hf://owner/set")) == (commit, "")
    assert at_commit(path) == path
    assert at_commit(f"hf://{tmp_path}") == f"hf://{tmp_path}"
    # A branch is pushed to as well.
    assert at_commit("hf://owner/set?revision=main") == f"hf://owner/set?revision={commit}"
    assert asked == [("owner/set", None), ("owner/set", "main")]
    opened = {}
    monkeypatch.setattr("datasets.load_dataset", lambda *names, **options: opened.update(options))
    open_hub_dataset(path)
    assert opened == {"split": "train", "revision": commit, "streaming": True}


def test_offline_a_set_is_read_as_it_is():
    assert at_commit("hf://owner/set") == "hf://owner/set"  # The tests run offline.


def test_a_hub_that_does_not_answer_is_a_sentence(monkeypatch):
    """Read at another commit than the next task's, or with a traceback, it must not be."""
    from huggingface_hub.utils import httpx

    def silent(*_, **__):
        raise httpx.ConnectTimeout("no answer")

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", silent)
    monkeypatch.setattr("datasets.load_dataset", silent)
    with pytest.raises(Unavailable, match="owner/set cannot be opened: no answer"):
        at_commit("hf://owner/set")
    with pytest.raises(Unavailable, match="owner/set cannot be opened: no answer"):
        open_hub_dataset("hf://owner/set")


def test_a_hub_data_set_that_cannot_be_had_is_a_sentence():
    with pytest.raises(RalmError, match="nobody/nothing cannot be opened"):
        open_hub_dataset("hf://nobody/nothing")
    with pytest.raises(RalmError, match="unknown option colour"):
        open_hub_dataset("hf://nobody/nothing?colour=red")


def rows_of(folder):
    path = f"hf://{folder}"
    intake = Intake(SourceConfig(path=path), "set", 1 << 20)
    return list(Segment(path, "set", "hf", 0, 1).records(intake))


def test_a_value_that_the_hubs_library_cannot_make_costs_itself(tmp_path):
    """No date of Python's is so late; the library comes to an end there."""
    times = pa.array([1, 2**60, 3, 4, 2**60], pa.timestamp("us"))
    pq.write_table(
        pa.table({"text": [f"text {n}" for n in range(5)], "at": times}), tmp_path / "train.parquet"
    )
    found = rows_of(tmp_path)
    assert [one.text for one in found] == [f"text {n}" for n in range(5)]
    assert [list(one.metadata) for one in found] == [["at"], [], ["at"], ["at"], []]
    assert found[2].metadata == {"at": "1970-01-01T00:00:00.000003"}


def test_a_file_that_the_hubs_library_cannot_read_on_is_listed(tmp_path):
    (tmp_path / "train.jsonl").write_bytes(b'{"text": "one"}\n{"text": "two"}\n{broken\n')
    *_, last = rows_of(tmp_path)
    assert isinstance(last, Unreadable)
    assert "cannot be read from here on" in last.reason


def test_a_picture_that_is_none_costs_no_row(tmp_path):
    """Data sets of pictures have texts, too."""
    features = datasets.Features({"text": datasets.Value("string"), "picture": datasets.Image()})
    pictures = [{"bytes": b"no picture", "path": None}] * 3
    datasets.Dataset.from_dict({"text": ["a", "b", "c"], "picture": pictures}, features).to_parquet(
        tmp_path / "train.parquet"
    )
    assert [r.text for r in rows_of(tmp_path)] == ["a", "b", "c"]


@pytest.mark.parametrize("error", [gzip.BadGzipFile("CRC check failed"), zlib.error("invalid distance")])
def test_rows_out_of_data_that_turn_out_damaged_are_doubtful(monkeypatch, error):
    """Libraries compare a checksum when all before it has been read."""

    def rows():
        yield from ({"text": f"text {n}"} for n in range(5))
        raise error

    monkeypatch.setattr(
        "datasets.load_dataset", lambda *_, **__: datasets.IterableDataset.from_generator(rows)
    )
    intake = Intake(SourceConfig(path="hf://owner/set"), "set", 1 << 20)
    *found, bad = Segment("hf://owner/set", "set", "hf", 0, 1).records(intake)
    assert [one.text for one in found] == [f"text {n}" for n in range(5)]
    assert isinstance(bad, Unreadable)
    (one,) = intake.doubtful
    assert (one.file, one.first, one.last, one.documents) == ("set/0", 1, 5, 5)
    assert str(error) in one.reason
