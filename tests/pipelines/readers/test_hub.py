import pytest

from datastore.errors import RalmError
from pipelines.config import SourceConfig
from pipelines.readers.formats import Segment
from pipelines.readers.hub import open_hub_dataset
from pipelines.readers.reader import RecordReader
from tests.pipelines.readers.reading import lines


def test_hub_data_sets_stream_their_rows(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    for number in range(2):
        lines(folder / f"train-{number}.jsonl", *({"text": f"text {number} {i}"} for i in range(5)))
    path = f"hf://{folder}"
    reader = RecordReader(SourceConfig(path=path), str(folder), 1 << 20)
    found = [d for shard in range(2) for d in reader.read(Segment(path, "set", "hf", shard, shard + 1))]
    assert [d.text for d in found] == [f"text {n} {i}" for n in range(2) for i in range(5)]
    assert len({d.id for d in found}) == 10


def test_a_hub_data_set_that_cannot_be_had_is_a_sentence():
    with pytest.raises(RalmError, match="nobody/nothing cannot be opened"):
        open_hub_dataset("hf://nobody/nothing")
    with pytest.raises(RalmError, match="unknown option colour"):
        open_hub_dataset("hf://nobody/nothing?colour=red")
