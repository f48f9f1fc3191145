"""What readers say of texts, against a plain loop over the plain_reader reader and a tiny one."""

import math

import pytest
import torch

from base.errors import RalmError
from lm.backends.transformers_reader import TransformersReader
from lm.conditioning import conversation
from lm.prompts import Ensemble, Prompt
from lm.reader import Continuation, Windows, bits_per_byte, perplexity
from tests.lm.models import CONTEXT, tiny_model, tiny_reader

TEXT = "The people of Dunmarrow make blue glass, and sell it in the market on the old bridge. " * 4


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> TransformersReader:
    return tiny_reader(tiny_model(tmp_path_factory.mktemp("m"), "mistral-sliding"))


def by_hand(reader, ids, scored) -> list[float]:
    """Log-probabilities of the last tokens, each from a pass of those before it."""
    found = []
    for at in range(len(ids) - scored, len(ids)):
        with torch.no_grad():
            logs = reader._model(torch.tensor([ids[:at]])).logits[0, -1].float().log_softmax(-1)
        found.append(logs[ids[at]].item())
    return found


def test_the_packaged_reader_scores_as_token_by_token(plain_reader):
    asked = [
        Continuation(Prompt(text="The capital of France is"), " Paris, on the Seine."),
        Continuation(Prompt(text="The capital of France is"), " Rome"),
        Continuation(conversation("What is the capital of France?", []), "Paris."),
        Continuation(Prompt(), "Glass is blue."),
    ]
    for one, found in zip(asked, plain_reader.loglikelihood(asked), strict=True):
        head = plain_reader._tokenizer(plain_reader.written(one.asked) or "<|im_start|>")["input_ids"]
        ids = head + plain_reader._tokenizer(one.text)["input_ids"]
        assert found.tokens == pytest.approx(by_hand(plain_reader, ids, len(ids) - len(head)), abs=1e-4)
        assert found.size == len(one.text)


def test_requests_together_are_requests_one_by_one(tiny):
    asked = [Continuation(Prompt(text=TEXT[:at]), TEXT[at : at + 9]) for at in range(0, 60, 7)]
    asked += [
        Continuation(Prompt(text=TEXT[:50]), text) for text in (" a", " market", " bridge of glass", "")
    ]
    prompts = (Prompt(text=TEXT[:30]), Prompt(text=TEXT[40:65]))
    asked += [Continuation(Ensemble(prompts, (0.25, 0.75)), text) for text in (" a", " market, of", "")]
    for one, found in zip(asked, tiny.loglikelihood(asked), strict=True):
        (alone,) = tiny.loglikelihood([one])
        assert found.tokens == pytest.approx(alone.tokens, abs=1e-4)
        assert (found.greedy, found.size) == (alone.greedy, alone.size)


def test_an_ensemble_is_the_mean_of_distributions_at_each_token(tiny):
    prompts = (Prompt(text="Glass is blue."), Prompt(text="Glass is green, so it is."))
    text = " It is sold."
    alone = [tiny.loglikelihood([Continuation(one, text)])[0].tokens for one in prompts]
    (found,) = tiny.loglikelihood([Continuation(Ensemble(prompts, (0.3, 0.7)), text)])
    by_hand = (torch.tensor(alone).exp() * torch.tensor((0.3, 0.7))[:, None]).sum(0).log()
    assert found.tokens == pytest.approx(by_hand.tolist(), abs=1e-5)


def test_what_the_reader_would_write_is_greedy(plain_reader):
    asked = Prompt(text="The capital of France is")
    ids = torch.tensor([plain_reader._tokenizer(asked.text)["input_ids"]])
    with torch.no_grad():
        best = plain_reader._tokenizer.decode(plain_reader._model(ids).logits[0, -1].argmax())
    likely, other = plain_reader.loglikelihood([Continuation(asked, best), Continuation(asked, " zebra")])
    assert likely.greedy
    assert not other.greedy
    both = Ensemble((asked, asked), (0.5, 0.5))
    likely, other = plain_reader.loglikelihood([Continuation(both, best), Continuation(both, " zebra")])
    assert likely.greedy
    assert not other.greedy


def test_an_empty_text_is_certain(tiny):
    (found,) = tiny.loglikelihood([Continuation(Prompt(text="Glass "), "")])
    assert (found.tokens, found.greedy, found.size, found.total) == ((), True, 0, 0.0)
    assert tiny.loglikelihood([]) == []


def test_what_is_too_long_is_refused_or_shortened_from_the_left_and_counted(tiny):
    text = " the market."
    with pytest.raises(RalmError, match=rf"holds {CONTEXT}: shorten both"):
        tiny.loglikelihood([Continuation(Prompt(text=TEXT * 2), text)])
    (found,) = tiny.loglikelihood([Continuation(Prompt(text=TEXT * 2), text, shorten=True)])
    row = tiny._likelihoods.tokens.behind(TEXT * 2, text)
    assert found.left_out == len(row.context) + len(row.text) - 1 - CONTEXT > 0
    ids = [*row.context, *row.text][-CONTEXT - 1 :]
    assert found.tokens == pytest.approx(by_hand(tiny, ids, len(row.text)), abs=1e-4)


@pytest.mark.parametrize("how", [Windows(), Windows(20), Windows(20, 5), Windows(CONTEXT, 1)])
def test_a_rolling_score_counts_every_token_once_as_a_plain_loop(tiny, how):
    texts = [TEXT, "Glass.", ""]
    ids = [list(tiny.tokens(text)) for text in texts]
    size = how.tokens or CONTEXT
    wanted = []
    for one in ids:
        done = 0
        while done < len(one):
            end = min(len(one), done + ((how.stride or size) if done else size))
            behind = one[max(0, end - size - 1) : end] if done else [tiny.start, *one[:end]]
            wanted += by_hand(tiny, behind, end - done)
            done = end
    found = tiny.loglikelihood_rolling(texts, how)
    assert [len(one.tokens) for one in found] == [len(one) for one in ids]
    assert [token for one in found for token in one.tokens] == pytest.approx(wanted, abs=1e-4)
    assert perplexity(found) == pytest.approx(math.exp(-sum(wanted) / len(wanted)), rel=1e-4)
    size = len(TEXT) + len("Glass.")
    assert bits_per_byte(found) == pytest.approx(-sum(wanted) / math.log(2) / size, rel=1e-4)


def test_an_adapter_scores_what_stands_behind_passages_alone(tiny, tmp_path):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = tiny_model(tmp_path / "m")
    plain = AutoModelForCausalLM.from_pretrained(folder)
    lora = LoraConfig(
        r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM"
    )
    get_peft_model(plain, lora).save_pretrained(tmp_path / "a")
    bare = tiny_reader(folder)
    both = tiny_reader(folder, tmp_path / "a")
    asked = [Continuation(Prompt(text="Who?", passages=count), " Ansel Mirn") for count in (1, 0, 2)]
    found, without = both.loglikelihood(asked), bare.loglikelihood(asked)
    assert found[1].tokens == pytest.approx(without[1].tokens, abs=1e-3)
    assert found[0].tokens != pytest.approx(without[0].tokens, abs=1e-2)
    assert found[0].tokens == pytest.approx(found[2].tokens, abs=1e-3)
