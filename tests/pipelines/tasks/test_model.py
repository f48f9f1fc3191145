"""A reader behind lm-eval's interface gives what lm-eval's own `hf` gives."""

import pytest
from datasets import Dataset
from lm_eval import simple_evaluate
from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from base.errors import RalmError
from lm.backends.reader_choice import ReaderChoice
from lm.backends.transformers_reader import TransformersReader
from lm.reader import Sampling
from pipelines.tasks.harness import DEFINITIONS
from pipelines.tasks.model import ReaderLM, sampling_of
from tests.corpus import documents
from tests.lm.models import tiny_model

METRICS = {
    "word_perplexity": "weighted_perplexity",
    "byte_perplexity": "weighted_perplexity",
    "bits_per_byte": "bits_per_byte",
}


def texts():
    """A task that scores whole texts."""
    held = Dataset.from_list([{"text": one["text"]} for one in documents()[:2]])
    metrics = [{"metric": m, "aggregation": how, "higher_is_better": False} for m, how in METRICS.items()]
    config = {
        "task": "texts",
        "custom_dataset": lambda **_: {"test": held},
        "test_split": "test",
        "output_type": "loglikelihood_rolling",
        "doc_to_text": "",
        "doc_to_target": "{{text}}",
        "metric_list": metrics,
    }
    return ConfigurableTask(config=config)


@pytest.fixture(scope="module")
def manager(question_file):
    return TaskManager(
        include_defaults=False, include_path=[DEFINITIONS], metadata={"questions": str(question_file)}
    )


def evaluated(model, manager, **options):
    names = ["ralm_qa", "ralm_choices", texts()]
    return simple_evaluate(model=model, tasks=names, task_manager=manager, bootstrap_iters=0, **options)


def hf(reader):
    """The same weights behind lm-eval's own class."""
    found = HFLM(pretrained=reader._model, tokenizer=reader._tokenizer, batch_size=4)
    reader._tokenizer.padding_side = "left"
    return found


def test_three_kinds_of_tasks_are_the_same_to_the_fourth_digit(exact, manager):
    ours, theirs = (evaluated(one, manager, num_fewshot=1) for one in (ReaderLM(exact), hf(exact)))
    assert set(ours["results"]) == {"ralm_qa", "ralm_choices", "texts"}
    for task, metrics in ours["results"].items():
        figures = {name: value for name, value in metrics.items() if isinstance(value, float)}
        assert figures == pytest.approx({name: theirs["results"][task][name] for name in figures}, rel=5e-5)
        for one, other in zip(ours["samples"][task], theirs["samples"][task], strict=True):
            for mine, its in zip(one["resps"], other["resps"], strict=True):
                assert mine[0] == (its[0] if isinstance(mine[0], str) else pytest.approx(its[0], rel=5e-5))


@pytest.fixture(scope="module", params=["plain", "begins"])
def tiny(request, tmp_path_factory):
    """A tiny reader; of one of them the tokenizer puts <s> before every text."""
    folder = tiny_model(tmp_path_factory.mktemp("tiny") / "model", begins=request.param == "begins")
    found = TransformersReader(ReaderChoice(str(folder), "none"))
    found._model.float()
    return found


CONTEXTS = ["Who makes blue glass?", "A:\n", "Answer: ", "", "<s>Who?", "The river\n\n"]


def requests(kind, arguments):
    return [Instance(kind, {}, one, 0, ("t", at, 1)) for at, one in enumerate(arguments)]


def test_likelihoods_are_those_of_hf_whatever_stands_between_context_and_text(tiny):
    pairs = [(context, text) for context in CONTEXTS for text in (" Dunmarrow", "a b")]
    asked = requests("loglikelihood", pairs)
    ours, theirs = (one.loglikelihood(asked) for one in (ReaderLM(tiny), hf(tiny)))
    assert [one for one, _ in ours] == pytest.approx([one for one, _ in theirs], abs=1e-4)
    assert [greedy for _, greedy in ours] == [greedy for _, greedy in theirs]


def test_texts_are_generated_as_by_hf_white_space_and_stops_included(tiny):
    settings = [{"until": ["e", "\n"], "max_gen_toks": 12}, {"until": [], "max_gen_toks": 5}]
    settings.append({"until": "the", "max_gen_toks": 20})
    asked = requests("generate_until", [(context, one) for context in CONTEXTS[:3] for one in settings])
    assert ReaderLM(tiny).generate_until(asked) == hf(tiny).generate_until(asked)


@pytest.mark.parametrize("tiny", ["plain"], indirect=True)  # hf puts <s> before a template without it.
def test_conversations_are_those_of_hf(tiny):
    turns = [{"role": "user", "content": "Who makes blue glass?"}]
    begun = [*turns, {"role": "assistant", "content": "The people of"}]
    for written, prompted in ((turns, True), (begun, False)):
        models = ReaderLM(tiny), hf(tiny)
        contexts = [one.apply_chat_template(written, add_generation_prompt=prompted) for one in models]
        found = [
            one.loglikelihood(requests("loglikelihood", [(context, " Dunmarrow")]))[0]
            for one, context in zip(models, contexts, strict=True)
        ]
        assert found[0] == pytest.approx(found[1], abs=1e-4)


def test_a_sample_is_drawn_anew_each_time_and_comes_again_with_its_seed(tiny):
    settings = {"until": [], "max_gen_toks": 12, "do_sample": True, "temperature": 1.5}
    asked = requests("generate_until", [("The old bridge", settings)]) * 3
    found = ReaderLM(tiny, seed=5).generate_until(asked)
    assert len(set(found)) == 3
    assert ReaderLM(tiny, seed=5).generate_until(asked) == found


def test_settings_of_a_task_are_those_of_lm_eval():
    assert sampling_of({"until": ["\n", ""], "do_sample": False, "top_k": 3}, "t") == Sampling(
        256, stop=("\n",), verbatim=True
    )
    drawn = sampling_of({"until": "a", "max_tokens": 7, "temperature": 0.5, "top_p": 0.9}, "t")
    assert drawn == Sampling(7, 0.5, 0.9, ("a",), verbatim=True)
    with pytest.raises(RalmError, match="task t generates with num_beams, which no reader knows"):
        sampling_of({"num_beams": 4}, "t")


def test_a_task_that_writes_its_own_prompts_takes_no_template(tiny):
    model = ReaderLM(tiny)
    model.apply_chat_template([{"role": "user", "content": "Who?"}])
    with pytest.raises(RalmError, match="task t writes its prompts itself"):
        model.loglikelihood(requests("loglikelihood", [("Who?", " Ann")]))
