"""What a reader knows by itself: it is to keep that, whatever passages it is shown.

A lesson whose passages have nothing to do with its question teaches to abstain. Where the reader, asked
alone, gives one of the expected answers, and is as sure of it as of most, the lesson teaches that instead: in
the reader's own words, if they end in time. Where it gives one and is unsure, that may be chance: it teaches
nothing.

Decisions: docs/decisions/tuning.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from statistics import median

from lm.conditioning import conversation
from lm.reader import Continuation, Reader
from lm.tuning.example import Example
from pipelines.evaluate.metrics import contains
from pipelines.evaluate.questions.asking import answer_once
from pipelines.execution.progress import BuildProgress
from pipelines.tuning.shapes import sentences

_KNOWN = "foreign, known"
# Foreign lessons of what is not known: so many for each of what is, and at least such a share of all others.
_UNKNOWN, _LEAST = 2, 0.02


@dataclass(frozen=True, slots=True)
class Said:
    """What the reader says when it is asked alone, and the mean of its tokens' log-probabilities, in nats."""

    text: str
    sureness: float

    def told(self, expected: Sequence[str]) -> str | None:
        """Its first sentence if that tells what is expected, else that itself; None if it tells nothing.

        Of a sentence that is cut off nobody could learn where to end.
        """
        right = next((one for one in expected if contains(self.text, [one])), None)
        if right is None:
            return None
        first = sentences(self.text)[0]
        return first if first.endswith((".", "!", "?")) and contains(first, [right]) else right


def with_what_is_known(examples: Sequence[Example], reader: Reader, progress: BuildProgress) -> list[Example]:
    """The lessons with what the plain `reader` answers rightly when it is asked without passages."""
    asked = {one.question: conversation(one.question, []) for one in examples if one.expected}
    texts = answer_once(reader, list(asked.values()), progress)
    answered = {question: texts[prompt] for question, prompt in asked.items() if texts[prompt]}
    scored = reader.loglikelihood([Continuation(asked[one], text) for one, text in answered.items()])
    said = {
        one: Said(text, likelihood.total / len(likelihood.tokens))
        for (one, text), likelihood in zip(answered.items(), scored, strict=True)
    }
    return kept(examples, said)


def kept(examples: Sequence[Example], said: Mapping[str, Said]) -> list[Example]:
    """The lessons with what is `said` rightly; of what is not known, a few foreign ones."""
    usual = median(one.sureness for one in said.values()) if said else 0.0
    known, unknown = [], []
    for one in (one for one in examples if one.expected):
        own = said.get(one.question)
        told = own.told(one.expected) if own else None
        if own is None or told is None:
            unknown.append(one)
        elif own.sureness >= usual:
            known.append(replace(one, answer=told, kind=_KNOWN))
    others = [one for one in examples if not one.expected]
    most = max(_UNKNOWN * len(known), round(_LEAST * len(others)))
    drawn = Random(0).sample(unknown, min(most, len(unknown)))
    return [*others, *known, *drawn]
