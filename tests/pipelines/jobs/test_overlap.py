"""Splits embedded as they are cut, as on a GPU: killed, resumed, on any executor, the bytes are the same."""

import pytest

from datastore.files.layout import Layout
from datastore.generations.generation import current
from datastore.verify import verify
from pipelines.execution.executor import RayExecutor
from pipelines.execution.progress import Silent
from pipelines.jobs.status import status
from tests.conftest import add_to, build_store, tree
from tests.corpus import documents, write_lines
from tests.pipelines.elastic import kill_a_worker
from tests.pipelines.overlap import overlap
from tests.resumption import Resumption

SETTINGS = {"split_bytes": 4096, "passages_per_shard": 8, "index_key": "IVF4,SQ8"}


@pytest.fixture(scope="module")
def apart(tmp_path_factory, corpus):
    """A store whose shards were embedded when all had been cut. Not to be changed."""
    root = tmp_path_factory.mktemp("apart") / "store"
    build_store(root, corpus, **SETTINGS)
    return root


def is_of_the_same_bytes(root, apart):
    """What two stores are, their markers aside, is the same; and each was embedded in its own way."""
    assert current(Layout(root)).hash == current(Layout(apart)).hash
    files = [
        {path: data for path, data in tree(one).items() if not path.startswith("stages/embed")}
        for one in (root, apart)
    ]
    assert files[0] == files[1]
    assert verify(root) == []
    splits = len(list((root / "stages" / "chunk").glob("?????.json")))
    assert len(list((root / "stages" / "embed-early").glob("?????.json"))) == splits > 1
    assert not (root / "stages" / "embed").exists()
    assert not (apart / "stages" / "embed-early").exists()


# In the middle of cutting, of embedding, and of moving what was embedded to its place.
FILES = {
    "chunk": "work/chunks/00001-00000.arrow",
    "cut": "stages/chunk/00001.json",
    "vectors": "work/chunks/00001-00001.npy",
    "embedded": "stages/embed-early/00001.json",
    "numbering": "passages/00001.arrow",
    "moving": "vectors/00001.npy",
}


@pytest.fixture
def resumption(tmp_path, builder, corpus):
    return Resumption(builder, tmp_path / "s", {"sources": [{"path": str(corpus)}], **SETTINGS})


@pytest.mark.parametrize(
    ("workers", "when", "file"),
    [(1, "after", "cut"), (1, "after", "moving"), (2, "before", "embedded")],
)
def test_a_killed_build_goes_on_to_the_same_bytes(resumption, apart, workers, when, file):
    how = {"workers": workers, "overlap": True}
    resumption.go_on(how, when=when, point=FILES[file], **how)
    is_of_the_same_bytes(resumption.root, apart)


@pytest.mark.long
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("workers", "file"),
    # What others cut is not written by the process that is killed.
    [*((1, file) for file in FILES), *((2, file) for file in FILES if file not in ("chunk", "cut"))],
)
def test_killed_at_every_point(resumption, apart, workers, when, file):
    how = {"workers": workers, "overlap": True}
    resumption.go_on(how, when=when, point=FILES[file], **how)
    is_of_the_same_bytes(resumption.root, apart)


class Disturbing(Silent):
    """Progress that does something when the first split has been embedded."""

    def __init__(self, harm):
        self.harm, self.embedding = harm, False

    def start(self, stage, unit, total, done):
        self.embedding = stage == "embed-early"

    def advance(self, units):
        if self.embedding:
            self.embedding = False
            self.harm()


def stop():
    raise KeyboardInterrupt


def test_a_ray_build_that_is_stopped_and_then_loses_a_worker_gives_the_same_bytes(
    tmp_path, corpus, apart, ray_cluster, monkeypatch
):
    overlap(monkeypatch.setattr, owned=False)
    root = tmp_path / "s"
    with pytest.raises(KeyboardInterrupt):
        build_store(root, corpus, executor=RayExecutor(2), progress=Disturbing(stop), **SETTINGS)
    embedded = next(stage for stage in status(root).stages if stage.name == "embed-early")
    assert 0 < embedded.done < embedded.total
    build_store(root, corpus, executor=RayExecutor(2), progress=Disturbing(kill_a_worker), **SETTINGS)
    is_of_the_same_bytes(root, apart)


def test_an_addition_embeds_early_too(tmp_path, monkeypatch):
    files = [
        write_lines(tmp_path / f"{n}.jsonl", some)
        for n, some in enumerate((documents()[:12], documents()[12:]))
    ]
    roots = [tmp_path / "apart", tmp_path / "overlap"]
    for root in roots:
        build_store(root, files[0], **(SETTINGS | {"index_key": "Flat", "split_bytes": 2048}))
    before = add_to(roots[0], files[1])[0]
    overlap(monkeypatch.setattr)
    assert add_to(roots[1], files[1])[0].hash == before.hash
    assert (roots[1] / "stages" / "0001-add" / "embed-early").exists()
    assert {stage.done == stage.total for stage in status(roots[1]).stages} == {True}
    assert verify(roots[1]) == []
