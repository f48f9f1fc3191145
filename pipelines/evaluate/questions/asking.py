"""Prompts answered and scored: each distinct one once. Knows no question and no passages."""

from collections.abc import Sequence
from dataclasses import replace

from lm.prompts import Asked, prompts_of
from lm.reader import Reader, Sampling
from pipelines.execution.progress import BuildProgress, Silent, shown

_BATCH = 8
SAMPLING = Sampling(max_tokens=32, stop=("\n",))


def answer_once(
    reader: Reader, asked: Sequence[Asked], progress: BuildProgress | None = None, stops: Sequence[str] = ()
) -> dict[Asked, str]:
    """Answers by what is asked. Prompts of like length share a batch, so little of it is padding."""
    progress = progress or Silent()
    sampling = replace(SAMPLING, stop=(*SAMPLING.stop, *stops))
    distinct = sorted(dict.fromkeys(asked), key=_size, reverse=True)
    answers: dict[Asked, str] = {}
    with shown(progress, "answer", "prompts", len(distinct)):
        for at in range(0, len(distinct), _BATCH):
            batch = distinct[at : at + _BATCH]
            for one, completion in zip(batch, reader.generate(batch, sampling), strict=True):
                answers[one] = completion.text
            progress.advance(len(batch))
    return answers


def _size(asked: Asked) -> int:
    """How long its longest prompt is, in characters."""
    return max(
        len(prompt.text) + sum(len(turn.content) for turn in prompt.conversation)
        for prompt in prompts_of(asked)
    )
