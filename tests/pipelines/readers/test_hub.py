from types import SimpleNamespace

import pytest

from datastore.errors import RalmError, Unavailable
from pipelines.config import SourceConfig
from pipelines.readers.formats import Segment
from pipelines.readers.hub import at_commit, open_hub_dataset, revision_of
from pipelines.readers.reader import RecordReader
from pipelines.readers.records import Unreadable
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


def test_a_row_that_the_hubs_library_cannot_make_is_listed_with_what_lies_behind_it(monkeypatch):
    class Set:
        num_shards = 1

        def shard(self, num_shards, index):
            yield {"text": "one"}
            raise TypeError("a cast that fails")

    monkeypatch.setattr("datasets.load_dataset", lambda *_, **__: Set())
    reader = RecordReader(SourceConfig(path="hf://owner/set"), "set", 1 << 20)
    one, two = reader.read(Segment("hf://owner/set", "set", "hf", 0, 1))
    assert one.text == "one"
    reason = "the rows cannot be read from here on (TypeError: a cast that fails)"
    assert two == Unreadable("set/0", 2, reason)
