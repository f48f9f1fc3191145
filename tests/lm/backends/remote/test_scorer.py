from pathlib import Path

import pytest

from base.errors import RalmError
from lm.backends.reader_choice import ReaderChoice
from lm.backends.remote.remote_reader import RemoteReader
from lm.backends.transformers_reader import TransformersReader
from lm.prompts import Ensemble, Message, Prompt
from lm.reader import Continuation, Row, TokenReader, Windows
from tests.lm.backends.remote.scoring_server import ScoringServer
from tests.lm.backends.remote.servers import serving
from tests.lm.models import tiny_model

BRIDGE = "Who built the old bridge? Ansel Mirn built it, of grey stone, in the year of the flood."
CASES = [
    ("Who built the old bridge?", " Ansel Mirn built it."),
    ("Who built the old bridge? ", "Ansel Mirn"),
    ("Who built the old bri", "dge?"),
    ("The river", " runs by the town.\n\nIt runs."),
    ("The river", ""),
    ("", "The river runs."),
    ("Größe ☂ 北", "京 and ☂☂"),
]


@pytest.fixture(scope="module", params=[False, True], ids=["begins-bare", "begins-with-s"])
def local(request, tmp_path_factory) -> TransformersReader:
    folder = tiny_model(tmp_path_factory.mktemp("tiny"), context=64, begins=request.param)
    return tiny_reader(folder)


def tiny_reader(folder: Path) -> TransformersReader:
    """A reader in float32, whose figures do not depend on what is computed together."""
    found = TransformersReader(ReaderChoice(str(folder), "none", device="cpu"))
    found._model.float()
    return found


@pytest.fixture(params=[0, 1], ids=["adds-none", "adds-one"])
def remote(request, local, time):
    with serving(ScoringServer(local, least=request.param)) as server:
        yield RemoteReader(f"{server.url}?start=<s>", time.timing)


@pytest.fixture
def bare(local, time):
    """A reader behind a server that has no routes but OpenAI's."""
    with serving(ScoringServer(local, bare=True)) as server:
        yield RemoteReader(f"{server.url}?start=<s>", time.timing)


def same(found, wanted) -> bool:
    return (
        [pytest.approx(one.tokens, abs=1e-4) for one in wanted] == [one.tokens for one in found]
        and [one.greedy for one in wanted] == [one.greedy for one in found]
        and [(one.size, one.left_out) for one in wanted] == [(one.size, one.left_out) for one in found]
    )


def test_texts_are_as_likely_as_for_the_reader_in_this_process(local, remote):
    asked = [Continuation(Prompt(text=context), text) for context, text in CASES]
    assert same(remote.loglikelihood(asked), local.loglikelihood(asked))


def test_without_tokens_of_its_own_texts_are_parted_by_their_characters(local, bare):
    # A tokenizer that puts <s> before a text puts it before a written one, too.
    cases = [one for one in CASES[:-1] if one[0] or local._tokenizer("a")["input_ids"][0] != 0]
    asked = [Continuation(Prompt(text=context), text) for context, text in cases]
    assert same(bare.loglikelihood(asked), local.loglikelihood(asked))
    with pytest.raises(RalmError, match="do not add up"):
        bare.loglikelihood([Continuation(Prompt(text=CASES[-1][0]), CASES[-1][1])])


def test_conversations_are_scored_as_their_template_writes_them(local, remote, bare):
    prompt = Prompt.of([Message("user", "What is the capital of France?")])
    asked = [
        Continuation(prompt, "Paris, on the Seine."),
        Continuation(Prompt(prompt.conversation, "It"), " is"),
    ]
    assert same(remote.loglikelihood(asked), local.loglikelihood(asked))
    with pytest.raises(RalmError, match="chat template"):
        bare.loglikelihood(asked)


