import json
import subprocess
import sys

import pytest

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.files.markers import Marker
from pipelines.execution.actors import Pool, first_ended
from pipelines.execution.executor import RayExecutor
from tests.conftest import build_store, tree
from tests.pipelines import elastic
from tests.pipelines.stages import Failing, Told, nothing, tasks


def test_a_workers_sentence_reaches_the_driver_as_it_is(tmp_path, ray_cluster):
    with pytest.raises(RalmError, match=r"^Task 1 says what to mend\.$"):
        RayExecutor(2).run(tasks(Failing(Layout(tmp_path), "sentence"), 0, 1, 2), nothing)


def test_a_task_whose_worker_dies_is_done_by_its_successor(tmp_path, ray_cluster):
    told = Told()
    RayExecutor(2).run(tasks(Failing(Layout(tmp_path), "once"), 0, 1, 2), told)
    assert sorted(told.numbers) == [0, 1, 2]
    assert Layout(tmp_path).done("failing", 1) == Marker({"number": 1})


def test_a_task_that_always_kills_its_worker_is_a_sentence(tmp_path, ray_cluster):
    with pytest.raises(RalmError, match="failing task 1 died 4 times"):
        RayExecutor(1).run(tasks(Failing(Layout(tmp_path), "always"), 0, 1, 2), nothing)


@pytest.mark.parametrize("how", ["broken", "unavailable"])
def test_a_task_that_fails_of_the_system_is_done_again(tmp_path, ray_cluster, how):
    told = Told()
    RayExecutor(2).run(tasks(Failing(Layout(tmp_path), how), 0, 1, 2), told)
    assert sorted(told.numbers) == [0, 1, 2]
    assert Layout(tmp_path).done("failing", 1) == Marker({"number": 1, "tries": 2})


def test_a_task_that_always_fails_of_the_system_is_a_sentence(tmp_path, ray_cluster):
    with pytest.raises(
        RalmError, match=r"failing task 1 failed 4 times .*Input/output error.*: mend that and run"
    ):
        RayExecutor(2).run(tasks(Failing(Layout(tmp_path), "gone"), 0, 1, 2), nothing)


@pytest.mark.parametrize("how", ["once", "unavailable"])
def test_tasks_in_order_run_one_after_another_also_those_that_are_done_again(tmp_path, ray_cluster, how):
    told = Told()
    RayExecutor(2).run(tasks(Failing(Layout(tmp_path), how), 0, 1, 2), told, in_order=True)
    assert told.numbers == [0, 1, 2]


def test_a_worker_that_failed_rests_while_others_work(ray_cluster, monkeypatch):
    """It may be on a node whose disk is gone: it fails at once, and would take all tasks."""
    monkeypatch.setattr("pipelines.execution.actors._REST_SECONDS", 600.0)
    pool, workers = Pool("CPU", 2, num_cpus=1), []
    while len(workers) < 2:
        pool.look()
        workers += [worker for worker in [pool.take()] if worker is not None]
    failed, other = workers
    pool.give(other)
    pool.rest(failed)
    pool.look()
    assert pool.take() == other
    assert pool.take() is None
    monkeypatch.setattr("pipelines.execution.actors._REST_SECONDS", 0.0)
    for _ in range(2):  # Any number of times: it may be the only one.
        pool.rest(other)
        pool.look()
        first_ended(list(pool.coming))
        pool.look()
        assert pool.take() == other


@pytest.mark.long
def test_nodes_and_processes_that_come_and_go_in_every_stage_change_no_byte(tmp_path, corpus):
    """Law 1 on a cluster of several nodes, one of which is lost, or a process, in each stage."""
    build_store(tmp_path / "undisturbed", corpus, **elastic.SETTINGS)
    found = subprocess.run(
        [sys.executable, "-m", "tests.pipelines.elastic", str(corpus), str(tmp_path / "store")],
        check=True,
        capture_output=True,
        text=True,
    )
    # Ray may have something to say after it.
    told = json.loads(next(line for line in found.stdout.splitlines() if line.startswith("{")))
    assert {"read", "chunk", "embed", "index", "lexical", "near-sign", "near-verify"} <= {*told["stages"]}
    assert told["joined"]
    assert tree(tmp_path / "store") == tree(tmp_path / "undisturbed")
