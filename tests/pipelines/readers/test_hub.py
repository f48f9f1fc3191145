from types import SimpleNamespace

import pytest

from datastore.errors import RalmError
from pipelines.config import SourceConfig
from pipelines.readers.formats import Segment
from pipelines.readers.hub import open_hub_dataset, pinned, revision_of
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


def test_a_set_is_read_as_it_was_when_the_build_began(monkeypatch, tmp_path):
    """The publisher may push to it while it is read."""
    asked = []

    def info(_, name, timeout):
        asked.append(name)
        return SimpleNamespace(sha="c0ffee")

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", info)
    path = pinned("hf://owner/set?split=train")
    assert path == "hf://owner/set?split=train&revision=c0ffee"
    assert (revision_of(path), revision_of("hf://owner/set")) == ("c0ffee", "")
    assert pinned(path) == path
    assert pinned(f"hf://{tmp_path}") == f"hf://{tmp_path}"
    assert asked == ["owner/set"]
    opened = {}
    monkeypatch.setattr("datasets.load_dataset", lambda *names, **options: opened.update(options))
    open_hub_dataset(path)
    assert opened == {"split": "train", "revision": "c0ffee", "streaming": True}


def test_where_the_hub_cannot_be_asked_a_set_is_not_pinned():
    assert pinned("hf://owner/set") == "hf://owner/set"  # The tests run offline.


def test_a_hub_data_set_that_cannot_be_had_is_a_sentence():
    with pytest.raises(RalmError, match="nobody/nothing cannot be opened"):
        open_hub_dataset("hf://nobody/nothing")
    with pytest.raises(RalmError, match="unknown option colour"):
        open_hub_dataset("hf://nobody/nothing?colour=red")
