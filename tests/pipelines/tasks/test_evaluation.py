"""Studies of tasks, from a store and a question file to results.json."""

import json

import pytest

from base.errors import RalmError
from datastore.view import View
from lm.backends.reader_choice import ReaderChoice
from lm.backends.transformers_reader import TransformersReader
from pipelines.tasks.evaluation import run
from pipelines.tasks.study import TaskStudy
from retriever.local import LocalRetriever
from retriever.request import Method, Search
from tests.lm.models import tiny_model

OURS = ("ralm_qa", "ralm_choices")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tiny_model(tmp_path_factory.mktemp("tiny") / "model", context=1000)
    return TransformersReader(ReaderChoice(str(folder), "none"))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """lm-eval describes the machine each time, which takes seconds."""
    monkeypatch.setattr("torch.utils.collect_env.get_pretty_env_info", lambda: "a machine")


def study(tmp_path, question_file, **more):
    return TaskStudy(**({"tasks": OURS, "output": tmp_path / "out", "questions": question_file} | more))


def test_results_are_those_of_lm_eval_and_say_what_they_depend_on(tmp_path, question_file, store, tiny):
    search = Search(2, View(0.5, 3), method=Method("bm25"))
    retriever = LocalRetriever.open(store)
    found = run(study(tmp_path, question_file, search=search, against_alone=True), retriever, tiny)
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert set(written["results"]) == set(written["alone"]["results"]) == set(OURS)
    assert written["results"] == found.found["results"]
    basis = written["ralm"]
    assert (basis["k"], basis["manifest"], basis["method"]["name"]) == (2, retriever.hash, "bm25")
    assert basis["view"] == {"fraction": 0.5, "seed": 3, "domains": [], "where": []}
    assert basis["reader"] == {
        "name": tiny.name, "quantization": "none", "adapter": None,
        "bytes": tiny.measured_bytes, "context_tokens": 1000,
    }  # fmt: skip
    assert basis["instances"]["ralm_qa"]["instances"] == 2
    assert written["lm_eval_version"].startswith("0.4.")
    ours, alone = (
        [json.loads(line)["arguments"] for line in (tmp_path / "out" / name).read_text().splitlines()]
        for name in ("samples-ralm_choices.jsonl", "samples-alone-ralm_choices.jsonl")
    )
    for grounded, bare in zip(ours, alone, strict=True):
        assert grounded[0][0].endswith(f"\n\n{bare[0][0]}")
        assert [one[1] for one in grounded] == [one[1] for one in bare]
    for gain in found.gains:
        ours, alone = (one["results"][gain.task][gain.metric] for one in (written, written["alone"]))
        assert gain.score.value == pytest.approx(ours - alone)
        assert gain.score.low <= gain.score.value <= gain.score.high
        assert gain.score.n == 2


def test_no_commit_is_asked_of_the_folder_that_a_user_stands_in(
    tmp_path, question_file, tiny, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    found = run(study(tmp_path, question_file, tasks=("ralm_choices",), limit=1), None, tiny)
    assert found.found["git_hash"] is None
    assert "fatal" not in capfd.readouterr().err


def test_a_folder_holds_the_samples_of_its_last_study_alone(tmp_path, question_file, tiny):
    run(study(tmp_path, question_file), None, tiny)
    (tmp_path / "out" / "notes.jsonl").write_text("mine")
    run(study(tmp_path, question_file, tasks=("ralm_qa",)), None, tiny)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"results.json", "samples-ralm_qa.jsonl", "notes.jsonl"}
    assert json.loads((tmp_path / "out" / "results.json").read_text())["ralm"]["k"] == 0


def test_answers_are_taken_again_only_for_the_same_passages_and_the_same_reader(
    tmp_path, question_file, store, tiny, monkeypatch
):
    retriever = LocalRetriever.open(store)
    asked = []

    def counted(inner):
        return lambda self, some, *more: asked.append(len(some)) or inner(self, some, *more)

    for name in ("generate", "loglikelihood"):
        monkeypatch.setattr(TransformersReader, name, counted(getattr(TransformersReader, name)))

    def read(reader=tiny, **more):
        asked.clear()
        given = {"cache": tmp_path / "cache", "search": Search(2)} | more
        found = run(study(tmp_path, question_file, **given), retriever, reader)
        # The reader is asked for its fingerprint each time: two texts.
        return sum(asked) - 2, found.found["results"]

    whole, first = read()
    assert whole == 2 + 2 * 3
    assert read() == (0, first)
    assert read(search=Search(1))[0] == whole
    assert read(search=None)[0] == whole
    assert read(search=Search(2, View(0.3)))[0] > 0
    folder = tiny_model(tmp_path / "other", "llama-tied", context=1000)
    assert read(TransformersReader(ReaderChoice(str(folder), "none")))[0] == whole
    assert read(chat=True)[0] == whole
    assert read() == (0, first)


TEXTS = """
task: texts
dataset_path: json
dataset_kwargs: {{data_files: {file}}}
test_split: train
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{question}}}}"
metric_list: [{{metric: bits_per_byte, aggregation: bits_per_byte, higher_is_better: false}}]
"""


def test_whole_texts_are_scored_in_the_same_windows_with_passages_and_alone(tmp_path, store, tiny):
    (tmp_path / "tasks").mkdir()
    lines = tmp_path / "lines.jsonl"
    lines.write_text(json.dumps({"question": "In Dunmarrow they make blue glass. " * 9}) + "\n")
    (tmp_path / "tasks" / "texts.yaml").write_text(TEXTS.format(file=lines))
    texts = {"tasks": ("texts",), "include": tmp_path / "tasks"}
    asked = study(tmp_path, None, search=Search(1), against_alone=True, **texts)
    found = run(asked, LocalRetriever.open(store), tiny)
    assert found.basis["strides"] == {"window": 1000, "stride": 64, "query": 32, "added": 0}
    assert 1 == found.basis["instances"]["texts"]["bare"] < found.basis["instances"]["texts"]["instances"]
    bits = [one["results"]["texts"]["bits_per_byte,none"] for one in (found.found, found.alone)]
    assert bits[0] != bits[1]
    # A sum over texts is no mean of what each instance has.
    assert found.gains == []
    whole = run(study(tmp_path, None, **texts), None, tiny)
    assert whole.found["results"]["texts"]["bits_per_byte,none"] == pytest.approx(bits[1], rel=0.02)


def test_what_cannot_be_asked_writes_nothing(tmp_path, question_file, tiny):
    with pytest.raises(RalmError, match="name it, --questions"):
        run(study(tmp_path, question_file, questions=None), None, tiny)
    assert not (tmp_path / "out").exists()
