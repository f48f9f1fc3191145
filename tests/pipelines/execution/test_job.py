from dataclasses import dataclass

import numpy as np
import pytest

from base.errors import RalmError
from datastore.files.json import write_json
from datastore.files.layout import Layout
from datastore.files.markers import Marker
from datastore.generations.generation import current
from pipelines.execution.executor import LocalExecutor
from pipelines.execution.job import WORK, Job, begin, discard, only_file, pending
from pipelines.execution.progress import Silent
from tests.conftest import build_store, tree
from tests.corpus import documents, write_lines
from tests.vectors import make_store, random_vectors


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"min_chars": 3}, "min_chars was 20, now 3"),
        ({"encoder": None}, "encoder"),
        ({"limit": 5}, "limit was not set, now 5"),
    ],
)
def test_other_settings_than_the_builds_are_refused(own_store, corpus, change, what, tmp_path):
    if "encoder" in change:
        from retriever.encoding.checkpoint import Checkpoint
        from retriever.encoding.usage import DEFAULT_ENCODER

        change = {"encoder": str(Checkpoint.find(DEFAULT_ENCODER).folder)}
    before = tree(own_store)
    with pytest.raises(RalmError, match=what):
        build_store(own_store, corpus, **({"split_bytes": 4096, "passages_per_shard": 8} | change))
    assert tree(own_store) == before


def test_a_changed_source_is_refused(own_store, tmp_path):
    changed = write_lines(tmp_path / "towns.jsonl", documents()[:-1])
    with pytest.raises(RalmError, match="source files or their sizes have changed"):
        build_store(own_store, changed, split_bytes=4096, passages_per_shard=8)


class Told:
    """Progress that remembers what it was told."""

    def __init__(self):
        self.heard = []

    def start(self, stage, unit, total, done):
        self.heard.append((stage, unit, total, done))

    def advance(self, units):
        self.heard.append(units)

    def finish(self):
        self.heard.append("finished")


@dataclass(frozen=True)
class Weighing:
    """A stage of tasks of different sizes."""

    layout: Layout
    weights: tuple[int, ...]
    name: str = "weigh"
    unit = "stones"

    def sizes(self):
        return self.weights

    def run(self, number):
        return Marker({"stones": self.weights[number]})


def test_what_is_done_is_neither_done_nor_counted_again(tmp_path):
    layout, told = Layout(tmp_path), Told()
    layout.mark("weigh", 1, Marker({"stones": 70}))
    job = Job(layout, LocalExecutor(), told)
    stage = Weighing(layout, (2, 3, 4))
    assert [m.counts["stones"] for m in job.perform(stage)] == [2, 70, 4]
    assert told.heard == [("weigh", "stones", 9, 3), 2, 4, "finished"]
    assert [m.counts["stones"] for m in job.perform(stage)] == [2, 70, 4]
    assert told.heard[4:] == []


class Remembering(LocalExecutor):
    """Remembers in which order tasks were asked for and came of others."""

    def run(self, tasks, done, in_order=False):
        self.order = []

        def noted(task):
            self.order.append((task.stage.name, task.number))
            return done(task)

        super().run(tasks, noted, in_order)


def test_of_two_stages_at_a_time_a_task_of_the_second_waits_for_its_own_of_the_first(tmp_path):
    layout, told, executor = Layout(tmp_path), Told(), Remembering()
    first, second = Weighing(layout, (2, 3, 4, 5)), Weighing(layout, (2, 3, 4, 5), "again")
    for name, done in (("weigh", (0, 1)), ("again", (0,))):
        for number in done:
            layout.mark(name, number, Marker({"stones": 70}))
    one, other = Job(layout, executor, told).perform_both(first, second)
    assert [m.counts["stones"] for m in one] == [70, 70, 4, 5]
    assert [m.counts["stones"] for m in other] == [70, 3, 4, 5]
    assert executor.order == [("again", 1), ("weigh", 2), ("weigh", 3), ("again", 2), ("again", 3)]
    assert told.heard == [("again", "stones", 14, 2), 3, 4, 5, "finished"]


def test_a_stage_without_work_is_done_and_not_shown(tmp_path):
    layout, told = Layout(tmp_path), Told()
    assert len(Job(layout, LocalExecutor(), told).perform(Weighing(layout, (0, 0)))) == 2
    assert told.heard == []


