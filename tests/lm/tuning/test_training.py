import json

import pytest
import torch

from base.errors import RalmError
from lm.tuning.packing import Text
from lm.tuning.training import Recipe, Training


def tiny(layers=2):
    """A model of so many layers, the same each time."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=40,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config).eval()


def texts(count=24):
    """Whatever is asked, the answer is 9 9."""
    return [Text((n % 30 + 5, 3, 4, 9, 9, 2), 3) for n in range(count)]


RECIPE = Recipe(rank=4, alpha=8, rows=2, width=24, rate=3e-2, epochs=12.0)


def test_it_learns(tmp_path):
    steps = []
    Training(tiny(), texts(), RECIPE, 0).run(tmp_path, steps.append)
    assert steps[-1].done == steps[-1].of
    assert steps[-1].loss < steps[0].loss - 0.3
    assert json.loads((tmp_path / "adapter_config.json").read_text())["r"] == 4
    assert not (tmp_path / "checkpoint.pt").exists()


def test_the_loss_of_packed_texts_is_that_of_each_alone():
    some = [Text((7, 3, 4, 9, 2), 2), Text((8, 5, 6, 2), 1), Text((11, 12, 13, 14, 15, 2), 4)]
    model = tiny()
    nats, learnt = 0.0, 0
    with torch.no_grad():
        for text in some:
            logs = model(torch.tensor([text.ids])).logits[0].log_softmax(-1)
            for at in range(text.answer, len(text.ids)):
                nats -= logs[at - 1, text.ids[at]].item()
                learnt += 1
    training = Training(model, some, Recipe(rank=2, rows=1, width=16), 0)
    (batch,) = training.batches()
    with torch.no_grad():
        loss = training.loss(batch)
    assert batch.learnt == learnt
    assert loss.item() == pytest.approx(nats / learnt, rel=1e-5)


class Stopped(Exception):
    pass


def test_a_stopped_run_ends_as_an_undisturbed_one(tmp_path):
    def stop_at(step):
        if step.done == 5:
            raise Stopped

    recipe = Recipe(rank=4, alpha=8, rows=2, width=24, epochs=2.0, checkpoint_seconds=0.0)
    Training(tiny(), texts(), recipe, 0).run(tmp_path / "whole", lambda step: None)
    with pytest.raises(Stopped):
        Training(tiny(), texts(), recipe, 0).run(tmp_path / "cut", stop_at)
    Training(tiny(), texts(), recipe, 0).run(tmp_path / "cut", lambda step: None)
    whole, cut = ((tmp_path / name / "adapter_model.safetensors").read_bytes() for name in ("whole", "cut"))
    assert whole == cut


def test_a_folder_of_another_recipe_is_refused(tmp_path):
    def stop(step):
        raise Stopped

    recipe = Recipe(rank=2, rows=2, width=24, checkpoint_seconds=0.0)
    with pytest.raises(Stopped):
        Training(tiny(), texts(), recipe, 0).run(
            tmp_path, lambda step: stop(step) if step.done == 2 else None
        )
    with pytest.raises(RalmError, match="another recipe"):
        Training(tiny(), texts(), Recipe(rank=3, rows=2, width=24), 0).run(tmp_path, lambda step: None)
    with pytest.raises(RalmError, match="another recipe or reader"):
        Training(tiny(layers=3), texts(), recipe, 0).run(tmp_path, lambda step: None)
    (tmp_path / "checkpoint.pt").write_bytes(b"half")
    with pytest.raises(RalmError, match="is damaged"):
        Training(tiny(), texts(), recipe, 0).run(tmp_path, lambda step: None)


def test_texts_longer_than_a_row_are_counted_and_none_that_fits_is_an_error():
    long = Text(tuple(range(1, 40)), 3)
    assert Training(tiny(), [long, *texts(4)], Recipe(rank=2, width=24), 0).left_out == 1
    with pytest.raises(RalmError, match="fits into 24 tokens"):
        Training(tiny(), [long], Recipe(rank=2, width=24), 0)


@pytest.mark.parametrize("wrong", [{"rank": 0}, {"rate": -1.0}, {"epochs": 0.0}])
def test_a_recipe_that_cannot_be_is_refused(wrong):
    with pytest.raises(RalmError, match="must be above 0"):
        Recipe(**wrong)
