"""A reader and examples to an adapter folder: what PEFT writes, and beside it what it was made of.

Knows readers and examples; knows no store.

Decisions: docs/decisions/tuning.md.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from lm.backends.loading import Loaded, load, quiet_imports, stored_method
from lm.backends.quantizations import STORED
from lm.backends.reader_choice import ReaderChoice
from lm.backends.template import ending, written
from lm.backends.weights import Weights
from lm.tuning.example import Example
from lm.tuning.model_card import Tuned, write_card
from lm.tuning.packing import Text
from lm.tuning.training import Recipe, Step, Training


def tune(
    reader: ReaderChoice,
    examples: Sequence[Example],
    recipe: Recipe,
    folder: Path,
    told: Callable[[Step], None],
) -> Tuned:
    """Teach a reader, and write its adapter into a folder. Unless told, its weights stay as they are stored.

    A run that was stopped goes on from the checkpoint in the folder. Raises RalmError for an unknown reader.
    """
    quiet_imports()
    # Onto the plain weights: an adapter that comes with the reader is replaced.
    weights = replace(Weights.find(reader.name, reader.allow_pickle), adapter=None)
    loaded = load(weights, as_taught(reader), to_learn=True)
    texts = as_texts(loaded.tokenizer, examples)
    end, padding = loaded.tokenizer.eos_token_id, loaded.tokenizer.pad_token_id
    training = Training(_trainable(loaded), texts, recipe, end if padding is None else padding)
    training.model.peft_config["default"].base_model_name_or_path = weights.name
    training.run(folder, told)
    found = Tuned(
        reader=weights.name,
        quantization=loaded.quantization,
        recipe=recipe,
        kinds=dict(sorted(Counter(one.kind for one in examples).items())),
        left_out=training.left_out,
        tokens=sum(len(one.ids) for one in texts if len(one.ids) <= recipe.width),
        steps=training.steps,
    )
    write_card(folder, found)
    return found


def as_taught(reader: ReaderChoice) -> ReaderChoice:
    """A reader as it is taught: with no adapter, its weights quantized as told, else as they are stored."""
    quantization = reader.quantization
    if quantization is None:
        stored = stored_method(Weights.find(reader.name, reader.allow_pickle))
        quantization = STORED if stored else "none"
    return replace(reader, quantization=quantization, adapter=None)


def _trainable(loaded: Loaded) -> Any:
    """The model, through whose quantized weights gradients pass to an adapter."""
    if loaded.quantization == "none":
        return loaded.model
    from peft import prepare_model_for_kbit_training

    return prepare_model_for_kbit_training(loaded.model, use_gradient_checkpointing=False)


def as_texts(tokenizer: Any, examples: Sequence[Example]) -> list[Text]:
    """Each example as the reader is asked it, with its answer and the token that ends it."""

    @cache
    def count(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    heads = [written(tokenizer, one.prompt(count)) for one in examples]
    end = ending(tokenizer)
    wholes = [f"{head}{one.answer}{end}" for head, one in zip(heads, examples, strict=True)]
    # Head and whole are tokenized apart, but a template ends a turn with a token of its own: none spans both.
    before = tokenizer(heads, add_special_tokens=False)["input_ids"]
    ids = tokenizer(wholes, add_special_tokens=False)["input_ids"]
    return [Text(tuple(whole), len(head)) for head, whole in zip(before, ids, strict=True)]
