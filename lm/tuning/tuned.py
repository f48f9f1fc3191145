"""A reader and examples to an adapter folder: what PEFT writes, and beside it what it was made of.

Knows readers and examples; knows no store.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from base.numbers import dumps
from lm.backends.loading import load, quiet_imports
from lm.backends.reader_choice import ReaderChoice
from lm.backends.template import ending, written
from lm.backends.weights import Weights
from lm.tuning.example import Example
from lm.tuning.packing import Text
from lm.tuning.training import Recipe, Step, Training

MADE_OF = "made_of.json"


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a tuning learnt from: so many examples and tokens; how many examples no row could hold."""

    folder: Path
    examples: int
    left_out: int
    tokens: int
    steps: int


def tune(
    reader: ReaderChoice,
    examples: Sequence[Example],
    recipe: Recipe,
    folder: Path,
    told: Callable[[Step], None],
) -> Tuned:
    """Teach a reader, and write its adapter into a folder. Unless told, its weights are not quantized.

    A run that was stopped goes on from the checkpoint in the folder. Raises RalmError for an unknown reader.
    """
    quiet_imports()
    weights = Weights.find(reader.name)
    quantization = reader.quantization or "none"
    tokenizer, model = load(weights, quantization)
    texts = as_texts(tokenizer, examples)
    if quantization != "none":
        from peft import prepare_model_for_kbit_training

        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    padding = tokenizer.pad_token_id
    training = Training(model, texts, recipe, tokenizer.eos_token_id if padding is None else padding)
    training.run(folder, told)
    found = Tuned(
        folder, len(examples), training.left_out, sum(len(one.ids) for one in texts), training.steps
    )
    made_of = {
        "reader": weights.name,
        "quantization": quantization,
        "recipe": asdict(recipe),
        "kinds": dict(sorted(Counter(one.kind for one in examples).items())),
        "examples": found.examples,
        "left_out": found.left_out,
        "tokens": found.tokens,
    }
    (folder / MADE_OF).write_text(dumps(made_of))
    return found


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
