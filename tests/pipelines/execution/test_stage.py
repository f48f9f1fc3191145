from dataclasses import dataclass

import numpy as np
import orjson
import psutil

from datastore.files.json import read_json
from datastore.files.layout import Layout
from datastore.files.markers import Marker
from pipelines.execution.stage import REMOVED_SAMPLE, RemovedLog, perform


@dataclass(frozen=True)
class Doubling:
    layout: Layout
    name = "double"
    unit = "numbers"

    def sizes(self):
        return [1, 1]

    def run(self, number):
        return Marker({"double": 2 * number})


def test_a_task_is_marked_and_its_time_stands_apart(tmp_path):
    layout = Layout(tmp_path)
    perform(Doubling(layout), 1)
    assert layout.done("double", 1) == Marker({"double": 2})
    assert layout.done("double", 0) is None
    measured = read_json(layout.measured("double", 1))
    assert set(measured) == {"seconds", "cpu_seconds", "joules", "energy_source"}
    assert measured["seconds"] >= 0
    assert "seconds" not in layout.marker("double", 1).read_text()


def test_a_task_leaves_no_memory_behind_that_it_has_freed(tmp_path):
    kept = []

    class Allocating(Doubling):
        def run(self, number):
            # Pieces that glibc takes from its heap; the last one lies behind all others.
            pieces = [np.ones(60_000, np.uint8) for _ in range(4000)]
            kept.append(pieces[-1])
            return Marker({})

    before = psutil.Process().memory_info().rss
    perform(Allocating(Layout(tmp_path)), 0)
    assert psutil.Process().memory_info().rss - before < 60_000 * 4000 / 4


def test_what_a_task_says_aside_stands_with_what_is_measured(tmp_path):
    class Telling(Doubling):
        def run(self, number):
            return Marker({"double": 2}, aside={"flops": 5.0})

    layout = Layout(tmp_path)
    perform(Telling(layout), 0)
    assert read_json(layout.measured("double", 0))["flops"] == 5.0
    assert "flops" not in layout.marker("double", 0).read_text()


def test_all_rejects_are_counted_and_a_sample_is_kept(tmp_path):
    log = RemovedLog(Layout(tmp_path), 3)
    for number in range(REMOVED_SAMPLE + 50):
        log.add("too_short", {"id": number})
        log.add("unreadable", {"record": number}, sample=None)
    infos = log.write()
    assert log.counts == {"too_short": REMOVED_SAMPLE + 50, "unreadable": REMOVED_SAMPLE + 50}
    assert [info.path for info in infos] == [
        "removed/too_short/00003.jsonl",
        "removed/unreadable/00003.jsonl",
    ]
    kept, all_ = (
        [orjson.loads(line) for line in (tmp_path / info.path).read_bytes().splitlines()] for info in infos
    )
    assert kept == [{"id": n} for n in range(REMOVED_SAMPLE)]
    assert len(all_) == REMOVED_SAMPLE + 50
