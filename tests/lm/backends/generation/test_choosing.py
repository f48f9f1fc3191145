import pytest
import torch

from lm.backends.generation.choosing import Choice, choose
from lm.backends.generation.vocabulary import Doubted
from lm.prompts import Ensemble, Prompt
from lm.reader import Sampling

ONE = Prompt(text="The capital of France is")
OTHER = Prompt(text="Rome is large. The capital of Italy is")


def test_rows_of_an_ensemble_get_the_token_of_the_mean():
    logits = torch.tensor([[3.0, 0.0, 0.0], [0.0, 2.0, 2.1], [0.0, 0.0, 5.0]])
    choices = [Choice((0.2, 0.8), Sampling()), Choice((1.0,), Sampling())]
    mixed = 0.2 * logits[0].softmax(-1) + 0.8 * logits[1].softmax(-1)
    assert choose(logits, choices) == [int(mixed.argmax()), 2]


def test_a_draw_depends_on_its_seed_and_not_on_the_batch():
    logits = torch.randn(4, 50, generator=torch.Generator().manual_seed(3))
    samplings = [Sampling(temperature=1.3, seed=seed) for seed in (5, 5, 6, 7)]
    together = choose(logits, [Choice((1.0,), sampling) for sampling in samplings])
    alone = [choose(logits[i : i + 1], [Choice((1.0,), one)])[0] for i, one in enumerate(samplings)]
    assert together == alone
    assert len({*together}) > 1


@pytest.mark.parametrize("temperature", [1e-3, 1e-30, 1e-300, 5e-324])
def test_a_temperature_near_0_draws_the_likeliest(temperature):
    logits = torch.tensor([[0.0, 5.0, 4.0]])
    assert Choice((1.0,), Sampling(temperature=temperature)).token(logits) == 1
    assert Choice((1.0,), Sampling(temperature=temperature), [1]).token(logits) == 2


def test_a_forbidden_beginning_is_forbidden_at_the_beginning_alone():
    logits = torch.tensor([[0.0, 5.0, 1.0]])
    choice = [Choice((1.0,), Sampling(), [1])]
    assert choose(logits, choice) == [2]
    assert choose(logits, choice) == [1]


def test_an_ensemble_of_one_prompt_twice_is_that_prompt(reader):
    twice = Ensemble((ONE, ONE), (0.4, 0.6))
    alone, mixed = reader.generate([ONE, twice], Sampling(8))
    assert mixed.text == alone.text
    assert "".join(reader.stream(twice, Sampling(8))).strip() == alone.text


def test_what_a_text_may_not_begin_with_is_left_out(reader):
    (plain,) = reader.generate([ONE], Sampling(4))
    (other,) = reader.generate([ONE], Sampling(4, without=(f" {plain.text.split()[0]}",)))
    assert not other.text.startswith(plain.text.split()[0])


def test_an_abstention_must_be_likelier_than_all_answers_together():
    answers = torch.tensor([0.30, 0.25, 0.45]).log()[None]
    sure = torch.tensor([0.30, 0.15, 0.55]).log()[None]
    for logits, expected in ((answers, 0), (sure, 2)):
        assert Choice((1.0,), Sampling(), (), Doubted(2)).token(logits.clone()) == expected
    assert Choice((1.0,), Sampling(), (), Doubted(2, 0.4)).token(answers.clone()) == 2
    assert Choice((1.0,), Sampling(), (), Doubted(2, 0.6)).token(sure.clone()) == 0
    # Behind the beginning it is a token as any other, and so it is where nobody taught to abstain.
    begun = Choice((1.0,), Sampling(), (), Doubted(2))
    begun.begin()
    assert begun.token(answers.clone()) == 2
    assert Choice((1.0,), Sampling()).token(answers.clone()) == 2


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_what_is_not_supported_is_a_whole_abstention_from_a_probability_on(temperature):
    sampling = Sampling(temperature=temperature, seed=1, only_supported=True)
    logits = torch.tensor([0.60, 0.25, 0.15]).log()[None]
    said = Doubted(2, 0.7, (1, 0), unless=0.14)
    choice = Choice((1.0,), sampling, (), said)
    assert [choose(logits.clone(), [choice])[0] for _ in range(3)] == [2, 1, 0]
    plain = Choice((1.0,), Sampling(), (), said)
    assert choose(logits.clone(), [plain]) == [0]
    surer = Choice((1.0,), Sampling(only_supported=True), (), Doubted(2, 0.7, (1, 1), unless=0.16))
    assert [choose(logits.clone(), [surer])[0] for _ in range(3)] == [0, 0, 0]


def test_the_mean_of_an_ensemble_decides_whether_it_abstains():
    logits = torch.tensor([[0.5, 0.4, 0.1], [0.7, 0.28, 0.02]]).log()
    for weights, expected in (((0.5, 0.5), 0), ((0.9, 0.1), 2)):
        choice = Choice(weights, Sampling(only_supported=True), (), Doubted(2, 0.7, (1,), unless=0.08))
        assert choice.token(logits.clone()) == expected
