import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from base.errors import RalmError
from datastore.files.layout import Layout
from pipelines.execution.executor import (
    SMALL,
    LocalExecutor,
    ProcessExecutor,
    RayExecutor,
    fitting,
    open_executor,
)
from tests.conftest import build_store, tree
from tests.pipelines.stages import Failing, Noting, Told, nothing, tasks

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


def test_several_processes_give_the_bytes_of_this_one(tmp_path, corpus, alone, two_processes):
    assert isinstance(two_processes, ProcessExecutor)
    build_store(tmp_path / "store", corpus, executor=two_processes, **SETTINGS)
    assert tree(tmp_path / "store") == alone


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


def test_a_process_that_says_what_is_wrong_or_dies_is_one_sentence(tmp_path):
    for how, sentence in (("sentence", r"^Task 1 says what to mend\.$"), ("always", "fewer workers")):
        with open_executor("local", 2) as executor, pytest.raises(RalmError, match=sentence):
            executor.run(tasks(Failing(Layout(tmp_path / how), how), 0, 1, 2), nothing)


KILLED = """
import os, signal, sys
from pathlib import Path
from datastore.files.layout import Layout
from pipelines.execution.executor import open_executor
from tests.pipelines.stages import Noting, tasks

if __name__ == "__main__":
    stage = Noting(Layout(Path(sys.argv[1])), "first")
    with open_executor("local", 2) as executor:
        executor.run(tasks(stage, 0, 1, 2), lambda task: os.kill(os.getpid(), signal.SIGKILL))
"""


def test_processes_end_when_the_one_that_started_them_is_killed(tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, str(script), str(tmp_path)]
    killed = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment)
    # Its processes have its pipe too: that ends with the last of them, so the timeout is the test.
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert any(Layout(tmp_path).done("first", number) for number in range(3))


def test_ray_starts_with_the_first_task_and_not_before(tmp_path, monkeypatch):
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("pipelines.execution.executor.start_ray", lambda _: pytest.fail("started"))
    with open_executor("ray", 1) as executor, pytest.raises(RalmError, match="There is no source"):
        build_store(tmp_path / "store", tmp_path / "nowhere.jsonl", executor=executor)
    with open_executor("ray", 1) as executor, pytest.raises(pytest.fail.Exception, match="started"):
        executor.run(tasks(Noting(Layout(tmp_path), "first"), 0), nothing)


def test_nothing_is_begun_on_a_cluster_that_cannot_be_reached(tmp_path, corpus, monkeypatch):
    def fail(_):
        raise RalmError("the cluster cannot be reached")

    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("pipelines.execution.executor.start_ray", fail)
    with open_executor("ray", 1) as executor, pytest.raises(RalmError, match="cannot be reached"):
        build_store(tmp_path / "store", corpus, executor=executor)
    assert not Layout(tmp_path / "store").build_file.exists()


def test_ray_is_left_out_of_a_small_job_unless_it_was_asked_for(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    with open_executor("auto") as found:
        assert isinstance(fitting(found, SMALL), LocalExecutor)
        assert fitting(found, SMALL + 1) is found
        monkeypatch.setattr("ray.is_initialized", lambda: True)
        assert fitting(found, SMALL) is found
        monkeypatch.setattr("ray.is_initialized", lambda: False)
        monkeypatch.setenv("RAY_ADDRESS", "ray://somewhere")
        assert fitting(found, SMALL) is found
    monkeypatch.delenv("RAY_ADDRESS")
    for name, workers in (("ray", None), ("auto", 2), ("local", None), ("local", 2)):
        with open_executor(name, workers) as found:
            assert fitting(found, 1) is found


def test_a_process_that_ends_at_once_leaves_no_warning():
    script = "import os\nfrom pipelines.execution.executor import ProcessExecutor as P\np = P(2); os._exit(0)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
