import pytest

from base.errors import Unavailable
from datastore.files.layout import Layout
from datastore.files.markers import Marker
from pipelines.execution.markers import markers_of


def test_a_marker_that_another_node_wrote_may_be_seen_late(tmp_path, monkeypatch):
    layout, late = Layout(tmp_path), Marker({"stones": 2})
    layout.mark("weigh", 0, Marker({"stones": 1}))
    monkeypatch.setattr("pipelines.execution.markers.sleep", lambda _: layout.mark("weigh", 1, late))
    assert [marker.counts["stones"] for marker in markers_of(layout, "weigh", 2)] == [1, 2]


def test_a_task_that_left_no_marker_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.execution.markers._SECONDS", 0.0)
    layout = Layout(tmp_path)
    layout.mark("weigh", 0, Marker({"stones": 1}))
    assert len(markers_of(layout, "weigh", 1)) == 1
    with pytest.raises(Unavailable, match="Task 1 of weigh left no marker in"):
        markers_of(layout, "weigh", 2)
