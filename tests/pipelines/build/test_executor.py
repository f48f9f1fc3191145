import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from datastore.errors import RalmError
from datastore.layout import Layout, Marker
from pipelines.build.executor import ProcessExecutor, RayExecutor, open_executor
from tests.conftest import build_store, tree

SETTINGS = {"split_bytes": 4096, "passages_per_shard": 8, "index_key": "IVF4,SQ8"}


@pytest.fixture(scope="module")
def alone(tmp_path_factory, corpus) -> dict[str, bytes]:
    """The bytes of a build in this process."""
    root = tmp_path_factory.mktemp("alone") / "store"
    build_store(root, corpus, **SETTINGS)
    return tree(root)


@pytest.mark.parametrize("workers", [1, 2])
def test_ray_with_any_workers_gives_the_bytes_of_this_process(tmp_path, corpus, alone, ray_cluster, workers):
    """Law 1: worker count, order and executor change nothing."""
    with open_executor("ray", workers) as executor:
        build_store(tmp_path / "store", corpus, executor=executor, **SETTINGS)
    assert tree(tmp_path / "store") == alone


def test_several_processes_give_the_bytes_of_this_one(tmp_path, corpus, alone):
    with open_executor("local", 2) as executor:
        assert isinstance(executor, ProcessExecutor)
        build_store(tmp_path / "store", corpus, executor=executor, **SETTINGS)
    assert tree(tmp_path / "store") == alone


@dataclass(frozen=True)
class Failing:
    """A stage whose second task fails, by a sentence or by dying (once, or always)."""

    layout: Layout
    how: str
    name = "failing"
    unit = "tasks"

    def sizes(self):
        return [1, 1, 1]

    def run(self, number):
        died = self.layout.root / "died"
        if number == 1 and self.how == "sentence":
            raise RalmError("Task 1 says what to mend.")
        if number == 1 and (self.how == "always" or not died.exists()):
            died.parent.mkdir(exist_ok=True)
            Path(died).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return Marker({"number": number})


def test_a_workers_sentence_reaches_the_driver_as_it_is(tmp_path, ray_cluster):
    with pytest.raises(RalmError, match=r"^Task 1 says what to mend\.$"):
        RayExecutor(2).run(Failing(Layout(tmp_path), "sentence"), [0, 1, 2], lambda _: None)


def test_a_process_that_says_what_is_wrong_or_dies_is_one_sentence(tmp_path):
    for how, sentence in (("sentence", r"^Task 1 says what to mend\.$"), ("always", "fewer workers")):
        with open_executor("local", 2) as executor, pytest.raises(RalmError, match=sentence):
            executor.run(Failing(Layout(tmp_path / how), how), [0, 1, 2], lambda _: None)


def test_a_task_whose_worker_dies_is_done_by_its_successor(tmp_path, ray_cluster):
    done: list[int] = []
    RayExecutor(2).run(Failing(Layout(tmp_path), "once"), [0, 1, 2], done.append)
    assert sorted(done) == [0, 1, 2]
    assert Layout(tmp_path).done("failing", 1) == Marker({"number": 1})


def test_a_task_that_always_kills_its_worker_is_a_sentence(tmp_path, ray_cluster):
    with pytest.raises(RalmError, match="failing task 1 died 4 times"):
        RayExecutor(1).run(Failing(Layout(tmp_path), "always"), [0, 1, 2], lambda _: None)


def test_tasks_in_order_run_one_after_another(tmp_path, ray_cluster):
    done: list[int] = []
    RayExecutor(2).run(Failing(Layout(tmp_path), "once"), [0, 2], done.append, in_order=True)
    assert done == [0, 2]
