import numpy as np
import pytest

from base.errors import RalmError
from lm.prompts import Prompt
from lm.reader import Continuation
from pipelines.evaluate.metrics import ACCURACY, bits
from pipelines.questions import read_questions
from pipelines.tasks.asked.choices import answered, choose
from pipelines.tasks.evaluation import measure
from pipelines.tasks.study import TaskStudy
from retriever.local import LocalRetriever
from retriever.request import Method, Search
from tests.corpus import CITIES, write_lines
from tests.lm.models import tiny_model, tiny_reader


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """lm-eval describes the machine each time, which takes seconds."""
    monkeypatch.setattr("torch.utils.collect_env.get_pretty_env_info", lambda: "a machine")


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    return tiny_reader(tiny_model(tmp_path_factory.mktemp("tiny") / "model", context=1000))


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    lines = [
        {
            "question": f"What do people in {city} make?",
            "choices": ["iron", craft, "fish"],
            "answer_index": 1,
            "gold_docs": [f"{city if at else CITIES[1][0]}-1"],
        }
        for at, (city, _, _, craft, _) in enumerate(CITIES[:4])
    ]
    return write_lines(tmp_path_factory.mktemp("questions") / "q.jsonl", lines)


def study(asked, **more):
    search = Search(2, method=Method("bm25"))
    return TaskStudy(("ralm_choices",), search=search, questions=asked, against_alone=True, **more)


def test_values_are_those_of_the_reader_asked_directly(asked, reader, store):
    found = choose(study(asked), LocalRetriever.open(store), reader)
    questions = read_questions(asked, scored=False).questions
    prompts = [Prompt(text=f"Question: {one.text}\nAnswer:") for one in questions]
    arms = {one.metric: one for one in found.arms}
    assert arms["accuracy"].alone.tolist() == ACCURACY.values(reader, prompts, questions).tolist()
    right = [Continuation(at, f" {one.choices[1]}") for at, one in zip(prompts, questions, strict=True)]
    expected = [bits(one.total) for one in reader.loglikelihood(right)]
    assert arms["bits per answer"].alone.tolist() == pytest.approx(expected, rel=1e-4)
    assert not np.allclose(arms["bits per answer"].beside, arms["bits per answer"].alone)
    assert list(arms) == ["accuracy", "accuracy by bytes", "bits per answer"]
    assert found.ids == tuple(f"ralm_choices/{at}" for at in range(4))
    assert found.clusters.tolist() == [0, 0, 1, 2]
    # The second passage of each town tells what is made there.
    assert found.held.tolist() == [True] * 4
    assert found.basis["reader"]["name"] == reader.name


def test_letters_are_not_looked_for_in_passages_and_other_tasks_are_refused(asked, reader, store):
    results = measure(study(asked, limit=2), LocalRetriever.open(store), reader)
    for one in (results.found, results.alone):
        for sample in one["samples"]["ralm_choices"]:
            sample["doc"] = {"question": sample["doc"]["question"]}
            sample["arguments"] = [(context, " A") for context, _ in sample["arguments"]]
    assert answered(results).held is None
    for one in (results.found, results.alone):
        for sample in one["samples"]["ralm_choices"]:
            sample["metrics"] = ["exact_match"]
    with pytest.raises(RalmError, match="does not score the task by acc"):
        answered(results)
