import pytest

from datastore.errors import RalmError
from datastore.layout import Layout
from pipelines.build.status import status


def test_a_finished_store_says_so(store):
    found = status(store)
    assert found.manifest is not None
    assert all(stage.done == stage.total for stage in found.stages)
    assert {stage.name for stage in found.stages if stage.seconds > 0} >= {"read", "embed"}


def test_what_is_left_is_counted_and_what_is_undecided_is_unknown(own_store):
    (own_store / "manifest.json").unlink()
    layout = Layout(own_store)
    for stage, number in (("embed", 2), ("chunk", 0), ("read", 1)):
        layout.marker(stage, number).unlink()
    found = {stage.name: stage for stage in status(own_store).stages}
    assert status(own_store).manifest is None
    assert found["read"].total - found["read"].done == 1
    assert found["embed"].total is None
    assert found["dedup-id"].total is None


def test_no_store_is_a_sentence(tmp_path):
    with pytest.raises(RalmError, match="There is no datastore"):
        status(tmp_path / "none")
