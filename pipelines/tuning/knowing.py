"""What a reader knows by itself: it is to keep that, whatever passages it is shown.

A lesson whose passages have nothing to do with its question teaches to abstain. Where the reader, asked
alone, gives one of the expected answers, the lesson teaches that answer instead.
"""

from collections.abc import Sequence
from dataclasses import replace

from lm.conditioning import conversation
from lm.reader import Reader
from lm.tuning.example import Example
from pipelines.evaluate.answers import answer_once
from pipelines.evaluate.metrics import contains
from pipelines.execution.progress import BuildProgress


def with_what_is_known(examples: Sequence[Example], reader: Reader, progress: BuildProgress) -> list[Example]:
    """The lessons with what the plain `reader` answers rightly when it is asked without passages."""
    asked = {one.question: conversation(one.question, []) for one in examples if one.expected}
    answers = answer_once(reader, list(asked.values()), progress)
    return [_kept(one, answers[asked[one.question]]) if one.expected else one for one in examples]


def _kept(one: Example, answer: str) -> Example:
    said = next((expected for expected in one.expected if contains(answer, [expected])), None)
    return one if said is None else replace(one, answer=said, kind=one.kind.replace("unanswered", "known"))
