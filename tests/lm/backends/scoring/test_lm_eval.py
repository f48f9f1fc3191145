"""Log-likelihoods beside those of lm-eval's `hf` model, of the same weights in float32."""

import pytest
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from lm.backends.scoring.rows import windows
from lm.backends.transformers_reader import TransformersReader
from lm.prompts import Prompt
from lm.reader import WHOLE, Continuation
from tests.lm.models import tiny_model, tiny_reader

PAIRS = [
    ("The old bridge", " is of grey stone."),
    ("The old bridge ", "is of grey stone."),
    ("Question: Who built it?\nAnswer:\n", "Ansel Mirn"),
    ("Question: Who built it?\nAnswer:", " Ansel"),
    ("Question: Who built it?\nAnswer:", " Paris"),
    ("", "What is the capital of France?"),
    ("<s>The old bridge", " is of grey stone."),
    # Longer than the context: both leave out the oldest tokens.
    ("The river runs by the town. " * 20, " What is the capital?"),
]


@pytest.fixture(scope="module", params=["plain", "begins"])
def reader(request, tmp_path_factory) -> TransformersReader:
    return tiny_reader(tiny_model(tmp_path_factory.mktemp("m"), begins=request.param == "begins"))


@pytest.fixture(scope="module")
def theirs(reader) -> HFLM:
    return HFLM(
        pretrained=reader._model, tokenizer=reader._tokenizer, batch_size=3, max_length=reader.context_tokens
    )


def asked(kind: str, *arguments: tuple[str, ...]) -> list[Instance]:
    return [Instance(kind, {}, one, number) for number, one in enumerate(arguments)]


def test_continuations_are_as_likely_as_lm_eval_says(reader, theirs):
    wanted = theirs.loglikelihood(asked("loglikelihood", *PAIRS), disable_tqdm=True)
    found = reader.loglikelihood(
        [Continuation(Prompt(text=context), text, shorten=True) for context, text in PAIRS]
    )
    assert [one.total for one in found] == pytest.approx([total for total, _ in wanted], abs=1e-4)
    assert [one.greedy for one in found] == [greedy for _, greedy in wanted]


def test_rolling_texts_are_as_likely_as_lm_eval_says(reader, theirs):
    texts = [text * 12 for _, text in PAIRS]
    wanted = theirs.loglikelihood_rolling(asked("loglikelihood_rolling", *((one,) for one in texts)), True)
    plain = reader.tokens("a") == tuple(reader._tokenizer("a")["input_ids"])
    if plain:
        found = [one.total for one in reader.loglikelihood_rolling(texts)]
    else:
        # lm-eval scores the token that the tokenizer puts before a text, too.
        rows = [
            windows(reader._tokenizer(text)["input_ids"], reader.start, reader.context_tokens, WHOLE)
            for text in texts
        ]
        found = [sum(sum(one) for one in reader.score(list(some))) for some in rows]
    assert found == pytest.approx(wanted, rel=1e-5)
