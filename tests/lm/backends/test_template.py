from copy import deepcopy

import pytest

from base.errors import RalmError
from lm.backends.template import ending, written
from lm.prompts import Message, Prompt


def test_a_conversation_ends_where_the_readers_turn_begins(plain_reader):
    asked = Prompt((Message("user", "Why?"),), text="Because")
    assert written(plain_reader._tokenizer, asked).endswith("<|im_start|>assistant\nBecause")
    assert written(plain_reader._tokenizer, Prompt(text="Why? ")) == "Why? "


def test_a_turn_ends_as_the_template_ends_it_whatever_the_tokenizer_calls_its_end(plain_reader):
    tokenizer = deepcopy(plain_reader._tokenizer)
    assert ending(tokenizer) == "<|im_end|>"
    tokenizer.eos_token = "<|im_start|>"
    assert ending(tokenizer) == "<|im_end|>"


def test_a_tokenizer_without_a_template_takes_no_conversation(plain_reader):
    tokenizer = deepcopy(plain_reader._tokenizer)
    tokenizer.chat_template = None
    with pytest.raises(RalmError, match="no chat template"):
        written(tokenizer, Prompt.of([Message("user", "Why?")]))
    assert ending(tokenizer) == tokenizer.eos_token
