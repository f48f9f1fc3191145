import copy

import pytest
import torch
from tokenizers.processors import TemplateProcessing

from lm.backends.scoring import opening, parted
from lm.prompts import Ensemble, Prompt
from lm.reader import Continuation


def test_a_text_is_as_likely_as_the_model_says_token_by_token(reader):
    context, text = "The capital of France is", " Paris, on the Seine."
    (found,) = reader.loglikelihood([Continuation(Prompt(text=context), text)])
    head = reader._tokenizer(context)["input_ids"]
    ids = torch.tensor([reader._tokenizer(context + text)["input_ids"]])
    with torch.no_grad():
        logs = reader._model(ids).logits[0].float().log_softmax(-1)
    wanted = [logs[at - 1, ids[0, at]].item() for at in range(len(head), ids.shape[1])]
    assert found.tokens == pytest.approx(wanted, abs=1e-3)
    assert found.size == len(text)
    assert not found.greedy


def test_an_ensemble_is_the_mean_of_distributions_at_each_token(reader):
    prompts = (Prompt(text="Glass is blue."), Prompt(text="Glass is green."))
    text = " It is sold in Dunmarrow."
    alone = [reader.loglikelihood([Continuation(one, text)])[0].tokens for one in prompts]
    weights = (0.3, 0.7)
    (found,) = reader.loglikelihood([Continuation(Ensemble(prompts, weights), text)])
    by_hand = (torch.tensor(alone).exp() * torch.tensor(weights)[:, None]).sum(0).log()
    assert found.tokens == pytest.approx(by_hand.tolist(), abs=1e-5)


def test_a_rolling_score_counts_every_token_once(reader):
    text = "Blue glass is made in Dunmarrow. " * 20
    (found,) = reader.loglikelihood_rolling([text])
    assert len(found.tokens) == reader.count_tokens(text)
    assert found.size == len(text)


@pytest.fixture
def begins(reader):
    """The reader's tokenizer, made to begin every text with BOS, as those of Llama and Gemma do."""
    made = copy.deepcopy(reader._tokenizer)
    bos = (made.bos_token, made.bos_token_id)
    made.backend_tokenizer.post_processor = TemplateProcessing(single=f"{bos[0]} $A", special_tokens=[bos])
    return made


def test_a_plain_text_begins_as_the_tokenizer_begins_it_and_once(reader, begins):
    assert opening(reader._tokenizer, "Glass") == []
    assert opening(begins, "Glass") == [begins.bos_token_id]
    assert opening(begins, f"{begins.bos_token}Glass") == []
    context, text = parted(begins, "Glass is", " blue.")
    assert context + text == begins("Glass is blue.")["input_ids"]
    assert parted(begins, "Glass is", " blue.", plain=False)[0] == context[1:]
