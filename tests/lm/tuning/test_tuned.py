import json

import pytest
import torch
from peft import prepare_model_for_kbit_training

from lm.backends.loading import load
from lm.backends.reader_choice import ReaderChoice
from lm.backends.template import written
from lm.backends.transformers_reader import TransformersReader
from lm.backends.weights import Weights
from lm.conditioning import Source, conversation
from lm.reader import Sampling
from lm.tuning.example import Example
from lm.tuning.packing import Text
from lm.tuning.training import Recipe, Training
from lm.tuning.tuned import as_taught, as_texts, tune
from tests.lm.models import WIDE, tiny_model

EXAMPLES = [
    Example("Who built it?", (Source("The bridge", "Ansel Mirn built it."),), "Ansel Mirn", "found, answered")
] * 3
LONG = Example("Who?", (Source("", "The river runs by the town. " * 40),), "Nobody", "near, unanswered")
RECIPE = Recipe(rank=2, alpha=4, rows=1, width=400)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny model. Not to be changed."""
    return tiny_model(tmp_path_factory.mktemp("readers") / "tiny", WIDE, context=2048)


@pytest.fixture(scope="module")
def stored(folder, tmp_path_factory):
    """The same in 4 bits, as a checkpoint. Not to be changed."""
    target = tmp_path_factory.mktemp("readers") / "stored"
    reader = TransformersReader(ReaderChoice(str(folder), "nf4", device="cpu"))
    reader._model.save_pretrained(target)
    reader._tokenizer.save_pretrained(target)
    return target


def test_what_is_learnt_is_counted_and_what_is_too_long_left_out(folder, tmp_path):
    steps = []
    # As an earlier run leaves it.
    (tmp_path / "README.md").write_text("An adapter")
    found = tune(ReaderChoice(str(folder), device="cpu"), [*EXAMPLES, LONG], RECIPE, tmp_path, steps.append)
    assert (found.left_out, found.kinds) == (1, {"found, answered": 3, "near, unanswered": 1})
    tokenizer = TransformersReader(ReaderChoice(str(folder), "none"))._tokenizer
    assert found.tokens == sum(len(one.ids) for one in as_texts(tokenizer, EXAMPLES))
    assert len(steps) == found.steps
    assert json.loads((tmp_path / "made_of.json").read_text())["quantization"] == "none"
    assert "3 lessons" in (tmp_path / "README.md").read_text()


def test_a_text_is_the_prompt_with_its_answer_and_the_end_of_a_turn(folder):
    tokenizer = TransformersReader(ReaderChoice(str(folder), "none"))._tokenizer
    one = EXAMPLES[0]
    text = as_texts(tokenizer, [one])[0]
    head = written(tokenizer, one.prompt(len))
    assert tokenizer.decode(text.ids[: text.answer]) == head
    assert tokenizer.decode(text.ids[text.answer :]) == "Ansel Mirn</s>"


def test_weights_are_taught_as_they_are_stored_unless_told(folder, stored):
    chosen = ReaderChoice(str(folder), adapter="other")
    assert as_taught(chosen) == ReaderChoice(str(folder), "none")
    assert as_taught(ReaderChoice(str(stored))).quantization == "stored"
    assert as_taught(ReaderChoice(str(folder), "nf4")).quantization == "nf4"


def test_an_adapter_of_stored_weights_is_taken_by_their_reader(stored, tmp_path):
    found = tune(ReaderChoice(str(stored), device="cpu"), EXAMPLES, RECIPE, tmp_path, lambda step: None)
    assert found.quantization == "stored:bitsandbytes"
    reader = TransformersReader(ReaderChoice(str(stored), adapter=str(tmp_path), device="cpu"))
    (completion,) = reader.generate([conversation("Where?", ["[1] Here."])], Sampling(2))
    assert completion.tokens


def gradients(model):
    """What an adapter on a model learns of a text, as one vector."""
    prepared = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    training = Training(prepared, [Text((7, 13, 4, 9, 2, 11), 2)], Recipe(rank=2, rows=1, width=8), 0)
    learnt = [one for one in training.model.parameters() if one.requires_grad]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for one in learnt:
            one.normal_(std=0.1, generator=generator)
    (batch,) = training.batches()
    training.model.train()
    training.loss(batch).backward()
    return torch.cat([one.grad.flatten().float() for one in learnt])


def test_what_is_learnt_below_4_bits_is_what_the_same_weights_widened_teach(folder):
    from bitsandbytes.functional import dequantize_4bit
    from bitsandbytes.nn import Linear4bit

    def loaded(quantization):
        choice = ReaderChoice(str(folder), quantization, device="cpu")
        return load(Weights.find(str(folder)), choice, to_learn=True).model

    packed, plain = loaded("nf4"), loaded("none")
    widened = dict(plain.named_modules())
    with torch.no_grad():
        for name, one in packed.named_modules():
            if isinstance(one, Linear4bit):
                widened[name].weight.copy_(dequantize_4bit(one.weight.data, one.weight.quant_state))
    alike = torch.nn.functional.cosine_similarity(gradients(packed), gradients(plain), dim=0)
    assert alike > 0.99
