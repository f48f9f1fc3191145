import re
import shutil
from pathlib import Path

import pytest

from base.errors import RalmError
from datastore.files.json import write_json
from datastore.files.layout import Layout
from pipelines.execution.metering.measured import made_file
from pipelines.jobs.stages import STAGES
from pipelines.jobs.status import status
from tests.conftest import add_to, build_store, compact, delete
from tests.corpus import write_lines


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


def test_what_has_changed_a_store_since_is_shown_by_its_generation(own_store, ralm, tmp_path):
    delete(own_store, "Dunmarrow-1")
    add_to(
        own_store, write_lines(tmp_path / "more.jsonl", [{"id": "x", "text": "A town that is quite new."}])
    )
    compact(own_store)
    jobs = status(own_store).jobs
    assert [(job.name, job.generation) for job in jobs] == [("build", 1), ("add", 3), ("compact", 4)]
    for job in jobs:
        assert all(stage.done == stage.total for stage in job.stages)
    named = [[stage.name for stage in job.stages if stage.done] for job in jobs]
    assert {"read", "train", "card"} <= {*named[0]}
    assert {"read", "embed"} <= {*named[1]}
    assert not {"train", "card"} & {*named[1]}  # A store that has hardly grown keeps its card.
    assert named[2] == ["compare", "compact", "compare-new", "card"]
    _, out, _ = ralm("status", own_store)
    for title in ("build, generation 1", "add, generation 3", "compact, generation 4"):
        assert f"{own_store}: {title}" in out
    begun = own_store / "stages" / "0003-compact" / "build.json"
    begun.parent.mkdir()
    begun.write_text('{"generation": 4}')
    last = status(own_store).jobs[-1]
    assert (len(status(own_store).jobs), last.name, last.generation) == (4, "compact", None)
    assert f"{own_store}: compact, not finished" in ralm("status", own_store)[1]


def test_a_job_is_done_if_it_left_word_of_what_it_made(own_store, tmp_path):
    add_to(
        own_store, write_lines(tmp_path / "more.jsonl", [{"id": "x", "text": "A town that is quite new."}])
    )
    delete(own_store, "Dunmarrow-1")
    compact(own_store)
    done = [("build", 1), ("add", 2), ("compact", 4)]
    overtaken = own_store / "stages" / "0002-add" / "build.json"
    overtaken.parent.mkdir()
    overtaken.write_text("{}")
    assert [(job.name, job.generation) for job in status(own_store).jobs] == done
    # Of two machines that had come so far at once, one was refused.
    write_json(overtaken.with_name("made.json"), {"generation": 4, "xxh3": "of another manifest"})
    assert [(job.name, job.generation) for job in status(own_store).jobs] == done
    # A store that early jobs changed, and one that no other has.
    shutil.rmtree(overtaken.parent)
    for job in ("", "0001-add", "0002-compact"):
        made_file(Layout(own_store, job)).unlink()
        assert [(job.name, job.generation) for job in status(own_store).jobs] == done


def test_a_store_that_was_only_built_is_called_by_its_name_alone(store, ralm):
    assert f"{store}\n" in ralm("status", store)[1].replace(" ", "")


def test_every_stage_stands_in_the_docs_and_in_the_order_of_the_stages(tmp_path, corpus):
    page = (Path(__file__).parents[3] / "docs/building.md").read_text(encoding="utf-8")
    table = page.partition("| stage | what it does |")[2].partition("\n\n")[0]
    named = "".join(line.split("|")[1] for line in table.splitlines()[2:])
    assert tuple(re.findall(r"`([a-z-]+)`", named)) == STAGES
    build_store(tmp_path / "s", corpus, near_duplicates={}, duplicate_lines={}, duplicate_passages="drop")
    shown = [stage.name for stage in status(tmp_path / "s").stages]
    assert shown == [name for name in STAGES if name in shown]
    assert {path.name for path in (tmp_path / "s" / "stages").iterdir() if path.is_dir()} <= {*STAGES}


def test_near_duplicates_are_stages_of_a_build_that_looks_for_them(tmp_path, corpus):
    build_store(tmp_path / "store", corpus, near_duplicates={})
    found = {stage.name: stage for stage in status(tmp_path / "store").stages}
    near = [found[f"near-{name}"] for name in ("sign", "pair", "verify", "cluster")]
    assert all(stage.done == stage.total == 1 for stage in near)
    Layout(tmp_path / "store").marker("near-sign", 0).unlink()
    left = {stage.name: stage.total for stage in status(tmp_path / "store").stages}
    assert (left["near-sign"], left["near-pair"]) == (1, None)


@pytest.mark.parametrize(("file", "name"), [("build.json", b"splits"), ("made.json", b"generation")])
def test_records_that_were_altered_are_said_in_a_sentence(own_store, ralm, file, name):
    path = own_store / "stages" / file
    path.write_bytes(path.read_bytes().replace(name, b"other"))
    code, _, err = ralm("status", own_store)
    assert code == 2
    assert f"{path} is damaged" in err
    assert "restore it from a copy" in err