def test_an_ensemble_is_the_weighted_mean_of_its_prompts(local, remote):
    prompts = Prompt(text="The river runs by the town."), Prompt(text="The people make blue glass.")
    asked = [Continuation(Ensemble(prompts, (0.25, 0.75)), " Who built the old bridge?")]
    (found,), (wanted,) = remote.loglikelihood(asked), local.loglikelihood(asked)
    assert found.tokens == pytest.approx(wanted.tokens, abs=1e-4)
    assert not found.greedy
    with pytest.raises(RalmError, match="end all in the same word"):
        remote.loglikelihood(
            [Continuation(Ensemble((Prompt(text="The bri"), Prompt(text="It")), (0.5, 0.5)), "dge")]
        )


@pytest.mark.parametrize("how", [Windows(20), Windows(20, 7), Windows(50, 50)])
def test_long_texts_are_scored_in_the_same_windows(local, remote, how):
    texts = [BRIDGE * 3, "", "The river"]
    assert same(remote.loglikelihood_rolling(texts, how), local.loglikelihood_rolling(texts, how))


def test_by_default_windows_are_as_long_as_the_server_takes(local, remote):
    (found,) = remote.loglikelihood_rolling([BRIDGE * 3])
    assert same([found], local.loglikelihood_rolling([BRIDGE * 3], Windows(local.context_tokens - 2)))


def test_without_tokens_only_texts_that_fit_are_scored(local, bare):
    text = "The river runs by the town."
    if local._tokenizer("a")["input_ids"][0] != 0:
        assert same(bare.loglikelihood_rolling([text]), local.loglikelihood_rolling([text]))
    with pytest.raises(RalmError, match="maximum context length"):
        bare.loglikelihood_rolling([BRIDGE * 3])
    with pytest.raises(RalmError, match="does not show its tokens"):
        bare.loglikelihood_rolling([text], Windows(20))


def test_what_is_too_long_is_refused_or_shortened_from_the_left(local, remote):
    asked = Continuation(Prompt(text=BRIDGE * 3), " Ansel Mirn")
    with pytest.raises(RalmError, match="shorten both"):
        remote.loglikelihood([asked])
    short = Continuation(asked.asked, asked.text, shorten=True)
    (found,), (wanted,) = remote.loglikelihood([short]), local.loglikelihood([short])
    assert found.left_out == wanted.left_out + 2
    assert len(found.tokens) == len(wanted.tokens)


def test_its_tokens_are_at_hand_where_the_server_shows_them(local, remote, bare):
    assert isinstance(remote, TokenReader)
    assert (remote.start, remote.tokens(BRIDGE)) == (local.start, local.tokens(BRIDGE))
    assert remote.text_of(local.tokens(BRIDGE)) == BRIDGE
    with pytest.raises(RalmError, match="/detokenize"):
        bare.text_of([5])
    rows = [Row(local.tokens("The river"), local.tokens(" runs by")), Row((local.start,), ())]
    for found, wanted in zip(remote.score(rows), local.score(rows), strict=True):
        assert found == pytest.approx(wanted, abs=1e-4)
    with pytest.raises(RalmError, match="does not show its tokens"):
        bare.tokens("a")


def test_tokens_are_counted_by_the_server(local, remote, bare):
    prompt = Prompt.of([Message("system", "Be short."), Message("user", BRIDGE)])
    assert remote.count_tokens(BRIDGE) == local.count_tokens(BRIDGE)
    assert remote.prompt_tokens(prompt) == local.prompt_tokens(prompt)
    assert remote.count_tokens("") == 0
    assert bare.count_tokens("abcdef 12") == 5


def test_who_does_not_know_how_texts_begin_is_told_to_say_so(tmp_path, time):
    reader = tiny_reader(tiny_model(tmp_path, context=64))
    for is_bare in (False, True):
        with serving(ScoringServer(reader, bare=is_bare)) as server:
            remote = RemoteReader(server.url, time.timing)
            behind = Continuation(Prompt(text="The river"), " runs")
            assert same(remote.loglikelihood([behind]), reader.loglikelihood([behind]))
            with pytest.raises(RalmError, match=r"\?start="):
                remote.loglikelihood_rolling(["The river"])
    with serving(ScoringServer(reader)) as server, pytest.raises(RalmError, match="must be one token"):
        RemoteReader(f"{server.url}?start=begin", time.timing).loglikelihood_rolling(["The river"])
