"""Batches, shared beginnings and pieces against one plain pass a row, in float32."""

import copy
from functools import lru_cache
from random import Random

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from base.errors import RalmError
from lm.backends.scoring.scorer import Limits, Mixture, Scorer
from lm.reader import Row
from tests.lm.models import KINDS, OTHER_KINDS, tiny_model, tiny_reader

# Few logits at once (the vocabulary has about 300 tokens): rows are cut into pieces.
PIECES = Limits(tokens=256, logits=2048)


def loaded(kind: str, factory: pytest.TempPathFactory) -> PreTrainedModel:
    folder = tiny_model(factory.mktemp("models") / kind, kind)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.fixture(scope="module", params=KINDS)
def model(request, tmp_path_factory) -> PreTrainedModel:
    return loaded(request.param, tmp_path_factory)


@pytest.fixture(scope="module", params=[*KINDS, *OTHER_KINDS])
def any_model(request, tmp_path_factory) -> PreTrainedModel:
    return loaded(request.param, tmp_path_factory)


def rows_of_many_shapes() -> list[Row]:
    """Rows with a stem that all share, contexts that some share, one text that begins another, and none."""
    random = Random(0)

    def some(least: int, most: int) -> tuple[int, ...]:
        return tuple(random.randrange(2, 250) for _ in range(random.randint(least, most)))

    stem, shared = some(34, 34), some(33, 33)
    rows = [Row(stem + some(1, 40), some(1, 12)) for _ in range(9)]
    rows += [Row(stem + shared, some(1, 9)) for _ in range(4)]
    rows += [Row(stem + shared, some(1, 1)) for _ in range(3)]
    long = some(12, 12)
    rows += [Row(stem + shared, long), Row(stem + shared, long[:5]), Row(stem + shared + long[:3], long[3:6])]
    return [*rows, Row(stem, ()), Row(stem[:1], some(60, 60)), Row(some(1, 1), some(4, 4))]


@lru_cache
def naive(model, row: Row) -> tuple[torch.Tensor, torch.Tensor]:
    """One pass of the whole row, by itself, made once for all that is compared with it."""
    ids = torch.tensor([row.context + row.text])
    with torch.no_grad():
        logs = model(ids).logits[0].log_softmax(-1)[len(row.context) - 1 : -1]
    wanted = ids[0, len(row.context) :]
    return logs.gather(1, wanted[:, None])[:, 0], logs.argmax(-1) == wanted


@pytest.mark.parametrize("limits", [Limits(), PIECES, Limits(tokens=1, logits=1)])
@pytest.mark.parametrize("stemmed", [True, False])
def test_rows_in_batches_are_rows_one_by_one(any_model, limits, stemmed):
    rows = rows_of_many_shapes()
    rows = rows[:-3] if stemmed else rows
    found = Scorer(any_model, limits).score(rows)
    for row, (logs, likeliest) in zip(rows, found, strict=True):
        if row.text:
            wanted, top = naive(any_model, row)
            assert torch.allclose(logs, wanted, atol=2e-5), row
            assert likeliest.tolist() == top.tolist()
        else:
            assert len(logs) == 0


@pytest.mark.parametrize("limits", [Limits(), PIECES])
def test_a_mixture_is_the_weighted_mean_of_distributions(any_model, limits):
    random = Random(1)
    contexts = tuple(tuple(random.randrange(2, 250) for _ in range(n)) for n in (3, 40, 17))
    weights = (0.5, 0.2, 0.3)
    texts = [tuple(random.randrange(2, 250) for _ in range(n)) for n in (1, 7, 20)]
    found = Scorer(any_model, limits).mixed([Mixture(contexts, weights, text) for text in texts])
    for text, (logs, likeliest) in zip(texts, found, strict=True):
        mean = torch.zeros(len(text), any_model.config.vocab_size)
        for context, weight in zip(contexts, weights, strict=True):
            with torch.no_grad():
                logits = any_model(torch.tensor([context + text])).logits[0, len(context) - 1 : -1]
            mean += weight * logits.softmax(-1)
        wanted = torch.tensor(text)
        assert torch.allclose(logs, mean.gather(1, wanted[:, None])[:, 0].log(), atol=2e-5)
        assert likeliest.tolist() == (mean.argmax(-1) == wanted).tolist()


def test_a_text_that_the_mean_would_write_is_greedy(model):
    contexts, weights = ((5, 6, 7), (9, 8)), (0.5, 0.5)
    text: tuple[int, ...] = ()
    for _ in range(3):
        with torch.no_grad():
            each = [model(torch.tensor([one + text])).logits[0, -1].softmax(-1) for one in contexts]
        text += (int(sum(each).argmax()),)
    ((_, likeliest),) = Scorer(model).mixed([Mixture(contexts, weights, text)])
    assert likeliest.all()


def read_tokens(model, work) -> int:
    """How many tokens a model reads while something is done, padding included."""
    read = []
    hook = model.get_input_embeddings().register_forward_hook(
        lambda _module, given, _out: read.append(given[0].numel())
    )
    work()
    hook.remove()
    return sum(read)


def test_what_rows_share_is_read_once(model):
    stem, context = tuple(range(2, 42)), tuple(range(50, 90))
    choices = [Row(stem + context, (number,)) for number in range(10, 14)]
    scorer = Scorer(model)
    # One distribution for all choices of one token, one context for longer ones, one stem for all questions.
    assert read_tokens(model, lambda: scorer.score(choices)) == 80
    longer = [Row(stem + context, (number, 7, 8)) for number in range(10, 14)]
    assert read_tokens(model, lambda: scorer.score(longer)) == 79 + 4 * 3
    others = [Row((*stem, number), (3, 4)) for number in range(5)]
    assert read_tokens(model, lambda: scorer.score(others)) == 40 + 5 * 2


def test_a_batch_holds_no_more_tokens_than_it_may(model):
    widths = []
    hook = model.get_input_embeddings().register_forward_hook(
        lambda _module, given, _out: widths.append(given[0].numel())
    )
    rows = [Row((number,), tuple(range(2, 2 + length))) for number, length in enumerate([9, 30, 31, 32, 60])]
    Scorer(model, Limits(tokens=64)).score(rows)
    hook.remove()
    assert max(widths) <= 64


def test_positions_that_turn_by_the_length_of_a_text_are_read_alone(tmp_path):
    found = tiny_reader(tiny_model(tmp_path / "m"))._model
    found.config.rope_parameters = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}
    scorer = Scorer(found)
    rows = [Row((2, 3), (4,) * 8), Row((2, 3), (4,) * 3)]
    assert read_tokens(found, lambda: scorer.score(rows)) == 9 + 4


def test_prompts_behind_which_a_text_has_other_tokens_are_no_mixture():
    with pytest.raises(RalmError, match="end all in the same word"):
        Mixture.of([Row((1,), (2, 3)), Row((1,), (4,))], (0.5, 0.5))


@pytest.mark.gpu
def test_rows_in_batches_are_rows_one_by_one_on_a_gpu(model):
    moved = copy.deepcopy(model).to("cuda")
    rows = rows_of_many_shapes()[:-3]
    for limits in (Limits(), PIECES):
        for row, (logs, _) in zip(rows, Scorer(moved, limits).score(rows), strict=True):
            assert torch.allclose(logs, naive(model, row)[0], atol=1e-3)
    mixture = Mixture(((5, 6, 7), (9, 8)), (0.5, 0.5), (3, 4))
    ((found, _),), ((wanted, _),) = Scorer(moved).mixed([mixture]), Scorer(model).mixed([mixture])
    assert torch.allclose(found, wanted, atol=1e-3)
