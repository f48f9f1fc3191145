from pathlib import Path

import pytest

from base.errors import RalmError
from pipelines.tasks.harness import DEFINITIONS, OURS, load
from pipelines.tasks.study import TaskStudy

MINE = """
task: {name}
tag: mine
dataset_path: json
dataset_kwargs: {{data_files: {file}}}
test_split: train
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answers[0]}}}}"
"""


@pytest.fixture
def folder(tmp_path, question_file):
    """Two tasks of a user's own and a group of them; the data of one are nowhere."""
    (tmp_path / "one.yaml").write_text(MINE.format(name="mine_one", file=question_file))
    (tmp_path / "two.yaml").write_text(MINE.format(name="mine_two", file=tmp_path / "nowhere.jsonl"))
    (tmp_path / "all.yaml").write_text("group: mine_all\ntask: [mine_one]\n")
    return tmp_path


def study(*names, **more):
    return TaskStudy(names, Path("out"), **more)


def test_our_tasks_are_those_defined():
    assert (
        {path.stem for path in DEFINITIONS.iterdir()}
        == {*OURS, "popqa"}
        == {"popqa", "ralm_qa", "ralm_choices"}
    )


def test_tasks_of_a_folder_beside_ours_and_groups_and_patterns(folder, question_file, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(folder / "cache"))
    loaded = load(study("mine_o*", "ralm_qa", include=folder, questions=question_file))
    assert set(loaded.tasks) == {"mine_one", "ralm_qa"}
    assert [one.task_name for one in loaded.asked] == ["mine_one", "ralm_qa"]
    group = load(study("mine_all", include=folder))
    assert [one.name for one in group.asked] == ["mine_all"]
    assert set(group.tasks) == {"mine_one"}


def test_a_task_whose_data_cannot_be_had_says_so(folder):
    with pytest.raises(RalmError, match=r"The task mine_two cannot be loaded \(FileNotFoundError: "):
        load(study("mine_two", include=folder))


def test_a_slip_of_the_finger_is_named_before_thousands_of_tasks_are_listed():
    with pytest.raises(RalmError, match=r"no task 'ralm_qua': did you mean ralm_qa\?"):
        load(study("ralm_qua"))


def test_tasks_of_lm_eval_are_known_and_their_data_are_the_hubs():
    with pytest.raises(RalmError, match=r"The task arc_easy cannot be loaded"):
        load(study("arc_easy"))


@pytest.mark.long  # Listing them takes ten seconds.
def test_a_misspelt_task_of_lm_eval_is_told_which_is_near():
    with pytest.raises(RalmError, match=r"no task 'hellaswagg'.*hellaswag"):
        load(study("hellaswagg"))
