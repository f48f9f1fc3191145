import re

import pytest

from datastore.errors import RalmError
from datastore.layout import Layout, write_json
from pipelines.build.status import status
from tests.conftest import build_store


def test_a_finished_store_says_so(store):
    found = status(store)
    assert found.manifest is not None
    assert all(stage.done == stage.total for stage in found.stages)
    assert {stage.name for stage in found.stages if stage.took.seconds > 0} >= {"read", "embed"}


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


def test_seconds_and_joules_are_shown_by_stage_and_in_total(store, ralm):
    code, out, _ = ralm("status", store)
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines() if line.split()}
    assert lines["embed"].rstrip().endswith("J")
    assert lines["in"].rstrip().endswith("J")
    assert "Energy by" in out
    assert re.search(r"^embed: [\d,]+ tokens/s, [\d,.]+ [GT]FLOP/s of each worker\.$", out, re.MULTILINE)


def test_a_store_from_before_joules_shows_seconds(own_store, ralm):
    for path in own_store.rglob("*.measured.json"):
        write_json(path, {"seconds": 2.0})
    code, out, _ = ralm("status", own_store)
    assert code == 0
    assert "2.0s" in out
    assert "Energy" not in out


def test_near_duplicates_are_stages_of_a_build_that_looks_for_them(tmp_path, corpus):
    build_store(tmp_path / "store", corpus, near_duplicates={})
    found = {stage.name: stage for stage in status(tmp_path / "store").stages}
    near = [found[f"near-{name}"] for name in ("sign", "pair", "verify", "cluster")]
    assert all(stage.done == stage.total == 1 for stage in near)
    Layout(tmp_path / "store").marker("near-sign", 0).unlink()
    left = {stage.name: stage.total for stage in status(tmp_path / "store").stages}
    assert (left["near-sign"], left["near-pair"]) == (1, None)
