import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from datastore.errors import RalmError
from datastore.layout import Layout, Marker
from pipelines.build.executor import ProcessExecutor, RayExecutor, Task, open_executor
from tests.conftest import build_store, tree
from tests.pipelines.build import elastic

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


@dataclass(frozen=True)
class Noting:
    """A stage that notes in which process its tasks ran; its device says who carries them out."""

    layout: Layout
    name: str
    device: str = "cpu"
    # The stage whose last task is to be done before the first of this one ends.
    beside: str = ""
    unit = "tasks"

    def sizes(self):
        return [1, 1, 1]

    def run(self, number):
        given_up = time.monotonic() + 60
        while self.beside and self.layout.done(self.beside, 2) is None:
            assert time.monotonic() < given_up
        return Marker({"number": number, "process": os.getpid()})


def tasks(stage, *numbers):
    return [Task(stage, number) for number in numbers]


def nothing(task):
    """Nothing comes of any task."""
    return ()


class Told:
    """Remembers which tasks were done; of one stage's comes another's, number by number."""

    def __init__(self, first=None, second=None):
        self.first, self.second, self.heard = first, second, []

    def __call__(self, task):
        self.heard.append(task)
        return [Task(self.second, task.number)] if self.first and task.stage is self.first else []

    @property
    def numbers(self):
        return [task.number for task in self.heard]


@pytest.mark.parametrize("name", ["this process", "processes", "ray"])
def test_tasks_that_come_of_others_are_carried_out(tmp_path, name, request):
    layout = Layout(tmp_path)
    first, second = Noting(layout, "first"), Noting(layout, "second")
    told = Told(first, second)
    if name == "ray":
        request.getfixturevalue("ray_cluster")
        RayExecutor(2).run(tasks(first, 0, 1, 2), told)
    else:
        with open_executor("local", 2 if name == "processes" else 1) as executor:
            executor.run(tasks(first, 0, 1, 2), told)
    assert sorted((t.stage.name, t.number) for t in told.heard) == [
        (stage, number) for stage in ("first", "second") for number in range(3)
    ]
    assert all(layout.done("second", number) for number in range(3))


def test_tasks_for_a_gpu_run_in_the_process_that_owns_it_beside_the_others(tmp_path):
    layout = Layout(tmp_path)
    first, second = Noting(layout, "first"), Noting(layout, "second", "cuda", beside="first")
    told = Told(first, second)
    with open_executor("local", 2) as executor:
        executor.run(tasks(first, 0, 1, 2), told)
    where = {name: {layout.done(name, n).counts["process"] for n in range(3)} for name in ("first", "second")}
    assert where["second"] == {os.getpid()}
    assert os.getpid() not in where["first"]


def test_a_workers_sentence_reaches_the_driver_as_it_is(tmp_path, ray_cluster):
    with pytest.raises(RalmError, match=r"^Task 1 says what to mend\.$"):
        RayExecutor(2).run(tasks(Failing(Layout(tmp_path), "sentence"), 0, 1, 2), nothing)


def test_a_process_that_says_what_is_wrong_or_dies_is_one_sentence(tmp_path):
    for how, sentence in (("sentence", r"^Task 1 says what to mend\.$"), ("always", "fewer workers")):
        with open_executor("local", 2) as executor, pytest.raises(RalmError, match=sentence):
            executor.run(tasks(Failing(Layout(tmp_path / how), how), 0, 1, 2), nothing)


KILLED = """
import os, signal, sys
from pathlib import Path
from datastore.layout import Layout
from pipelines.build.executor import open_executor
from tests.pipelines.build.test_executor import Noting, tasks

if __name__ == "__main__":
    stage = Noting(Layout(Path(sys.argv[1])), "first")
    with open_executor("local", 2) as executor:
        executor.run(tasks(stage, 0, 1, 2), lambda task: os.kill(os.getpid(), signal.SIGKILL))
"""


def test_processes_end_when_the_one_that_started_them_is_killed(tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    killed = subprocess.Popen([sys.executable, str(script), str(tmp_path)], stderr=subprocess.PIPE)
    # Its processes have its pipe too: that ends with the last of them.
    assert killed.communicate(timeout=60)[1] is not None
    assert killed.returncode == -signal.SIGKILL
    assert any(Layout(tmp_path).done("first", number) for number in range(3))


def test_a_task_whose_worker_dies_is_done_by_its_successor(tmp_path, ray_cluster):
    told = Told()
    RayExecutor(2).run(tasks(Failing(Layout(tmp_path), "once"), 0, 1, 2), told)
    assert sorted(told.numbers) == [0, 1, 2]
    assert Layout(tmp_path).done("failing", 1) == Marker({"number": 1})


def test_a_task_that_always_kills_its_worker_is_a_sentence(tmp_path, ray_cluster):
    with pytest.raises(RalmError, match="failing task 1 died 4 times"):
        RayExecutor(1).run(tasks(Failing(Layout(tmp_path), "always"), 0, 1, 2), nothing)


def test_tasks_in_order_run_one_after_another(tmp_path, ray_cluster):
    told = Told()
    RayExecutor(2).run(tasks(Failing(Layout(tmp_path), "once"), 0, 2), told, in_order=True)
    assert told.numbers == [0, 2]


@pytest.mark.long
def test_nodes_and_processes_that_come_and_go_in_every_stage_change_no_byte(tmp_path, corpus):
    """Law 1 on a cluster of several nodes, one of which is lost, or a process, in each stage."""
    build_store(tmp_path / "undisturbed", corpus, **elastic.SETTINGS)
    found = subprocess.run(
        [sys.executable, "-m", "tests.pipelines.build.elastic", str(corpus), str(tmp_path / "store")],
        check=True,
        capture_output=True,
        text=True,
    )
    told = json.loads(found.stdout.splitlines()[-1])
    assert {"read", "chunk", "embed", "index", "lexical", "near-sign", "near-verify"} <= {*told["stages"]}
    assert told["joined"]
    assert tree(tmp_path / "store") == tree(tmp_path / "undisturbed")
