import json
from pathlib import Path

import pytest

from base.errors import RalmError
from datastore.files.layout import Layout
from pipelines.config import BuildConfig
from pipelines.jobs.given import Given
from tests.conftest import flip
from tests.corpus import write_lines


@pytest.fixture
def given(tmp_path):
    listed = write_lines(tmp_path / "gone.jsonl", [{"domain": "d", "id": "x"}])
    asked = write_lines(tmp_path / "q.jsonl", [{"id": "q", "question": "Which of the five old towns is it?"}])
    layout = Layout(tmp_path / "s")
    layout.root.mkdir()
    settings = {"sources": [{"path": "a"}], "takedowns": str(listed), "decontaminate": [str(asked)]}
    return Given(layout, BuildConfig.model_validate(settings))


def test_what_is_given_is_written_and_called_by_no_path(given, tmp_path):
    chosen = {"config": given.config.model_dump(mode="json")}
    (takedowns,) = given.begin_takedowns(chosen)
    given.name_questions(chosen)
    texts = given.begin_decontamination(given.table())
    assert takedowns.path == "takedowns/000000.jsonl"
    assert texts.path == "contamination/grams.arrow"
    assert chosen["config"]["decontaminate"]["files"] == ["q.jsonl"] == list(chosen["questions"])
    assert str(tmp_path) not in json.dumps(chosen["config"] | {"sources": []})


def test_a_build_that_goes_on_goes_by_what_it_was_begun_with(given):
    chosen = {"config": {}}
    begun = given.begin_takedowns(chosen), given.begin_decontamination(given.table())
    given.layout.write_settings(chosen)
    # What the files have become since changes nothing.
    write_lines(Path(given.config.takedowns), [{"domain": "d", "id": "y"}])
    assert given.table() is None
    assert (given.begin_takedowns(chosen), given.begin_decontamination(None)) == begun
    flip(given.layout.takedowns(0), 3)
    with pytest.raises(RalmError, match="is corrupted"):
        given.begin_takedowns(chosen)


def test_nothing_given_nothing_written(tmp_path):
    given = Given(Layout(tmp_path / "s"), BuildConfig.model_validate({"sources": [{"path": "a"}]}))
    chosen = {"config": {}}
    given.name_questions(chosen)
    assert given.begin_takedowns(chosen) == ()
    assert given.begin_decontamination(given.table()) is None
    assert chosen == {"config": {}}
    assert not given.layout.root.exists()
