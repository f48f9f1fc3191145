"""What is shown of tasks on their way: it adds up, whatever they say and whenever one looks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastore.files.layout import Layout
from pipelines.execution import reports
from pipelines.execution.reports import Report, Watch, watching


@pytest.fixture
def always(monkeypatch):
    monkeypatch.setattr(reports, "_SECONDS", 0.0)


def watch_of(layout, *sizes):
    heard: list[int] = []
    return Watch(layout, "embed", sizes, heard.append), heard


def test_batches_are_counted_as_they_come_and_the_rest_when_a_task_is_done(tmp_path, always):
    layout = Layout(tmp_path)
    watch, heard = watch_of(layout, 100, 50)
    first, second = (Report(layout, "embed", number) for number in range(2))
    first.add(30)
    watch.look()
    watch.look()
    first.add(20)
    second.add(10)
    watch.look()
    watch.done(0)
    watch.look()
    watch.done(1)
    assert heard == [30, 20, 10, 50, 40]
    assert not list((layout.work / "reports" / "embed").iterdir())


def test_a_task_that_began_anew_is_not_counted_twice(tmp_path, always):
    layout = Layout(tmp_path)
    watch, heard = watch_of(layout, 100)
    Report(layout, "embed", 0).add(60)
    watch.look()
    again = Report(layout, "embed", 0)
    for _ in range(3):
        again.add(25)
        watch.look()
    watch.done(0)
    assert heard == [60, 15, 25]


def test_word_of_an_earlier_run_or_half_a_word_is_none(tmp_path, always):
    layout = Layout(tmp_path)
    Report(layout, "embed", 0).add(60)
    watch, heard = watch_of(layout, 100, 100, 100)
    with watching(watch):
        (layout.work / "reports" / "embed" / "1").write_text("")
        (layout.work / "reports" / "embed" / "2").write_text("900")
        watch.look()
    assert heard == []


def test_word_is_left_no_more_often_than_it_is_looked_for(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(reports.time, "monotonic", lambda: now[0])
    layout = Layout(tmp_path)
    report = Report(layout, "embed", 3)
    for _ in range(10):
        report.add(1)
    assert not layout.work.exists()
    now[0] = 1.5
    report.add(1)
    assert (layout.work / "reports" / "embed" / "3").read_text() == "11"


def test_a_disk_that_is_full_spoils_no_task(tmp_path, always):
    (tmp_path / "work").write_text("no folder")
    Report(Layout(tmp_path), "embed", 0).add(1)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 40), st.booleans()), max_size=30), st.data())
def test_in_the_end_all_is_counted_once(tmp_path_factory, steps, data):
    layout = Layout(tmp_path_factory.mktemp("w"))
    sizes = (100, 70, 40)
    watch, heard = watch_of(layout, *sizes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reports, "_SECONDS", 0.0)
        every = [Report(layout, "embed", number) for number in range(3)]
        for number, units, look in steps:
            every[number].add(units)
            if look:
                watch.look()
        for number in data.draw(st.permutations(range(3))):
            watch.done(number)
            watch.look()
    assert sum(heard) == sum(sizes)
    assert all(units >= 0 for units in heard)
