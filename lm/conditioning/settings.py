"""How passages are to reach the LM: one value, made once and handed on whole.

Decisions: docs/decisions/reader-and-citations.md.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from base.errors import RalmError
from base.names import did_you_mean
from lm.conditioning.shots import SHOTS, Shot

KindName = Literal["none", "prepend", "replug"]
PromptName = Literal["chat", "few-shot"]
_KINDS, _PROMPTS = get_args(KindName), get_args(PromptName)

# The context budget is part of every figure, so it is one number, the same with and without
# retrieval: tokens of passages, by the reader's own tokenizer.
DEFAULT_BUDGET = 1024
# Passages that a reader is given, unless told.
DEFAULT_PASSAGES = 3
# Of fused scores and inner products, which lie between 0 and 1. BM25's own scores are some ten times as far
# apart.
DEFAULT_TEMPERATURE = 0.1


@dataclass(frozen=True, slots=True)
class Conditioning:
    """What of the passages that are found the LM reads, and how.

    `kind`: "prepend" puts them in front of the question, "replug" reads each in a prompt of its own and mixes
    what follows by a softmax of their scores at `replug_temperature`, "none" leaves the LM alone, as 0
    `passages` do. `budget` is how many tokens of passages a prompt may hold. `neighbours`: by how many chunks
    before and behind it a passage is widened at most. `prompt`: "chat" for the reader's chat template,
    "few-shot" for a text that begins with `shots`, which needs no template.
    """

    kind: KindName = "prepend"
    passages: int = DEFAULT_PASSAGES
    budget: int = DEFAULT_BUDGET
    neighbours: int = 0
    replug_temperature: float = DEFAULT_TEMPERATURE
    prompt: PromptName = "chat"
    shots: tuple[Shot, ...] = SHOTS

    def __post_init__(self) -> None:
        for what, value, valid in (("conditioning", self.kind, _KINDS), ("prompt", self.prompt, _PROMPTS)):
            if value not in valid:
                near = did_you_mean(str(value), valid)
                raise RalmError(f"Unknown {what} {value!r}: valid are {', '.join(valid)}{near}")
        for what, number, least in (
            ("passages", self.passages, 0),
            ("budget", self.budget, 1),
            ("neighbours", self.neighbours, 0),
        ):
            if number < least:
                raise RalmError(f"The {what} of a conditioning must be at least {least}, not {number}.")
        if self.prompt == "chat" and self.shots != SHOTS:
            raise RalmError(
                "Examples stand in a few-shot prompt alone: choose that prompt, or leave them out."
            )
        if not (math.isfinite(self.replug_temperature) and self.replug_temperature > 0):
            raise RalmError(
                f"The temperature of REPLUG's weights must be above 0, not {self.replug_temperature:g}: near "
                "0 the best passage alone counts."
            )

    @property
    def reads(self) -> bool:
        """Whether passages are to be found for it."""
        return self.kind != "none" and self.passages > 0

    @property
    def stops(self) -> tuple[str, ...]:
        """What ends an answer beside the reader's own end: a plain text goes on to another question."""
        return () if self.prompt == "chat" else ("\n\n", "\nQuestion:")

    def told(self) -> str:
        """As a report says it, in short."""
        if not self.reads:
            return "no passages"
        found = [f"{self.passages} passages"]
        if self.neighbours:
            found.append(f"each with up to {self.neighbours} chunks before and behind it")
        found.append(f"in {self.budget:,} tokens")
        if self.kind == "replug":
            found.append(f"each in a prompt of its own (REPLUG, temperature {self.replug_temperature:g})")
        if self.prompt == "few-shot":
            found.append(f"behind {len(self.shots)} examples")
        return ", ".join(found)
