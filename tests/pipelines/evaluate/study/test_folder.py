"""A study's folder takes figures of this study alone, of this state of the store alone."""

from dataclasses import replace

import pytest
import yaml

from base.errors import RalmError
from pipelines.evaluate.study.folder import StudyFolder, study_hash
from pipelines.evaluate.study.settings import study_of
from pipelines.evaluate.study.tasks import read_task
from tests.corpus import questions, write_lines
from tests.pipelines.evaluate.simulated import Simulated


@pytest.fixture
def settings(tmp_path):
    return {"store": "s", "tasks": [str(write_lines(tmp_path / "q.jsonl", questions()))]}


def hash_of(settings) -> str:
    study = study_of(settings)
    return study_hash(study, [read_task(one, study) for one in study.tasks])


def test_a_study_is_its_tasks_and_protocol_and_may_be_extended(settings, tmp_path):
    first = hash_of(settings)
    assert hash_of(settings | {"fractions": [0.5, 1.0], "seeds": 9, "k": [1, 2], "readers": "r"}) == first
    assert hash_of(settings | {"output": "elsewhere", "workers": 2, "title": "t"}) == first
    assert hash_of(settings | {"budget": 99}) != first
    assert hash_of(settings | {"answer_tokens": 5}) != first
    other = write_lines(tmp_path / "other" / "q.jsonl", questions()[1:])
    assert hash_of(settings | {"tasks": [str(other)]}) != first


def test_tables_are_there_again(tmp_path):
    tables = Simulated(fractions=(0.1, 1.0), questions=10).tables()
    folder = StudyFolder.open(tmp_path / "out", tables.study)
    folder.add(tables.results, tables.questions)
    assert StudyFolder.open(tmp_path / "out", tables.study).tables.results == tables.results
    with pytest.raises(RalmError, match=tables.study):
        StudyFolder.open(tmp_path / "out", "6" * 16)


def test_another_state_of_the_store_is_refused_by_both_hashes(tmp_path):
    tables = Simulated(fractions=(0.1, 1.0), questions=10).tables()
    old = tuple(replace(one, basis=replace(one.basis, manifest="was")) for one in tables.results)
    folder = StudyFolder(tmp_path, replace(tables, results=old))
    folder.require("was")
    with pytest.raises(RalmError, match=r"its manifest was was, it is now now"):
        folder.require("now")


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RalmError, match=r"file is a file: choose a folder"):
        StudyFolder.open(tmp_path / "file", "5" * 16)


def test_notes_stay_with_the_figures_that_they_are_of(tmp_path):
    tables = Simulated(fractions=(0.1, 1.0), questions=10).tables()
    folder = StudyFolder.open(tmp_path, tables.study)
    folder.describe({"notes": ["q: one"]})
    assert StudyFolder.open(tmp_path, tables.study).notes == ()
    folder.add(tables.results, tables.questions)
    assert StudyFolder.open(tmp_path, tables.study).notes == ("q: one",)
    (tmp_path / "study.yaml").write_text("{")
    with pytest.raises(RalmError, match=r"study\.yaml cannot be read as YAML"):
        StudyFolder.open(tmp_path, tables.study)


def test_a_second_run_is_refused_while_the_first_goes_on(tmp_path):
    with (
        StudyFolder.held(tmp_path / "out"),
        pytest.raises(RalmError, match=r"out is being changed by process \d+ on .*: wait for it to end"),
        StudyFolder.held(tmp_path / "out"),
    ):
        pass
    with StudyFolder.held(tmp_path / "out"):
        pass


def test_what_was_measured_is_told(tmp_path):
    StudyFolder.open(tmp_path, "5" * 16).describe({"title": "Größe", "notes": ["a: b"]})
    assert yaml.safe_load((tmp_path / "study.yaml").read_bytes()) == {"title": "Größe", "notes": ["a: b"]}
