"""What an adapter was made of, beside it: for people in README.md, for programs in made_of.json."""

from dataclasses import asdict, dataclass
from pathlib import Path

from base.amounts import amount
from base.numbers import dumps
from lm.backends.adapters import MADE_OF
from lm.tuning.example import ABSTENTION
from lm.tuning.training import Recipe

CARD = "README.md"


@dataclass(frozen=True, slots=True)
class Tuned:
    """A reader that was taught: how many lessons of each kind, and how many of them no row could hold."""

    reader: str
    quantization: str
    recipe: Recipe
    kinds: dict[str, int]
    left_out: int
    tokens: int
    steps: int
    abstention: str = ABSTENTION
    # The least probability of that at which a reader says it.
    abstains_from: float = 0.5

    @property
    def lessons(self) -> int:
        """Lessons of all kinds."""
        return sum(self.kinds.values())


def write_card(folder: Path, tuned: Tuned) -> None:
    """Write both into an adapter's folder, in place of the empty form that PEFT leaves there."""
    (folder / MADE_OF).write_text(dumps(asdict(tuned)) + "\n")
    (folder / CARD).write_text(card(tuned))


def card(tuned: Tuned) -> str:
    """The model card."""
    recipe = tuned.recipe
    learnt = amount(tuned.lessons - tuned.left_out, "lessons")
    steps = f"{amount(tuned.steps, 'steps')} of {amount(recipe.rows, 'rows')} of {recipe.width:,} tokens"
    kinds = "\n".join(f"| {kind} | {count:,} |" for kind, count in tuned.kinds.items())
    return f"""# An adapter for {tuned.reader}

It teaches {tuned.reader} to read passages: to answer from them, and to say
"{tuned.abstention}" where they do not tell. ralm attaches it to prompts that hold passages alone.

Learnt by `ralm tune` from {learnt}, {amount(tuned.tokens, "tokens")}, in
{steps}: LoRA of rank {recipe.rank} (alpha {recipe.alpha}) on all linear
layers, AdamW, learning rate {recipe.rate:g}, {recipe.epochs:g} epochs, weights as `{tuned.quantization}`.
Longer than a row, and left out: {amount(tuned.left_out, "lessons")}.

| lessons | number |
|---|---:|
{kinds}
"""
