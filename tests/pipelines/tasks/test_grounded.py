import pytest
from lm_eval.api.instance import Instance

from base.errors import RalmError
from lm.backends.reader_choice import ReaderChoice
from lm.backends.transformers_reader import TransformersReader
from lm.prompts import Message, Prompt
from pipelines.tasks.context import Context, prompt_of
from pipelines.tasks.finding import Finder
from pipelines.tasks.grounded import GroundedLM
from pipelines.tasks.passages import Passages, Tally
from pipelines.tasks.queries import Queries
from pipelines.tasks.rolling import Rolling
from retriever.local import LocalRetriever
from retriever.request import Search
from tests.lm.models import tiny_model

SHOTS = "Question: Who makes copper bells?\nAnswer: Arvenholm\n\nQuestion: Who makes blue glass?\nAnswer:"


class Kept:
    """Keeps what it is asked, and answers nothing."""

    def loglikelihood(self, requests):
        self.asked = [request.args for request in requests]
        return [(0.0, False)] * len(requests)

    generate_until = loglikelihood_rolling = loglikelihood


class Untitled:
    """A task whose instances have no text but their question."""

    def doc_to_text(self, doc):
        return ""


def request(context, text, doc=0, kind="loglikelihood"):
    return Instance(kind, {"question": "Who makes blue glass?"}, (context, text), 0, ("t", doc, 1))


@pytest.fixture(scope="module")
def open_tiny(tmp_path_factory):
    def opened(context):
        folder = tiny_model(tmp_path_factory.mktemp("tiny") / "model", context=context)
        return TransformersReader(ReaderChoice(str(folder), "none"))

    return opened


@pytest.fixture(scope="module")
def wide(open_tiny):
    """A reader with room for all."""
    return open_tiny(4000)


@pytest.fixture
def passages(store):
    return Passages(Finder(LocalRetriever.open(store), Search(3)), Queries({"t": Untitled()}))


def asked(reader, passages, *requests):
    inner = Kept()
    getattr(GroundedLM(inner, reader, passages), requests[0].request_type)(list(requests))
    return inner.asked


def test_passages_are_found_by_the_question_and_stand_before_the_examples(wide, passages):
    choices = [request(SHOTS, f" {one}") for one in ("Rome", "Dunmarrow")]
    (rome, _), (dunmarrow, text) = asked(wide, passages, *choices)
    front = rome.removesuffix(SHOTS)
    assert front.count("Dunmarrow: ") == 3
    assert "Arvenholm" not in front
    assert front.index("[3]") < front.index("[1]")
    assert (dunmarrow, text) == (rome, " Dunmarrow")
    assert prompt_of(rome) == Prompt(text=rome, passages=3)
    assert passages.tallies == {"t": Tally(1)}
    # What is logged is what was asked.
    assert choices[0].args[0] is rome


def test_a_request_that_is_repeated_gets_its_passages_once(wide, passages):
    one = request(SHOTS, {"until": ["\n"]}, kind="generate_until")
    found = asked(wide, passages, one, one)
    assert found[0] is found[1]
    assert found[0][0].count("[1]") == 1


def test_a_conversation_gets_them_before_its_last_question(wide, passages):
    turns = [("user", "Who?"), ("assistant", "I."), ("user", "Who makes blue glass?")]
    talk = Prompt(tuple(Message(*turn) for turn in turns))
    ((context, _),) = asked(wide, passages, request(Context.of(talk), "Dunmarrow"))
    *before, last = prompt_of(context).conversation
    assert before == list(talk.conversation[:2])
    assert last.content.startswith("[3]")
    assert last.content.endswith("\n\nWho makes blue glass?")


def test_what_is_scored_without_a_context_stays_so(wide, passages):
    (with_one, _), (without, text) = asked(wide, passages, request(SHOTS, " Rome"), request("", " Rome"))
    assert with_one.startswith("[3]")
    assert (without, text) == ("", " Rome")
    assert asked(wide, passages, request("", " Rome", doc=1)) == [("", " Rome")]
    assert passages.tallies["t"] == Tally(instances=2, bare=1)


def test_the_budget_shortens_passages_from_the_last_and_that_is_counted(wide, passages):
    passages.budget = wide.count_tokens("[1] Dunmarrow: ") + 120
    ((context, _),) = asked(wide, passages, request(SHOTS, " Rome"))
    front = context.removesuffix(SHOTS)
    # The last is left out, and the one before it is cut behind its first sentence.
    assert front.startswith(
        "[2] Dunmarrow: People in Dunmarrow have long been known for their blue glass.\n\n"
    )
    assert sum(map(wide.count_tokens, front.strip().split("\n\n"))) <= passages.budget
    assert passages.tallies["t"] == Tally(1, shortened=1)


@pytest.mark.parametrize(("spare", "read"), [(0, False), (1, False), (160, True)])
def test_a_short_context_shortens_passages_and_nothing_else(open_tiny, wide, passages, spare, read):
    settings = {"until": ["\n"], "max_gen_toks": 16}
    small = open_tiny(wide.count_tokens(SHOTS) + 16 + spare)
    requests = [request(SHOTS, settings, doc, "generate_until") for doc in range(2)]
    for context, kept in asked(small, passages, *requests):
        assert context.endswith(SHOTS)
        assert kept is settings
        assert small.prompt_tokens(prompt_of(context)) + 16 <= small.context_tokens
        assert ("[1] Dunmarrow" in context) == read
    assert passages.tallies["t"] == Tally(2, squeezed=2)


def test_choices_of_one_instance_get_the_same_passages_though_one_is_long(open_tiny, wide, passages):
    long = " of the old town beside the salt flats of Halvern" * 4
    small = open_tiny(wide.count_tokens(SHOTS + long) + 160)
    (short, _), (other, _) = asked(small, passages, request(SHOTS, " Rome"), request(SHOTS, long))
    assert short == other != SHOTS
    assert small.count_tokens(other + long) <= small.context_tokens


@pytest.mark.parametrize("retrieved", [True, False])
def test_a_prompt_that_does_not_fit_is_refused_with_passages_or_without(open_tiny, wide, passages, retrieved):
    small = open_tiny(wide.count_tokens(SHOTS) + 1)
    needed = wide.count_tokens(SHOTS) + 16
    one = request(SHOTS, {"max_gen_toks": 16}, 7, "generate_until")
    with pytest.raises(RalmError, match=rf"Instance 7 of the task t takes {needed} tokens without"):
        asked(small, passages if retrieved else None, one)


def test_whole_texts_are_scored_by_strides_where_there_are_passages_and_counted(wide, passages):
    texts = ["Blue glass.", "Salt."]
    requests = [Instance("loglikelihood_rolling", {}, (text,), 0, ("t", 0, 1)) for text in texts]
    finder = passages.finder
    rolling = Rolling(finder.retriever, finder.search, wide)
    model = GroundedLM(Kept(), wide, passages, rolling)
    alone = GroundedLM(Kept(), wide, rolling=rolling)
    assert model.loglikelihood_rolling(requests) == [one.nats for one in rolling.totals(texts, True)]
    assert alone.loglikelihood_rolling(requests) == [one.nats for one in rolling.totals(texts, False)]
    assert passages.tallies["t"] == Tally(instances=2, bare=2)
    assert asked(wide, None, *requests) == [("Blue glass.",), ("Salt.",)]
