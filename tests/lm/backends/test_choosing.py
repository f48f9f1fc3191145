import torch

from lm.backends.choosing import Choice
from lm.prompts import Ensemble, Prompt
from lm.reader import Sampling

ONE = Prompt(text="The capital of France is")
OTHER = Prompt(text="Rome is large. The capital of Italy is")


def test_rows_of_an_ensemble_get_the_token_of_the_mean():
    logits = torch.tensor([[3.0, 0.0, 0.0], [0.0, 2.0, 2.1], [0.0, 0.0, 5.0]])
    choice = Choice([(0.2, 0.8), (1.0,)], Sampling(), [], 4)
    chosen = choice(torch.zeros(3, 4, dtype=torch.long), logits).argmax(-1)
    mixed = 0.2 * logits[0].softmax(-1) + 0.8 * logits[1].softmax(-1)
    assert chosen.tolist() == [int(mixed.argmax())] * 2 + [2]


def test_a_draw_depends_on_its_seed_and_not_on_the_batch():
    logits = torch.randn(4, 50, generator=torch.Generator().manual_seed(3))
    ids = torch.zeros(4, 1, dtype=torch.long)
    sampling = Sampling(temperature=1.3, seed=5)
    together = Choice([(1.0,)] * 4, sampling, [], 1)(ids, logits).argmax(-1).tolist()
    alone = [
        Choice([(1.0,)], sampling, [], 1)(ids[:1], logits[i : i + 1]).argmax(-1).item() for i in range(4)
    ]
    assert together == alone


def test_a_forbidden_beginning_is_forbidden_at_the_beginning_alone():
    logits = torch.tensor([[0.0, 5.0, 1.0]])
    choice = Choice([(1.0,)], Sampling(), [1], 2)
    assert choice(torch.zeros(1, 2, dtype=torch.long), logits).argmax(-1).item() == 2
    assert choice(torch.zeros(1, 3, dtype=torch.long), logits).argmax(-1).item() == 1


def test_an_ensemble_of_one_prompt_twice_is_that_prompt(reader):
    twice = Ensemble((ONE, ONE), (0.4, 0.6))
    alone, mixed = reader.generate([ONE, twice], Sampling(8))
    assert mixed.text == alone.text
    assert "".join(reader.stream(twice, Sampling(8))).strip() == alone.text


def test_what_a_text_may_not_begin_with_is_left_out(reader):
    (plain,) = reader.generate([ONE], Sampling(4))
    (other,) = reader.generate([ONE], Sampling(4, without=(f" {plain.text.split()[0]}",)))
    assert not other.text.startswith(plain.text.split()[0])
