"""The tiny models themselves: readers open them, and they are worth comparing with."""

import pytest
import torch

from lm.conditioning import conversation
from lm.prompts import Prompt
from lm.reader import Sampling
from tests.lm.models import KINDS, tiny_model, tiny_reader


@pytest.mark.parametrize("kind", KINDS)
def test_a_tiny_model_is_a_reader_whose_tokens_are_not_all_alike(tmp_path, kind):
    found = tiny_reader(tiny_model(tmp_path / kind, kind))
    (completion,) = found.generate([Prompt(text="The old bridge")], Sampling(4))
    assert completion.prompt_tokens == found.count_tokens("The old bridge")
    ids = torch.tensor([found._tokenizer("The old bridge")["input_ids"]])
    with torch.no_grad():
        logs = found._model(ids).logits[0, -1].float().log_softmax(-1)
    assert logs.max() - logs.min() > 2


def test_it_takes_conversations_and_may_begin_a_text(tmp_path):
    found = tiny_reader(tiny_model(tmp_path / "m", begins=True))
    assert found.written(conversation("Who?", [])).endswith("<user>Who?\n<assistant>")
    assert found._tokenizer("a")["input_ids"][0] == found._tokenizer.bos_token_id