@pytest.mark.parametrize(
    ("now", "message"),
    [
        ({"config": {"limit": 3, "seed": 0}}, r"\(limit was not set, now 3\)"),
        ({"splits": [2]}, r"\(the source files or their sizes have changed\)"),
        ({"ignored": ["b"]}, r"\(the files of kinds that ralm does not read have changed\)"),
        ({"dtype": "bfloat16"}, r"\(dtype was float32, now bfloat16\)"),
        ({"config": {"limit": None, "seed": 0, "pooling": "cls"}}, r"\(pooling was not set, now cls\)"),
        ({"rules": [{"n": 1}, {"n": 3}]}, r"\(rules.1.n was 2, now 3\)"),
        ({"rules": [{"n": 2}, {"n": 1}]}, r"\(rules.0.n was 1, now 2; rules.1.n was 2, now 1\)"),
        ({"rules": [{"n": 1}]}, r"\(rules have changed\)"),
    ],
)
@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        ("", "choose another folder, or delete this one: nothing of it is published.$"),
        ("0001-add", "give up what was begun with `ralm discard"),
    ],
)
def test_a_job_goes_on_with_the_settings_that_it_was_begun_with_alone(tmp_path, now, message, name, way_out):
    first = {"config": {"limit": None, "seed": 0}, "splits": [1], "ignored": [], "dtype": "float32"}
    first["rules"] = [{"n": 1}, {"n": 2}]
    job = Job(Layout(tmp_path, name), LocalExecutor(), Silent())
    job.claim(first)
    job.claim(dict(first))
    with pytest.raises(RalmError, match=f"{message}: use those again, or {way_out}"):
        job.claim(first | now)
    assert job.layout.read_settings() == first | {"work": WORK}


def test_a_finished_store_is_said_to_be_one_and_to_be_added_to(own_store, corpus, tmp_path):
    other = write_lines(tmp_path / "other.jsonl", documents()[:5])
    with pytest.raises(RalmError, match=r"holds a finished store that was begun with other .* `ralm add"):
        build_store(own_store, other)


@pytest.mark.parametrize("work", [{}, {"work": WORK + 1}])
def test_a_job_that_another_version_has_begun_is_refused_and_a_store_that_is_built_is_not(tmp_path, work):
    job = Job(Layout(tmp_path), LocalExecutor(), Silent())
    write_json(job.layout.build_file, {"some": "settings"} | work)
    with pytest.raises(RalmError, match=r"begun by another version of ralm.*choose another folder"):
        job.claim({"some": "settings"})
    make_store(tmp_path, np.arange(4), random_vectors(0, 4), "Flat")
    job.claim({"some": "settings"})


@pytest.mark.parametrize("kept", ["takedowns/000000.jsonl", "manifests/000001.json", "thesis.txt"])
def test_a_folder_with_anything_to_be_missed_is_not_said_to_be_deleted(tmp_path, kept):
    job = Job(Layout(tmp_path), LocalExecutor(), Silent())
    job.claim({"some": "settings"})
    (tmp_path / kept).parent.mkdir(exist_ok=True)
    (tmp_path / kept).write_text("{}")
    with pytest.raises(RalmError, match=r"use those again, or choose another folder\.$"):
        job.claim({"some": "others"})


def begun(layout, manifest, kind):
    job = Job(begin(layout, manifest, kind), LocalExecutor(), Silent())
    job.claim({"some": "settings"})
    return job


def test_one_job_at_a_time_is_begun_until_it_is_given_up(own_store):
    layout, manifest = Layout(own_store), current(Layout(own_store))
    before = tree(own_store)
    assert pending(layout, manifest) is None
    assert discard(layout, manifest) is None
    job = begun(layout, manifest, "add")
    assert pending(layout, manifest).job == job.layout.job == "0001-add"
    assert begin(layout, manifest, "add") == job.layout
    with pytest.raises(RalmError, match="unfinished `ralm add`: run the same command again to finish it"):
        begin(layout, manifest, "compact")
    written = [layout.passages(99), job.layout.removed("unreadable", 0), layout.work / "documents"]
    for path in written:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"of the job")
    assert discard(layout, manifest) == "0001-add"
    assert pending(layout, manifest) is None
    assert not any(path.exists() for path in written)
    assert tree(own_store) == before
    assert begin(layout, manifest, "compact").job == "0001-compact"


def test_the_report_of_what_could_not_be_read_may_stay(own_store):
    layout, manifest = Layout(own_store), current(Layout(own_store))
    report = begun(layout, manifest, "add").layout.removed("unreadable", 0)
    report.parent.mkdir(parents=True)
    report.write_text("a line")
    discard(layout, manifest, keep_removed=True)
    assert report.exists()


def test_a_job_that_was_killed_after_it_had_published_leaves_nothing_to_the_next(own_store):
    layout = Layout(own_store)
    layout.work.mkdir()
    (layout.work / "left").write_bytes(b"over")
    begin(layout, current(layout), "add")
    assert not layout.work.exists()


def test_the_one_file_of_a_task_is_its_only_one(tmp_path):
    layout = Layout(tmp_path)
    info = layout.write(tmp_path / "a", lambda handle: handle.write(b"x"))
    assert only_file(Marker({}, (info,))).path == "a"
    with pytest.raises(ValueError, match="too many values"):
        only_file(Marker({}, (info, info)))
